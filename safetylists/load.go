package safetylists

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
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
	SNMPVersion string   `yaml:"snmp_version,omitempty" json:",omitempty"` // 1, 2c (the default) or 3
	Auth        string   `yaml:"auth,omitempty" json:",omitempty"`         // version 3
	Privacy     string   `yaml:"privacy,omitempty" json:",omitempty"`      // version 3
	TLS         bool     `yaml:"tls,omitempty" json:",omitempty"`          // only over TLS, to the registered certificate

	Messages []MessageTemplate `yaml:"messages,omitempty" json:",omitempty"` // a vendor's own kind
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
		return nil, plainYAML(&node, err)
	}
	if n := hidden(&node); n != nil {
		return nil, fmt.Errorf("line %d: anchors, aliases, merge keys and tags are not allowed: a file says what it says where it says it", n.Line)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("the file is empty")
		}
		return nil, plainYAML(&node, err)
	}
	var more yaml.Node
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("more than one document")
	}
	return &node, nil
}

var goType = regexp.MustCompile(` (?:not found|already set) in type [\w.]+| into [\w.\[\]*]+`)

var misfit = regexp.MustCompile("line (\\d+): cannot unmarshal (!!\\w+)(?: `([^`\n]*)`)?")

// plainYAML takes the names of our own types out of the library's words, and names the field instead.
func plainYAML(document *yaml.Node, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n  ")
	text = misfit.ReplaceAllStringFunc(text, func(s string) string {
		m := misfit.FindStringSubmatch(s)
		what := "`" + m[3] + "`"
		switch m[2] {
		case "!!seq":
			what = "a list"
		case "!!map":
			what = "a map"
		}
		line, err := strconv.Atoi(m[1])
		field := fieldAt(document, "", line, m[2], strings.TrimSuffix(m[3], "..."))
		if err != nil || field == "" {
			return fmt.Sprintf("line %s: %s does not fit", m[1], what)
		}
		return fmt.Sprintf("line %s: %s: %s does not fit", m[1], field, what)
	})
	text = goType.ReplaceAllStringFunc(text, func(s string) string {
		switch {
		case strings.Contains(s, "not found"):
			return " is not a field here"
		case strings.Contains(s, "already set"):
			return " stands twice"
		case strings.HasSuffix(s, "into bool"):
			return ": it is true or false, without quotes"
		default:
			return ": it is of another kind"
		}
	})
	return errors.New(strings.ReplaceAll(text, "\n  ", "; "))
}

// fieldAt is the innermost field whose value stands on a line, has a tag and begins so; "" where there is none.
func fieldAt(n *yaml.Node, field string, line int, tag, begins string) string {
	if n.Line == line && n.ShortTag() == tag && strings.HasPrefix(n.Value, begins) {
		return field
	}
	for i, c := range n.Content {
		inner := field
		if n.Kind == yaml.MappingNode {
			if i%2 == 0 {
				continue
			}
			inner = n.Content[i-1].Value
		}
		if found := fieldAt(c, inner, line, tag, begins); found != "" {
			return found
		}
	}
	return ""
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

// lineOf is the line of the innermost field that an error names, as in "question: tls: ..." or "question: message 2:
// part 1: ...", else that of the entry itself.
func lineOf(entry *yaml.Node, err error) int {
	for part := range strings.SplitSeq(err.Error(), ": ") {
		words := strings.Fields(part + " . .")
		v := valueOf(entry, words[0])
		if all := valueOf(entry, words[0]+"s"); v == nil && all != nil { // one of several, counted from 1
			if n, err := strconv.Atoi(words[1]); err == nil && n >= 1 && n <= len(all.Content) {
				v = all.Content[n-1]
			}
		}
		if v == nil {
			break
		}
		entry = v
	}
	return entry.Line
}

// hidden finds what makes a file mean something else than stands there: an alias or its anchor, a merge of
// one map into another, and a tag, which may hide text as base64.
func hidden(n *yaml.Node) *yaml.Node {
	merge := n.Kind == yaml.ScalarNode && n.Tag == "!!merge"
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 || merge {
		return n
	}
	for _, c := range n.Content {
		if a := hidden(c); a != nil {
			return a
		}
	}
	return nil
}

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
