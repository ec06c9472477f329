package safetylists

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

const siteSchema = "primum-site/1"

type siteSpec struct {
	Schema       string         `yaml:"schema"`
	Name         string         `yaml:"name"`
	Facility     string         `yaml:"facility"`
	Policy       Policy         `yaml:"policy"`
	MinApprovers int            `yaml:"min_approvers"`
	Approvers    []approverSpec `yaml:"approvers"`
	SignOffs     []signOffSpec  `yaml:"sign_offs"`
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
}

// LoadSite reads a site file strictly. Each sign-off names a statement of the files and the digest of
// the text that was signed off; a sign-off of a statement that is not there is an error, one of an
// older text counts for nothing.
func LoadSite(text []byte, files []*File) (Site, error) {
	var spec siteSpec
	if err := decodeYAML(text, &spec); err != nil {
		return Site{}, fmt.Errorf("site file: %w", err)
	}
	if spec.Schema != siteSchema {
		return Site{}, fmt.Errorf("site file: schema is %q; this program reads %s", spec.Schema, siteSchema)
	}
	if spec.Name == "" || spec.MinApprovers < 1 || len(spec.Approvers) < spec.MinApprovers {
		return Site{}, fmt.Errorf("site file: name, min_approvers of at least 1 and as many approvers are required")
	}
	s := Site{Name: spec.Name, Facility: spec.Facility, Policy: spec.Policy, MinApprovers: spec.MinApprovers, Approvers: map[string][]byte{}}
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
	for _, so := range spec.SignOffs {
		parsed, err := so.parse()
		if err != nil {
			return Site{}, fmt.Errorf("site file: sign-off of %q: %w", so.Statement, err)
		}
		if !known[so.Statement] {
			return Site{}, fmt.Errorf("site file: sign-off of %q: there is no such statement", so.Statement)
		}
		s.SignOffs = append(s.SignOffs, parsed)
	}
	return s, nil
}

func (so signOffSpec) parse() (SignOff, error) {
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
	return SignOff{Statement: so.Statement, Digest: [32]byte(b), By: so.By, On: on}, nil
}
