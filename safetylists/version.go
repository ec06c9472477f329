package safetylists

import (
	"fmt"
	"strconv"
	"strings"
)

// Comparison says how the version strings of one product can be compared. Vendors write VG4.1.1,
// N.00, R1.2 or 9.33.1, so each statement declares it; what cannot be compared is Unknown.
type Comparison string

// The comparisons.
const (
	Dotted Comparison = "dotted" // an equal prefix of letters, then numbers between dots
	Listed Comparison = "listed" // only the listed strings; every other one is another version
	Opaque Comparison = "opaque" // only the listed strings; nothing is known of any other one
)

// Versions is a set of software versions. The zero value contains nothing certainly and excludes
// nothing certainly.
type Versions struct {
	compare                     Comparison
	all                         bool
	is                          []string
	isDotted                    []dotted // of dotted: is, as numbers
	from                        dotted   // inclusive, when hasFrom
	before                      dotted   // exclusive, when hasBefore
	upTo                        dotted   // inclusive, when hasUpTo
	hasFrom, hasBefore, hasUpTo bool
}

// VersionsSpec is how a statement writes a set of versions.
type VersionsSpec struct {
	Compare Comparison `yaml:"compare" json:"compare"`             // Required.
	All     bool       `yaml:"all,omitempty" json:"all,omitempty"` // every version
	Is      []string   `yaml:"is,omitempty" json:"is,omitempty"`
	From    string     `yaml:"from,omitempty" json:"from,omitempty"`     // inclusive
	Before  string     `yaml:"before,omitempty" json:"before,omitempty"` // exclusive
	UpTo    string     `yaml:"up_to,omitempty" json:"up_to,omitempty"`   // inclusive
}

// ParseVersions checks a spec and returns its set.
func ParseVersions(s VersionsSpec) (Versions, error) {
	v := Versions{compare: s.Compare, all: s.All}
	ranged := s.From != "" || s.Before != "" || s.UpTo != ""
	switch s.Compare {
	case Dotted:
	case Listed, Opaque:
		if ranged {
			return Versions{}, fmt.Errorf("versions: from, before and up_to need compare: dotted, not %q", s.Compare)
		}
	default:
		return Versions{}, fmt.Errorf("versions: compare is %q; it must be dotted, listed or opaque", s.Compare)
	}
	switch {
	case s.All && (ranged || len(s.Is) > 0):
		return Versions{}, fmt.Errorf("versions: all stands alone, without is, from, before or up_to")
	case !s.All && !ranged && len(s.Is) == 0:
		return Versions{}, fmt.Errorf("versions: name all, is, from, before or up_to")
	case s.Before != "" && s.UpTo != "":
		return Versions{}, fmt.Errorf("versions: name before or up_to, not both")
	case ranged && len(s.Is) > 0:
		return Versions{}, fmt.Errorf("versions: name a range or a list, not both")
	}
	for _, is := range s.Is {
		if fold(is) == "" {
			return Versions{}, fmt.Errorf("versions: an empty version in is")
		}
		v.is = append(v.is, fold(is))
		if s.Compare == Dotted {
			d, ok := parseDotted(is)
			if !ok {
				return Versions{}, fmt.Errorf("versions: %q is not letters followed by numbers between dots; say compare: listed or opaque", is)
			}
			v.isDotted = append(v.isDotted, d)
		}
	}
	for _, b := range []struct {
		text string
		to   *dotted
		has  *bool
	}{{s.From, &v.from, &v.hasFrom}, {s.Before, &v.before, &v.hasBefore}, {s.UpTo, &v.upTo, &v.hasUpTo}} {
		if b.text == "" {
			continue
		}
		d, ok := parseDotted(b.text)
		if !ok {
			return Versions{}, fmt.Errorf("versions: %q is not letters followed by numbers between dots", b.text)
		}
		*b.to, *b.has = d, true
	}
	return v, nil
}

// Contains reports whether the set contains the version. An empty version is Unknown, even in a set
// of all versions when that set was not declared with all.
func (v Versions) Contains(version string) Tri {
	text := fold(version)
	d, ok := parseDotted(text)
	return v.contains(text, d, ok)
}

// contains is Contains of a folded version, whose numbers are d where comparable.
func (v *Versions) contains(text string, d dotted, comparable bool) Tri {
	if v.all {
		return Yes
	}
	if text == "" || v.compare == "" {
		return Unknown
	}
	for _, is := range v.is {
		if is == text {
			return Yes
		}
	}
	switch v.compare {
	case Opaque:
		return Unknown
	case Listed:
		return No
	}
	if !comparable {
		return Unknown
	}
	if len(v.is) > 0 {
		return v.containsListedDotted(d)
	}
	in := Yes
	if v.hasFrom {
		in = in.And(atLeast(d, v.from))
	}
	if v.hasBefore {
		in = in.And(not(atLeast(d, v.before)))
	}
	if v.hasUpTo {
		in = in.And(atLeast(v.upTo, d))
	}
	return in
}

// containsListedDotted compares by number, so that 2.8 and 2.8.0 are the same version.
func (v *Versions) containsListedDotted(d dotted) Tri {
	in := No
	for _, other := range v.isDotted {
		switch c, ok := d.compare(other); {
		case !ok:
			in = in.Or(Unknown)
		case c == 0:
			return Yes
		}
	}
	return in
}

// All reports whether the set was declared as every version.
func (v *Versions) All() bool { return v.all }

func not(t Tri) Tri {
	switch t {
	case Yes:
		return No
	case No:
		return Yes
	default:
		return Unknown
	}
}

// dotted is a version of an optional prefix of letters and one to eight numbers.
type dotted struct {
	prefix string
	parts  [8]uint32
	n      int
}

func parseDotted(s string) (dotted, bool) {
	text := fold(s)
	i := strings.IndexFunc(text, func(r rune) bool { return r >= '0' && r <= '9' })
	if i < 0 {
		return dotted{}, false
	}
	d := dotted{prefix: strings.TrimRight(text[:i], " .-_")}
	for _, r := range d.prefix {
		if r < 'a' || r > 'z' {
			return dotted{}, false
		}
	}
	for part := range strings.SplitSeq(text[i:], ".") {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil || d.n == len(d.parts) {
			return dotted{}, false
		}
		d.parts[d.n] = uint32(n)
		d.n++
	}
	return d, true
}

// compare returns -1, 0 or 1; ok is false when the prefixes differ, for then the order is unknown.
func (d dotted) compare(e dotted) (c int, ok bool) {
	if d.prefix != e.prefix {
		return 0, false
	}
	for i := range d.parts {
		switch {
		case d.parts[i] < e.parts[i]:
			return -1, true
		case d.parts[i] > e.parts[i]:
			return 1, true
		}
	}
	return 0, true
}

func atLeast(d, e dotted) Tri {
	switch c, ok := d.compare(e); {
	case !ok:
		return Unknown
	case c >= 0:
		return Yes
	default:
		return No
	}
}
