package safetylists

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

const siteSchema = "primum-site/1"

type siteSpec struct {
	Schema       string          `yaml:"schema"`
	Name         string          `yaml:"name"`
	Facility     string          `yaml:"facility"`
	Policy       Policy          `yaml:"policy"`
	MinApprovers int             `yaml:"min_approvers"`
	WaveWatch    string          `yaml:"wave_watch,omitempty"` // how long each wave of a new question is watched before the next
	AddressProof AddressProof    `yaml:"address_proof,omitempty"`
	UseStatus    *useSpec        `yaml:"use_status,omitempty"`
	Zone         string          `yaml:"zone,omitempty"`
	Quiet        []quietSpec     `yaml:"quiet,omitempty"`
	Approvers    []approverSpec  `yaml:"approvers"`
	SignOffs     []signOffSpec   `yaml:"sign_offs"`
	Tighten      []tightenSpec   `yaml:"tighten,omitempty"`
	Statements   []statementSpec `yaml:"statements,omitempty"`
}

type tightenSpec struct {
	Statement string     `yaml:"statement,omitempty"` // an allowance; empty: all
	Kinds     []Kind     `yaml:"kinds,omitempty"`     // empty: all
	Limits    LimitsSpec `yaml:"limits"`
}

type approverSpec struct {
	Name string `yaml:"name"`
	Key  string `yaml:"key"` // primum-public-key:...
}

type signOffSpec struct {
	Statement string   `yaml:"statement"`
	Digest    string   `yaml:"digest"` // hex of the statement's digest, as primum list digest prints it
	By        []string `yaml:"by"`
	On        string   `yaml:"on"`
	// Signatures by name, base64; a sign-off of the site's own allowance needs one of each person in by.
	Signatures map[string]string `yaml:"signatures,omitempty"`
}

// LoadSite reads a site file strictly. Each sign-off names a statement of the files and the digest of
// the text that was signed off; a sign-off of a statement that is not there is an error, one of an
// older text counts for nothing.
func LoadSite(text []byte, files []*File) (Site, error) {
	var spec siteSpec
	if len(text) > MaxFileSize {
		return Site{}, fmt.Errorf("site file: %d octets; it has at most %d", len(text), MaxFileSize)
	}
	if err := checkText(text); err != nil {
		return Site{}, fmt.Errorf("site file: %w", err)
	}
	if _, err := decodeYAML(text, &spec); err != nil {
		return Site{}, fmt.Errorf("site file: %w", err)
	}
	if spec.Schema != siteSchema {
		return Site{}, fmt.Errorf("site file: schema is %q; this program reads %s", spec.Schema, siteSchema)
	}
	if spec.Name == "" || spec.MinApprovers < 1 || len(spec.Approvers) < spec.MinApprovers {
		return Site{}, fmt.Errorf("site file: name, min_approvers of at least 1 and as many approvers are required")
	}
	s := Site{Name: spec.Name, Facility: spec.Facility, Policy: spec.Policy, MinApprovers: spec.MinApprovers, Approvers: map[string][]byte{}}
	var err error
	if s.WaveWatch, err = spec.watch(); err != nil {
		return Site{}, err
	}
	if s.AddressProof, err = spec.AddressProof.parse(); err != nil {
		return Site{}, err
	}
	if s.UseStatus, err = spec.use(); err != nil {
		return Site{}, err
	}
	if err := spec.quiet(&s); err != nil {
		return Site{}, err
	}
	keys := map[string]string{}
	for _, a := range spec.Approvers {
		b, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(a.Key, "primum-public-key:"))
		if err != nil || len(b) != 32 || a.Name == "" {
			return Site{}, fmt.Errorf("site file: approver %q: the key is not a primum-public-key", a.Name)
		}
		if other, ok := keys[string(b)]; ok || s.Approvers[a.Name] != nil {
			return Site{}, fmt.Errorf("site file: approver %s: name or key stands twice (%s)", a.Name, other)
		}
		keys[string(b)] = a.Name
		s.Approvers[a.Name] = b
	}
	known := map[string]bool{}
	for _, f := range files {
		for _, st := range f.Statements {
			known[st.ID] = true
		}
	}
	if err := spec.own(&s, known); err != nil {
		return Site{}, err
	}
	for _, so := range spec.SignOffs {
		parsed, err := so.parse(s)
		if err != nil {
			return Site{}, fmt.Errorf("site file: sign_offs: sign-off of %q: %w", so.Statement, err)
		}
		if !known[so.Statement] {
			return Site{}, fmt.Errorf("site file: sign_offs: sign-off of %q: there is no such statement", so.Statement)
		}
		s.SignOffs = append(s.SignOffs, parsed)
	}
	return s, nil
}

// The bounds of a wave's watch (DESIGN 6.9): seconds are for the laboratory.
const (
	leastWatch   = 10 * time.Minute
	mostWatch    = 7 * 24 * time.Hour
	defaultWatch = time.Hour
	labWatch     = time.Second
)

// Watch is how long each wave of a question that is new to a model is watched before the next begins.
func (s Site) Watch() time.Duration {
	switch {
	case s.WaveWatch > 0:
		return s.WaveWatch
	case s.Policy == Lab:
		return labWatch
	}
	return defaultWatch
}

func (spec siteSpec) watch() (time.Duration, error) {
	if spec.WaveWatch == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(spec.WaveWatch)
	least := leastWatch
	if spec.Policy == Lab {
		least = labWatch
	}
	if err != nil || d < least || d > mostWatch {
		return 0, fmt.Errorf("site file: wave_watch: %q is not a time from %s to %s", spec.WaveWatch, least, mostWatch)
	}
	return d, nil
}

// own reads the site's own statements and tightenings.
func (spec siteSpec) own(s *Site, known map[string]bool) error {
	for i, st := range spec.Statements {
		parsed, err := st.parse()
		if err != nil {
			return fmt.Errorf("site file: statement %d (%s): %w", i+1, st.ID, err)
		}
		switch {
		case !strings.HasPrefix(st.ID, "site."):
			return fmt.Errorf("site file: statement %d (%s): id: that of a site's own statement begins with %q", i+1, st.ID, "site.")
		case st.Type == Fingerprint || st.Type == StackHazardType:
			return fmt.Errorf("site file: statement %s: type: a site adds deny, forbid_port, note or allow, not %s", st.ID, st.Type)
		case known[st.ID]:
			return fmt.Errorf("site file: statement %s stands twice", st.ID)
		}
		known[st.ID] = true
		parsed.File, parsed.Maker, parsed.site = "site file", s.Name, true
		s.Statements = append(s.Statements, parsed)
	}
	for i, t := range spec.Tighten {
		if t.Statement != "" && !known[t.Statement] {
			return fmt.Errorf("site file: tighten %d: statement: there is no %q", i+1, t.Statement)
		}
		for _, k := range t.Kinds {
			if !k.known() {
				return fmt.Errorf("site file: tighten %d: kinds: %q is not known", i+1, k)
			}
		}
		limits, err := t.Limits.stricter()
		if err != nil {
			return fmt.Errorf("site file: tighten %d: %w", i+1, err)
		}
		s.Tighten = append(s.Tighten, Tightening{t.Statement, t.Kinds, limits})
	}
	return nil
}

// SignOffText is what a person signs to sign off a statement: its id, its digest and the day.
func SignOffText(statement string, digest [32]byte, on time.Time) []byte {
	return fmt.Appendf(nil, "primum sign-off/1\n%s\n%x\n%s", statement, digest, on.Format(time.DateOnly))
}

func (so signOffSpec) parse(s Site) (SignOff, error) {
	on, err := time.Parse(time.DateOnly, so.On)
	if err != nil {
		return SignOff{}, fmt.Errorf("on: %q is not a date", so.On)
	}
	b, err := hex.DecodeString(so.Digest)
	if err != nil || len(b) != 32 {
		return SignOff{}, fmt.Errorf("digest %q is not 64 hex digits", so.Digest)
	}
	if len(so.By) == 0 {
		return SignOff{}, fmt.Errorf("by is empty")
	}
	out := SignOff{Statement: so.Statement, Digest: [32]byte(b), By: so.By, On: on}
	text := SignOffText(out.Statement, out.Digest, on)
	for _, by := range so.By {
		sig, err := base64.StdEncoding.Strict().DecodeString(so.Signatures[by])
		if err != nil {
			return SignOff{}, fmt.Errorf("signatures: that of %s is not base64", by)
		}
		if len(sig) == 0 {
			continue
		}
		key := s.Approvers[by]
		if key == nil {
			return SignOff{}, fmt.Errorf("signatures: %s is not among the approvers", by)
		}
		if !ed25519.Verify(key, text, sig) {
			return SignOff{}, fmt.Errorf("signatures: that of %s does not verify", by)
		}
		out.Signed = append(out.Signed, by)
	}
	return out, nil
}

// signedOff counts the distinct persons who signed off exactly this text of the statement. For the
// site's own allowances only names with a signature count.
func signedOff(st *Statement, offs []SignOff) int {
	people := map[string]bool{}
	for _, so := range offs {
		if so.Digest != st.Digest {
			continue
		}
		names := so.By
		if st.site {
			names = so.Signed
		}
		for _, by := range names {
			if name := fold(by); name != "" {
				people[name] = true
			}
		}
	}
	return len(people)
}

// Tightening is what a site asks for beyond an allowance: stricter limits, never looser ones.
type Tightening struct {
	Statement string // empty: every allowance
	Kinds     []Kind // none: every kind
	Limits    Limits // zero fields are not named
}

// tightened applies the tightenings that speak of one of the statements that allowed.
func (s *Site) tightened(l Limits, by *found, of *List, k Kind) Limits {
	for i := range s.Tighten {
		t := &s.Tighten[i]
		if len(t.Kinds) > 0 && !slices.Contains(t.Kinds, k) {
			continue
		}
		named := t.Statement == "" || by.more // of more allowances than are counted, any may be meant
		for _, at := range by.at[:by.n] {
			named = named || of.ids[at] == t.Statement
		}
		if named {
			l = l.stricter(t.Limits)
		}
	}
	return l
}

// SiteStatements returns the statements that a site file adds, without its sign-offs: what a person reads
// before signing one off.
func SiteStatements(text []byte) ([]*Statement, error) {
	if err := checkText(text); err != nil {
		return nil, fmt.Errorf("site file: %w", err)
	}
	var spec siteSpec
	if _, err := decodeYAML(text, &spec); err != nil {
		return nil, fmt.Errorf("site file: %w", err)
	}
	var s Site
	spec.Tighten = nil // it may name statements of list files
	if err := spec.own(&s, map[string]bool{}); err != nil {
		return nil, err
	}
	return s.Statements, nil
}
