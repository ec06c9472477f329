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
	OUIs            []string     `yaml:"ouis,omitempty"` // deny and note only: an OUI never allows
}

// Product is a set of products: manufacturers, models and versions.
type Product struct {
	manufacturers, models []string // folded
	anyMaker, anyModel    bool
	versions              Versions
	ouis                  []string
}

func parseProduct(s ProductSpec, t Type) (Product, error) {
	p := Product{anyMaker: s.AnyManufacturer, anyModel: s.AnyModel}
	for _, m := range s.Manufacturers {
		p.manufacturers = append(p.manufacturers, fold(m))
	}
	for _, m := range s.Models {
		p.models = append(p.models, fold(m))
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
		if len(o) != 8 || o[2] != ':' || o[5] != ':' {
			return Product{}, fmt.Errorf("product: OUI %q is not of the form 00:10:5D", o)
		}
		p.ouis = append(p.ouis, o)
	}
	var err error
	if p.versions, err = ParseVersions(s.Versions); err != nil {
		return Product{}, fmt.Errorf("product: %w", err)
	}
	return p, nil
}

// could is the match of a deny: Unknown wherever something is not known, or the sources differ.
// Names match when the words of one stand in the other, so that "Dräger Medical GmbH" and
// "Infinity Delta XL" are covered by "Dräger" and "Infinity Delta".
func (p Product) could(d Device) Tri {
	maker, model, version := Unknown, Unknown, Unknown
	for i, c := range d.Claims {
		mk, md, ver := p.couldMaker(fold(c.Manufacturer)), p.couldModel(fold(c.Model)), p.versions.Contains(c.Version)
		if i == 0 {
			maker, model, version = mk, md, ver
			continue
		}
		maker, model, version = either(maker, mk), either(model, md), either(version, ver)
	}
	if maker == No && slices.Contains(p.ouis, d.OUI()) {
		maker = Unknown // the card says otherwise than the names: OUI alone is enough
	}
	return maker.And(model).And(version)
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

func (p Product) couldMaker(name string) Tri {
	switch {
	case p.anyMaker:
		return Yes
	case name == "":
		return Unknown
	}
	for _, m := range p.manufacturers {
		if containsWords(name, m) || containsWords(m, name) {
			return Yes
		}
	}
	return No
}

func (p Product) couldModel(name string) Tri {
	switch {
	case p.anyModel:
		return Yes
	case name == "":
		return Unknown
	}
	for _, m := range p.models {
		if containsWords(name, m) || containsWords(m, name) {
			return Yes
		}
	}
	return No
}

// claimMatch is how one claim stands to an allowance: product and version apart.
type claimMatch struct{ product, version Tri }

// certain is the match of an allow against one claim: equal names only.
func (p Product) certain(c Claim) claimMatch {
	m := claimMatch{version: p.versions.Contains(c.Version)}
	maker, model := fold(c.Manufacturer), fold(c.Model)
	switch {
	case maker == "" && model == "":
		m.product = Unknown
	case maker != "" && !slices.Contains(p.manufacturers, maker), model != "" && !slices.Contains(p.models, model):
		m.product = No
	case maker != "" && model != "":
		m.product = Yes
	}
	return m
}
