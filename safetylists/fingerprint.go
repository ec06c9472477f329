package safetylists

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

func (s statementSpec) parseFingerprint(st *Statement) error {
	if s.Identity == nil {
		return fmt.Errorf("identity is required")
	}
	hints, err := s.Identity.parseHints()
	if err != nil {
		return err
	}
	exact := len(s.Identity.ObjectIDs) > 0 || s.Identity.Description != ""
	if exact == hints {
		return fmt.Errorf("identity: either what tells a product (object_ids, description) or what hints at a maker (object_prefixes, ouis, implementation_classes, implementation_versions)")
	}
	st.hints = *s.Identity
	if len(s.Product.Models) == 1 {
		st.model = s.Product.Models[0]
	}
	for _, text := range s.Identity.ObjectIDs {
		oid, err := ParseOID(text)
		if err != nil {
			return fmt.Errorf("identity: %w", err)
		}
		st.objectIDs = append(st.objectIDs, oid)
	}
	if s.Identity.Description == "" {
		return nil
	}
	re, err := regexp.Compile("^(?:" + s.Identity.Description + ")$")
	if err != nil {
		return fmt.Errorf("identity: description: %w", err)
	}
	st.description = re
	return nil
}

var ouiForm = regexp.MustCompile(`^[0-9A-F]{2}:[0-9A-F]{2}:[0-9A-F]{2}(:[0-9A-F]/28|:[0-9A-F]{2}:[0-9A-F]/36)?$`)

// parseHints reports whether there are any.
func (i *identitySpec) parseHints() (bool, error) {
	for _, p := range i.ObjectPrefixes {
		if _, err := ParseOID(p); err != nil {
			return false, fmt.Errorf("identity: object_prefixes: %w", err)
		}
	}
	for _, o := range i.OUIs {
		if !ouiForm.MatchString(o) {
			return false, fmt.Errorf("identity: ouis: %q is not of the form 00:10:5D, 50:A0:30:8/28 or 70:B3:D5:20:C/36", o)
		}
	}
	for _, text := range slices.Concat(i.ImplementationClasses, i.ImplementationVersions) {
		if strings.Trim(text, "* ") == "" {
			return false, fmt.Errorf("identity: %q would hint at everybody", text)
		}
	}
	return len(i.ObjectPrefixes)+len(i.OUIs)+len(i.ImplementationClasses)+len(i.ImplementationVersions) > 0, nil
}

// Observed is what was read from a device, or is known of its card, as text.
type Observed struct {
	ObjectID    string // sysObjectID.0, dotted
	Description string // sysDescr.0

	MAC                   string // lower or upper case, colons
	ImplementationClass   string // of DICOM (PS3.7 D.3.3.2)
	ImplementationVersion string
}

// Hints returns the fingerprints of makers that something observed points to. A number shows who has
// registered it, and a module's shows its own maker: a hint is for a person and claims nothing.
func (l *List) Hints(o Observed) []*Statement {
	var out []*Statement
	mac := strings.ToUpper(o.MAC)
	for _, s := range l.statements {
		if s.Type != Fingerprint {
			continue
		}
		h := &s.hints
		under := func(p string) bool { return o.ObjectID == p || strings.HasPrefix(o.ObjectID, p+".") }
		card := func(p string) bool { p, _, _ = strings.Cut(p, "/"); return strings.HasPrefix(mac, p) }
		class := func(p string) bool { return strings.HasPrefix(o.ImplementationClass, p) }
		version := func(p string) bool {
			begin, open := strings.CutSuffix(p, "*")
			return o.ImplementationVersion == p || open && strings.HasPrefix(o.ImplementationVersion, begin)
		}
		if slices.ContainsFunc(h.ObjectPrefixes, under) || slices.ContainsFunc(h.OUIs, card) ||
			slices.ContainsFunc(h.ImplementationClasses, class) || slices.ContainsFunc(h.ImplementationVersions, version) {
			out = append(out, s)
		}
	}
	return out
}

// Recognise returns what the fingerprints make of an answer: a claim of source Answer. It claims
// only what a fingerprint says; ok is false when none matches or two contradict each other. It
// decides nothing by itself.
func (l *List) Recognise(o Observed) (c Claim, ok bool) {
	for _, s := range l.statements {
		if s.Type != Fingerprint || len(s.objectIDs) == 0 && s.description == nil {
			continue
		}
		got, matched := s.recognise(o)
		if !matched {
			continue
		}
		if ok && (got.Manufacturer != c.Manufacturer || got.Model != c.Model || got.Version != c.Version) {
			return Claim{}, false
		}
		c, ok = got, true
	}
	return c, ok
}

// recognise needs every part that the fingerprint names.
func (s *Statement) recognise(o Observed) (Claim, bool) {
	c := Claim{Source: Answer, Manufacturer: s.Maker, Model: s.model}
	if len(s.objectIDs) > 0 {
		found := false
		for _, oid := range s.objectIDs {
			found = found || oid.String() == o.ObjectID
		}
		if !found {
			return Claim{}, false
		}
	}
	if s.description != nil {
		m := s.description.FindStringSubmatch(o.Description)
		if m == nil {
			return Claim{}, false
		}
		for i, name := range s.description.SubexpNames() {
			switch name {
			case "model":
				c.Model = m[i]
			case "version":
				c.Version = m[i]
			}
		}
	}
	return c, true
}
