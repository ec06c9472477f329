package safetylists

import (
	"fmt"
	"regexp"
)

func (s statementSpec) parseFingerprint(st *Statement) error {
	if s.Identity == nil || len(s.Identity.ObjectIDs) == 0 && s.Identity.Description == "" {
		return fmt.Errorf("identity is required: object_ids, description or both")
	}
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

// Observed is what an identify question read from a device, as text.
type Observed struct {
	ObjectID    string // sysObjectID.0, dotted
	Description string // sysDescr.0
}

// Recognise returns what the fingerprints make of an answer: a claim of source Answer. It claims
// only what a fingerprint says; ok is false when none matches or two contradict each other. It
// decides nothing by itself.
func (l *List) Recognise(o Observed) (c Claim, ok bool) {
	for _, s := range l.statements {
		if s.Type != Fingerprint {
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
