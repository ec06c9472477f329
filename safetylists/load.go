package safetylists

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// File is one parsed list file: the statements of one maker and family.
type File struct {
	Path       string // as it was given to Load
	Name       string
	Maker      string
	Dated      string
	Lab        bool // a fictional maker of the laboratory
	Statements []*Statement
	Examples   []Example // each was tried when the file was loaded
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
	Examples   []exampleSpec   `yaml:"examples,omitempty"`
}

type statementSpec struct {
	ID            string        `yaml:"id"`
	Type          Type          `yaml:"type"`
	Product       *ProductSpec  `yaml:"product"`
	Kinds         []Kind        `yaml:"kinds,omitempty"`
	Ports         []PortRange   `yaml:"ports,omitempty"`
	Trigger       *Trigger      `yaml:"trigger,omitempty"`
	Effect        *Effect       `yaml:"effect,omitempty"`
	Words         string        `yaml:"words,omitempty"`
	Purpose       Purpose       `yaml:"purpose,omitempty"`
	Question      *ruleSpec     `yaml:"question,omitempty"`
	Limits        LimitsSpec    `yaml:"limits,omitempty"`
	Sources       []string      `yaml:"sources,omitempty"`
	Options       []string      `yaml:"options,omitempty"`
	Accepts       []string      `yaml:"accepts,omitempty"`
	ClinicalState string        `yaml:"clinical_state,omitempty"`
	Ending        string        `yaml:"ending,omitempty"`
	StopOn        []string      `yaml:"stop_on,omitempty"`
	Expires       string        `yaml:"expires,omitempty"`
	Identity      *identitySpec `yaml:"identity,omitempty"`
	Evidence      []Evidence    `yaml:"evidence"`
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

	// Hints: they name a maker at most, and are shown, never claimed.
	ObjectPrefixes         []string `yaml:"object_prefixes,omitempty"`         // arcs of sysObjectID
	OUIs                   []string `yaml:"ouis,omitempty"`                    // 00:10:5D, 50:A0:30:8/28 or 70:B3:D5:20:C/36
	ImplementationClasses  []string `yaml:"implementation_classes,omitempty"`  // of DICOM, as they begin
	ImplementationVersions []string `yaml:"implementation_versions,omitempty"` // of DICOM, with * at the end for any
}

// Load reads one list file strictly: an unknown or repeated field, an alias, another encoding than
// UTF-8 or a statement that does not hold together refuses the whole file. Errors name the file, and
// the line or the statement.
func Load(name string, text []byte) (*File, error) {
	if len(text) > MaxFileSize {
		return nil, fmt.Errorf("list %s: %d octets; a list file has at most %d", name, len(text), MaxFileSize)
	}
	if err := checkText(text); err != nil {
		return nil, fmt.Errorf("list %s: %w", name, err)
	}
	var spec fileSpec
	node, err := decodeYAML(text, &spec)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", name, err)
	}
	if spec.Schema != listSchema {
		return nil, fmt.Errorf("list %s: schema is %q; this program reads %s", name, spec.Schema, listSchema)
	}
	if spec.Name == "" || spec.Maker == "" {
		return nil, fmt.Errorf("list %s: name and maker are required", name)
	}
	dated, err := time.Parse(time.DateOnly, spec.Dated)
	if err != nil {
		return nil, fmt.Errorf("list %s: dated: %q is not a date such as 2026-11-24", name, spec.Dated)
	}
	f := &File{Path: name, Name: spec.Name, Maker: spec.Maker, Dated: spec.Dated, Lab: spec.Lab}
	seen := map[string]int{}
	for i, s := range spec.Statements {
		at := item(node, "statements", i)
		st, err := s.parse()
		if err != nil {
			return nil, fmt.Errorf("list %s: line %d: statement %d (%s): %w", name, lineOf(at, err), i+1, s.ID, err)
		}
		if line := seen[st.ID]; line != 0 {
			return nil, fmt.Errorf("list %s: line %d: id: statement %s stands twice, first in line %d", name, at.Line, st.ID, line)
		}
		seen[st.ID] = at.Line
		st.File, st.Maker, st.line = f.Name, f.Maker, at.Line
		f.Statements = append(f.Statements, st)
	}
	for i, e := range spec.Examples {
		at := item(node, "examples", i)
		parsed, err := e.parse()
		if err == nil {
			err = f.try(parsed, dated)
		}
		if err != nil {
			return nil, fmt.Errorf("list %s: line %d: example %d: %w", name, lineOf(at, err), i+1, err)
		}
		f.Examples = append(f.Examples, parsed)
	}
	return f, nil
}

// decodeYAML reads exactly one document without aliases, whose expansion has no bound. It returns the
// document's tree too, for the lines of what stands in it.
func decodeYAML(text []byte, into any) (*yaml.Node, error) {
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		return nil, plainYAML(err)
	}
	if n := findAlias(&node); n != nil {
		return nil, fmt.Errorf("line %d: aliases are not allowed", n.Line)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("the file is empty")
		}
		return nil, plainYAML(err)
	}
	var more yaml.Node
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("more than one document")
	}
	return &node, nil
}

var goType = regexp.MustCompile(` (?:not found|already set) in type [\w.]+| into [\w.\[\]*]+`)

// plainYAML takes the names of our own types out of the library's words.
func plainYAML(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n  ")
	text = goType.ReplaceAllStringFunc(text, func(s string) string {
		switch {
		case strings.Contains(s, "not found"):
			return " is not a field here"
		case strings.Contains(s, "already set"):
			return " stands twice"
		default:
			return ": it is of another kind"
		}
	})
	return errors.New(strings.ReplaceAll(text, "\n  ", "; "))
}

// item is the i-th entry of a list in the document's root; the zero node when it is not there.
func item(document *yaml.Node, field string, i int) *yaml.Node {
	if len(document.Content) == 1 {
		if list := valueOf(document.Content[0], field); list != nil && i < len(list.Content) {
			return list.Content[i]
		}
	}
	return &yaml.Node{}
}

func valueOf(n *yaml.Node, field string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == field {
			return n.Content[i+1]
		}
	}
	return nil
}

// lineOf is the line of the field that an error begins with, else that of the entry itself.
func lineOf(entry *yaml.Node, err error) int {
	field, _, _ := strings.Cut(err.Error(), ":")
	if v := valueOf(entry, strings.Fields(field + " .")[0]); v != nil {
		return v.Line
	}
	return entry.Line
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

// checkText refuses another encoding than UTF-8, and says where it begins.
func checkText(text []byte) error {
	if bytes.HasPrefix(text, []byte{0xff, 0xfe}) || bytes.HasPrefix(text, []byte{0xfe, 0xff}) {
		return fmt.Errorf("line 1: the file is UTF-16 text; save it as UTF-8")
	}
	for line, rest := 1, text; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 {
			return fmt.Errorf("line %d: octet %02X is not UTF-8 text; save the file as UTF-8", line, rest[0])
		}
		if r == '\n' {
			line++
		}
		rest = rest[n:]
	}
	return nil
}

func (s statementSpec) parse() (*Statement, error) {
	if !idForm.MatchString(s.ID) {
		return nil, fmt.Errorf("id: %q is not 3 to 80 lower-case letters, digits, dots and hyphens", s.ID)
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
	st := &Statement{ID: s.ID, Type: s.Type, Product: product, Kinds: s.Kinds, Ports: s.Ports,
		Words: strings.TrimSpace(s.Words), Evidence: s.Evidence, Digest: sha256.Sum256(canonical), strength: strongest(s.Evidence)}
	if err := s.hazardWords(st); err != nil {
		return nil, err
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
	case Deny, Note, StackHazardType:
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
		err = fmt.Errorf("type: %q is not deny, forbid_port, stack_hazard, allow, note or fingerprint", s.Type)
	}
	if err != nil {
		return nil, err
	}
	return st, nil
}

// hazardWords reads what sets a harm off and what the harm is: two things, each from a closed
// vocabulary with words of its own.
func (s statementSpec) hazardWords(st *Statement) error {
	if s.Trigger != nil {
		st.Trigger = *s.Trigger
		for _, f := range []struct{ name, is, of string }{
			{"layer", s.Trigger.Layer, " network transport application"}, {"transport", s.Trigger.Transport, " tcp udp"},
			{"class", s.Trigger.Class, "malformed volume ordinary object unknown"},
		} {
			if !slices.Contains(strings.Split(f.of, " "), f.is) {
				return fmt.Errorf("trigger: %s %q is not one of: %s", f.name, f.is, strings.TrimSpace(f.of))
			}
		}
	}
	if s.Effect != nil {
		st.Effect = *s.Effect
		if len(s.Effect.Classes) == 0 || s.Effect.Words == "" {
			return fmt.Errorf("effect: classes and words are required")
		}
		for _, c := range s.Effect.Classes {
			if !slices.Contains(effects(), c) {
				return fmt.Errorf("effect: class %q is not one of: %s", c, strings.Join(effects(), " "))
			}
		}
	}
	return nil
}

func effects() []string {
	return []string{"reboot", "interface_off", "communication_module", "therapy", "data_or_clock", "service", "output", "privacy", "unknown"}
}

// onlyFields refuses a field that means nothing for the type, for it would seem to restrict.
func (s statementSpec) onlyFields() error {
	hazard := s.Type == Deny || s.Type == StackHazardType || s.Type == Note
	for _, f := range []struct {
		name string
		set  bool
		ok   bool
	}{
		{"kinds", len(s.Kinds) > 0, hazard},
		{"ports", len(s.Ports) > 0, s.Type == ForbidPort},
		{"purpose", s.Purpose != "", s.Type == Allow},
		{"question", s.Question != nil, s.Type == Allow},
		{"limits", s.Limits != LimitsSpec{}, s.Type == Allow},
		{"sources", len(s.Sources) > 0, s.Type == Allow},
		{"options", len(s.Options) > 0, s.Type == Allow},
		{"accepts", len(s.Accepts) > 0, s.Type == Allow},
		{"clinical_state", s.ClinicalState != "", s.Type == Allow},
		{"ending", s.Ending != "", s.Type == Allow},
		{"stop_on", len(s.StopOn) > 0, s.Type == Allow},
		{"expires", s.Expires != "", s.Type == Allow},
		{"identity", s.Identity != nil, s.Type == Fingerprint},
		{"trigger", s.Trigger != nil, hazard || s.Type == ForbidPort},
		{"effect", s.Effect != nil, hazard || s.Type == ForbidPort},
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
		if _, err := time.Parse(time.DateOnly, e.Until); e.Until != "" && err != nil {
			return fmt.Errorf("evidence %d: until: %q is not a date such as 2027-11-24", i+1, e.Until)
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
		return fmt.Errorf("purpose: %q is not identify or routine", s.Purpose)
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
	rule.text = rule.String()
	st.Purpose, st.Question, st.Limits, st.Expires, st.expires = s.Purpose, rule, limits, expires, s.Expires
	return s.parseConditions(st)
}

// parseConditions reads under which conditions the question may be asked.
func (s statementSpec) parseConditions(st *Statement) error {
	for _, e := range s.Evidence {
		if e.Until != "" && e.Until < s.Expires {
			return fmt.Errorf("expires: %s is after %s, when its document %q ends", s.Expires, e.Until, e.Title)
		}
	}
	for _, text := range s.Sources {
		p, err := netip.ParsePrefix(text)
		if err != nil || p != p.Masked() {
			return fmt.Errorf("sources: %q is not a network such as 10.1.2.0/24", text)
		}
		st.Sources = append(st.Sources, p)
	}
	for _, o := range s.Options {
		if fold(o) == "" {
			return fmt.Errorf("options: an empty name")
		}
		st.options = append(st.options, fold(o))
	}
	for _, id := range s.Accepts {
		if !idForm.MatchString(id) {
			return fmt.Errorf("accepts: %q is no id of a statement", id)
		}
	}
	st.Options, st.Accepts, st.StopOn = s.Options, s.Accepts, s.StopOn
	switch s.ClinicalState {
	case "", "by_class":
	case "out_of_use":
		st.OutOfUse = true
	default:
		return fmt.Errorf("clinical_state: %q is not by_class or out_of_use", s.ClinicalState)
	}
	if duty := st.Question.Kind.Ending(); s.Ending != "" && s.Ending != duty {
		return fmt.Errorf("ending: a %s ends with %s, not with %q", st.Question.Kind, duty, s.Ending)
	}
	for _, stop := range s.StopOn {
		if !slices.Contains(stops(), stop) {
			return fmt.Errorf("stop_on: %q is nothing that Primum stops at; it stops at each of: %s", stop, strings.Join(stops(), " "))
		}
	}
	return nil
}

// stops is what every conversation stops at (G7, G10, D4, S9, H8), whether a statement names it or not.
func stops() []string {
	return []string{"silence", "refused", "reset", "malformed", "unexpected", "rejected", "slow"}
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
