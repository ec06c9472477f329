package safetylists

import (
	"fmt"
	"slices"
	"strings"
)

// ProductSpec is how a statement names products.
type ProductSpec struct {
	Manufacturers   []string     `yaml:"manufacturers,omitempty"`    // every spelling that is in use
	AnyManufacturer bool         `yaml:"any_manufacturer,omitempty"` // forbid_port only: the port, whatever has it
	Models          []string     `yaml:"models,omitempty"`
	AnyModel        bool         `yaml:"any_model,omitempty"`
	Versions        VersionsSpec `yaml:"versions,omitempty"`
	OUIs            []string     `yaml:"ouis,omitempty"`     // deny, stack_hazard and note only: an OUI never allows
	FixedIn         VersionsSpec `yaml:"fixed_in,omitempty"` // deny and stack_hazard: ends it, and approves nothing
}

// Product is a set of products: manufacturers, models and versions.
type Product struct {
	manufacturers, models  []string // folded
	makerWords, modelWords []string // spaced
	anyMaker, anyModel     bool
	versions               Versions
	ouis                   []string
	fixedIn                Versions // deny: in these the maker has mended it
	hasFixed               bool

	spelled ProductSpec // as it was written
}

func parseProduct(s ProductSpec, t Type) (Product, error) {
	p := Product{anyMaker: s.AnyManufacturer, anyModel: s.AnyModel, spelled: s}
	for _, m := range s.Manufacturers {
		p.manufacturers = append(p.manufacturers, fold(m))
	}
	for _, m := range s.Models {
		p.models = append(p.models, fold(m))
	}
	for _, m := range p.manufacturers {
		p.makerWords = append(p.makerWords, spaced(m))
	}
	for _, m := range p.models {
		p.modelWords = append(p.modelWords, spaced(m))
	}
	if slices.Contains(p.manufacturers, "") || slices.Contains(p.models, "") {
		return Product{}, fmt.Errorf("product: an empty name")
	}
	if s.AnyManufacturer && (t != ForbidPort || !s.AnyModel || len(s.OUIs) > 0) {
		return Product{}, fmt.Errorf("product: any_manufacturer belongs to a forbid_port of any_model without ouis")
	}
	if (len(p.manufacturers) == 0) != s.AnyManufacturer {
		return Product{}, fmt.Errorf("product: name at least one manufacturer")
	}
	if (len(p.models) == 0) != s.AnyModel {
		return Product{}, fmt.Errorf("product: name models, or say any_model: true")
	}
	if t == Allow && s.AnyModel {
		return Product{}, fmt.Errorf("product: an allow names its models one by one")
	}
	if t == Allow && len(s.OUIs) > 0 {
		return Product{}, fmt.Errorf("product: an OUI never allows (DESIGN 4)")
	}
	for _, o := range s.OUIs {
		o = strings.ToUpper(strings.TrimSpace(o))
		if _, ok := PlainMAC(o + ":00:00:00"); !ok || len(o) != 8 {
			return Product{}, fmt.Errorf("product: OUI %q is not of the form 00:10:5D", o)
		}
		p.ouis = append(p.ouis, o)
	}
	var err error
	if p.versions, err = ParseVersions(s.Versions); err != nil {
		return Product{}, fmt.Errorf("product: %w", err)
	}
	if s.FixedIn.Compare != "" {
		if t != Deny && t != StackHazardType {
			return Product{}, fmt.Errorf("product: fixed_in ends a deny or a stack_hazard; in a %s it means nothing", t)
		}
		if s.FixedIn.All {
			return Product{}, fmt.Errorf("product: fixed_in: all versions would lift the denial; remove the statement instead")
		}
		if p.fixedIn, err = ParseVersions(s.FixedIn); err != nil {
			return Product{}, fmt.Errorf("product: fixed_in: %w", err)
		}
		p.hasFixed = true
	}
	return p, nil
}

// could is the match of a deny: Unknown wherever something is not known, or the sources differ.
// Names match when the words of one stand in the other, so that "Dräger Medical GmbH" and
// "Infinity Delta XL" are covered by "Dräger" and "Infinity Delta".
func (p *Product) could(x *Subject) Tri {
	maker, model, version := Unknown, Unknown, Unknown
	for i := range x.claims {
		c := &x.claims[i]
		if c.same {
			continue // either of two alike is the one
		}
		ver := p.affected(c)
		if i == 0 {
			maker, model, version = p.couldMaker(c.makerWords), p.couldModel(c.modelWords), ver
			continue
		}
		version = either(version, ver)
		if !c.repeats {
			maker, model = either(maker, p.couldMaker(c.makerWords)), either(model, p.couldModel(c.modelWords))
		}
	}
	if maker == No && len(p.ouis) > 0 && (x.oui == "" || slices.Contains(p.ouis, x.oui)) {
		maker = Unknown // the card says otherwise than the names, or might: OUI alone is enough
	}
	return maker.And(model).And(version)
}

// affected is whether the version of a claim could be one that a denial speaks of: in its versions, and
// not certainly one in which the maker has mended it.
func (p *Product) affected(c *known) Tri {
	in := p.versions.contains(c.version, c.number, c.comparable)
	if p.hasFixed && p.fixedIn.contains(c.version, c.number, c.comparable) == Yes {
		return No
	}
	return in
}

// either joins two sources for a deny: only when both exclude is it excluded.
func either(a, b Tri) Tri {
	switch {
	case a == b:
		return a
	case a == Yes || b == Yes:
		return Yes
	default:
		return Unknown
	}
}

func (p *Product) couldMaker(name string) Tri {
	switch {
	case p.anyMaker:
		return Yes
	case name == "":
		return Unknown
	}
	return meets(p.makerWords, name)
}

func (p *Product) couldModel(name string) Tri {
	switch {
	case p.anyModel:
		return Yes
	case name == "":
		return Unknown
	}
	return meets(p.modelWords, name)
}

func meets(names []string, name string) Tri {
	for _, n := range names {
		if containsWords(name, n) || containsWords(n, name) {
			return Yes
		}
	}
	return No
}

// named reports whether some claim certainly names the product.
func (p *Product) named(x *Subject) bool {
	for i := range x.claims {
		if c := &x.claims[i]; !c.repeats && p.certain(c) == Yes {
			return true
		}
	}
	return false
}

// certain is the match of an allow against one claim: equal names only.
func (p *Product) certain(c *known) Tri {
	switch {
	case c.maker == "" && c.model == "":
		return Unknown
	case c.maker != "" && !slices.Contains(p.manufacturers, c.maker), c.model != "" && !slices.Contains(p.models, c.model):
		return No
	case c.maker != "" && c.model != "":
		return Yes
	default:
		return Unknown
	}
}
