package safetylists

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// File is one parsed list file: the statements of one maker and family.
type File struct {
	Name       string
	Maker      string
	Dated      string
	Lab        bool // a fictional maker of the laboratory
	Statements []*Statement
}

// MaxFileSize bounds a list file, in octets.
const MaxFileSize = 1 << 20

const listSchema = "primum-list/1"

type fileSpec struct {
	Schema     string          `yaml:"schema"`
	Name       string          `yaml:"name"`
	Maker      string          `yaml:"maker"`
	Dated      string          `yaml:"dated"`
	Lab        bool            `yaml:"lab,omitempty"`
	Statements []statementSpec `yaml:"statements"`
}

type statementSpec struct {
	ID       string        `yaml:"id"`
	Type     Type          `yaml:"type"`
	Product  *ProductSpec  `yaml:"product"`
	Kinds    []Kind        `yaml:"kinds,omitempty"`
	Ports    []PortRange   `yaml:"ports,omitempty"`
	Trigger  *Trigger      `yaml:"trigger,omitempty"`
	Effect   string        `yaml:"effect,omitempty"`
	Words    string        `yaml:"words,omitempty"`
	Purpose  Purpose       `yaml:"purpose,omitempty"`
	Question *ruleSpec     `yaml:"question,omitempty"`
	Limits   LimitsSpec    `yaml:"limits,omitempty"`
	Expires  string        `yaml:"expires,omitempty"`
	Identity *identitySpec `yaml:"identity,omitempty"`
	Evidence []Evidence    `yaml:"evidence"`
}

type ruleSpec struct {
	Kind        Kind     `yaml:"kind"`
	Port        string   `yaml:"port"` // a number, or "site"
	OIDs        []string `yaml:"oids,omitempty"`
	CallingAE   string   `yaml:"calling_ae,omitempty"`
	VersionName string   `yaml:"version_name,omitempty"`
	HL7Version  string   `yaml:"hl7_version,omitempty"`
	Expect      string   `yaml:"expect,omitempty"`
}

type identitySpec struct {
	ObjectIDs   []string `yaml:"object_ids,omitempty"`
	Description string   `yaml:"description,omitempty"` // RE2, with groups model and version
}

// Load reads one list file strictly: an unknown or repeated field, an alias, another encoding than
// UTF-8 or a statement that does not hold together refuses the whole file. Errors name the file, and
// the line or the statement.
func Load(name string, text []byte) (*File, error) {
	if len(text) > MaxFileSize {
		return nil, fmt.Errorf("list %s: %d octets; a list file has at most %d", name, len(text), MaxFileSize)
	}
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("list %s: not UTF-8 text", name)
	}
	var spec fileSpec
	if err := decodeYAML(text, &spec); err != nil {
		return nil, fmt.Errorf("list %s: %w", name, err)
	}
	if spec.Schema != listSchema {
		return nil, fmt.Errorf("list %s: schema is %q; this program reads %s", name, spec.Schema, listSchema)
	}
	if spec.Name == "" || spec.Maker == "" {
		return nil, fmt.Errorf("list %s: name and maker are required", name)
	}
	if _, err := time.Parse(time.DateOnly, spec.Dated); err != nil {
		return nil, fmt.Errorf("list %s: dated: %q is not a date such as 2026-11-24", name, spec.Dated)
	}
	f := &File{Name: spec.Name, Maker: spec.Maker, Dated: spec.Dated, Lab: spec.Lab}
	seen := map[string]bool{}
	for i, s := range spec.Statements {
		st, err := s.parse()
		if err != nil {
			return nil, fmt.Errorf("list %s: statement %d (%s): %w", name, i+1, s.ID, err)
		}
		if seen[st.ID] {
			return nil, fmt.Errorf("list %s: statement %s stands twice", name, st.ID)
		}
		seen[st.ID] = true
		st.File, st.Maker = f.Name, f.Maker
		f.Statements = append(f.Statements, st)
	}
	return f, nil
}

// decodeYAML reads exactly one document without aliases, whose expansion has no bound.
func decodeYAML(text []byte, into any) error {
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		return err
	}
	if n := findAlias(&node); n != nil {
		return fmt.Errorf("line %d: aliases are not allowed", n.Line)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("the file is empty")
		}
		return err
	}
	var more yaml.Node
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return fmt.Errorf("more than one document")
	}
	return nil
}

func findAlias(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n
	}
	for _, c := range n.Content {
		if a := findAlias(c); a != nil {
			return a
		}
	}
	return nil
}

var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{2,79}$`)

func (s statementSpec) parse() (*Statement, error) {
	if !idForm.MatchString(s.ID) {
		return nil, fmt.Errorf("id %q: 3 to 80 lower-case letters, digits, dots and hyphens", s.ID)
	}
	if s.Product == nil {
		return nil, fmt.Errorf("product is required")
	}
	product, err := parseProduct(*s.Product, s.Type)
	if err != nil {
		return nil, err
	}
	canonical, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write canonical form: %w", err)
	}
	st := &Statement{ID: s.ID, Type: s.Type, Product: product, Kinds: s.Kinds, Ports: s.Ports, Effect: s.Effect,
		Words: strings.TrimSpace(s.Words), Evidence: s.Evidence, Digest: sha256.Sum256(canonical)}
	if s.Trigger != nil {
		st.Trigger = *s.Trigger
	}
	for _, k := range s.Kinds {
		if k != SNMPGet && k != DICOMEcho && k != HL7Ack {
			return nil, fmt.Errorf("kinds: %q is not known", k)
		}
	}
	if err := checkEvidence(s.Evidence); err != nil {
		return nil, err
	}
	if err := s.onlyFields(); err != nil {
		return nil, err
	}
	switch s.Type {
	case Deny, Note:
		if st.Words == "" {
			return nil, fmt.Errorf("words are required: what a technician should know")
		}
	case ForbidPort:
		err = checkPorts(s.Ports)
	case Allow:
		err = s.parseAllow(st)
	case Fingerprint:
		err = s.parseFingerprint(st)
	default:
		err = fmt.Errorf("type %q: it is deny, forbid_port, allow, note or fingerprint", s.Type)
	}
	if err != nil {
		return nil, err
	}
	return st, nil
}

// onlyFields refuses a field that means nothing for the type, for it would seem to restrict.
func (s statementSpec) onlyFields() error {
	for _, f := range []struct {
		name string
		set  bool
		ok   bool
	}{
		{"kinds", len(s.Kinds) > 0, s.Type == Deny || s.Type == Note},
		{"ports", len(s.Ports) > 0, s.Type == ForbidPort},
		{"purpose", s.Purpose != "", s.Type == Allow},
		{"question", s.Question != nil, s.Type == Allow},
		{"limits", s.Limits != LimitsSpec{}, s.Type == Allow},
		{"expires", s.Expires != "", s.Type == Allow},
		{"identity", s.Identity != nil, s.Type == Fingerprint},
		{"trigger", s.Trigger != nil, s.Type != Allow && s.Type != Fingerprint},
	} {
		if f.set && !f.ok {
			return fmt.Errorf("%s has no meaning in a %s", f.name, s.Type)
		}
	}
	return nil
}

func checkEvidence(all []Evidence) error {
	if len(all) == 0 {
		return fmt.Errorf("evidence is required")
	}
	for i, e := range all {
		if e.Kind == "" || e.Title == "" || e.Publisher == "" || e.Date == "" || e.Says == "" || e.Provenance == "" {
			return fmt.Errorf("evidence %d: kind, title, publisher, date, says and provenance are required", i+1)
		}
		if e.Seen != SeenFull && e.Seen != SeenExcerpt && e.Seen != SeenContents {
			return fmt.Errorf("evidence %d: seen is %q; it is full, excerpt or contents", i+1, e.Seen)
		}
	}
	return nil
}

func checkPorts(ports []PortRange) error {
	if len(ports) == 0 {
		return fmt.Errorf("ports are required")
	}
	for _, r := range ports {
		if r.Transport != "tcp" && r.Transport != "udp" || r.From == 0 || r.To < r.From {
			return fmt.Errorf("ports: transport tcp or udp, and from not above to")
		}
	}
	return nil
}

func (s statementSpec) parseAllow(st *Statement) error {
	if s.Purpose != Identify && s.Purpose != Routine {
		return fmt.Errorf("purpose %q: it is identify or routine", s.Purpose)
	}
	if s.Purpose == Routine && s.Product.Versions.All {
		return fmt.Errorf("a routine allow names its versions (DESIGN 6.2)")
	}
	if s.Question == nil {
		return fmt.Errorf("question is required")
	}
	expires, err := time.Parse(time.DateOnly, s.Expires)
	if err != nil {
		return fmt.Errorf("expires: %q is not a date such as 2027-11-24", s.Expires)
	}
	rule, err := s.Question.parse()
	if err != nil {
		return err
	}
	limits, err := s.Limits.parse(rule.Kind)
	if err != nil {
		return err
	}
	st.Purpose, st.Question, st.Limits, st.Expires = s.Purpose, rule, limits, expires
	return nil
}

// parse checks the rule by filling it with a plausible registration.
func (r ruleSpec) parse() (QuestionRule, error) {
	rule := QuestionRule{Kind: r.Kind, OIDs: r.OIDs, CallingAE: r.CallingAE, VersionName: r.VersionName, HL7Version: r.HL7Version, Expect: r.Expect}
	if r.Port != "site" {
		var port uint16
		if _, err := fmt.Sscanf(r.Port, "%d", &port); err != nil || port == 0 || fmt.Sprint(port) != r.Port {
			return QuestionRule{}, fmt.Errorf("question: port %q is not a port number and not site", r.Port)
		}
		rule.Port = port
	}
	if rule.Port != 0 && NeverPort(r.Kind.Transport(), rule.Port) {
		return QuestionRule{}, fmt.Errorf("question: port %d can never be allowed (G13)", rule.Port)
	}
	probe := Endpoints{SNMPPort: 161, DICOMPort: 11112, HL7Port: 2575, AETitle: "TITLE", HL7Application: "APP", HL7Facility: "FAC"}
	q, err := rule.Fill(probe, "SITE")
	if err != nil {
		return QuestionRule{}, err
	}
	want := q.Spec()
	if len(want.OIDs) != len(r.OIDs) || want.CallingAE != r.CallingAE || want.VersionName != r.VersionName || want.HL7Version != r.HL7Version || want.Expect != r.Expect {
		return QuestionRule{}, fmt.Errorf("question: a parameter of another kind than %s is set", r.Kind)
	}
	return rule, nil
}
