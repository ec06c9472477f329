package release

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	list "primum/safetylists"
)

// MakersPath is the target that says who is who. The top-level targets role signs it.
const MakersPath = "makers.yaml"

const (
	makersSchema = "primum-makers/1"
	maxMakers    = 1 << 20
	maxNames     = 5000 // each is compared with each
)

// Maker is one manufacturer that speaks for itself: how its name is written, and the part of the tree
// of object identifiers that is its own.
type Maker struct {
	Name      string   `yaml:"name"`      // of its role, and of its folder
	Spellings []string `yaml:"spellings"` // of the manufacturer, in inventories and lists
	Arcs      []string `yaml:"arcs,omitempty"`
}

type makersFile struct {
	Schema string  `yaml:"schema"`
	Makers []Maker `yaml:"makers"`
}

var makerForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,38}[a-z0-9]$`)

// enterprises is the arc below which each organisation has its own number (RFC 1155 3.1.4).
const enterprises = "1.3.6.1.4.1."

// ReadMakers reads makers.yaml. No two makers may share a spelling or an arc.
func ReadMakers(text []byte) ([]Maker, error) {
	if len(text) > maxMakers {
		return nil, fmt.Errorf("%s: %d octets; it has at most %d", MakersPath, len(text), maxMakers)
	}
	var f makersFile
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("%s: %w", MakersPath, err)
	}
	if err := d.Decode(new(yaml.Node)); err != io.EOF {
		return nil, fmt.Errorf("%s: more than one document", MakersPath)
	}
	if f.Schema != makersSchema {
		return nil, fmt.Errorf("%s: schema is %q; this program reads %s", MakersPath, f.Schema, makersSchema)
	}
	names := 0
	for _, m := range f.Makers {
		names += len(m.Spellings) + len(m.Arcs)
	}
	if len(f.Makers) > maxRoles || names > maxNames {
		return nil, fmt.Errorf("%s: %d makers with %d spellings and arcs; it has at most %d and %d", MakersPath, len(f.Makers), names, maxRoles, maxNames)
	}
	for i, m := range f.Makers {
		if err := m.check(); err != nil {
			return nil, fmt.Errorf("%s: maker %q: %w", MakersPath, m.Name, err)
		}
		for _, other := range f.Makers[:i] {
			if what := m.shared(other); what != "" {
				return nil, fmt.Errorf("%s: makers %s and %s share %s", MakersPath, other.Name, m.Name, what)
			}
		}
	}
	return f.Makers, nil
}

// WriteMakers writes makers.yaml, ordered by name.
func WriteMakers(makers []Maker) ([]byte, error) {
	makers = slices.SortedFunc(slices.Values(makers), func(a, b Maker) int { return strings.Compare(a.Name, b.Name) })
	text, err := yaml.Marshal(makersFile{makersSchema, makers})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", MakersPath, err)
	}
	_, err = ReadMakers(text)
	return text, err
}

func (m Maker) check() error {
	if !makerForm.MatchString(m.Name) || slices.Contains([]string{"root", "targets", "snapshot", "timestamp", Board, Site}, m.Name) {
		return fmt.Errorf("name: 2 to 40 small letters, digits and hyphens, and not the name of another role")
	}
	if len(m.Spellings) == 0 {
		return fmt.Errorf("spellings are required")
	}
	for _, s := range m.Spellings {
		if list.SameName(s, "") {
			return fmt.Errorf("spellings: an empty name")
		}
	}
	for _, a := range m.Arcs {
		if _, err := list.ParseOID(a); err != nil || !strings.HasPrefix(a, enterprises) {
			return fmt.Errorf("arcs: %q is not an object identifier below %s", a, strings.TrimSuffix(enterprises, "."))
		}
	}
	return nil
}

func (m Maker) shared(other Maker) string {
	switch {
	case m.Name == other.Name:
		return "a name"
	case slices.ContainsFunc(m.Spellings, other.speaksFor):
		return "a spelling"
	}
	for _, a := range m.Arcs {
		if other.owns(a) || slices.ContainsFunc(other.Arcs, func(b string) bool { return strings.HasPrefix(b+".", a+".") }) {
			return "an arc"
		}
	}
	return ""
}

func (m Maker) speaksFor(manufacturer string) bool {
	return slices.ContainsFunc(m.Spellings, func(s string) bool { return list.SameName(s, manufacturer) })
}

func (m Maker) owns(oid string) bool {
	return slices.ContainsFunc(m.Arcs, func(a string) bool { return strings.HasPrefix(oid+".", a+".") })
}

// outside says in what a statement of a file goes beyond the maker's own products, or "".
func (m Maker) outside(f *list.File, s *list.Statement) string {
	if s.AnyManufacturer() {
		return "it speaks of every manufacturer"
	}
	names := s.Manufacturers()
	if s.Type == list.Fingerprint {
		names = append(names, f.Maker) // what a fingerprint claims a device to be
	}
	for _, n := range names {
		if !m.speaksFor(n) {
			return fmt.Sprintf("it speaks of %q, which is not %s", n, m.Name)
		}
	}
	if s.Type != list.Fingerprint {
		return ""
	}
	if len(s.ObjectIDs()) == 0 {
		return "it knows its product by words alone; a maker's fingerprint names an object identifier of its own"
	}
	for _, oid := range s.ObjectIDs() {
		if !m.owns(oid.String()) {
			return fmt.Sprintf("object identifier %s is not below an arc of %s", oid, m.Name)
		}
	}
	return ""
}
