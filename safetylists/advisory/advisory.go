// Package advisory reads security advisories in CSAF 2.0 and makes of them proposals of denials, for a
// person to accept. A proposal decides nothing. The package opens no file.
package advisory

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gocsaf/csaf/v3/csaf"

	list "primum/safetylists"
)

// MaxSize bounds an advisory, in octets.
const MaxSize = 8 << 20

// Product is one leaf of an advisory's product tree.
type Product struct {
	ID      string
	Vendor  string
	Name    string
	Version string // as it stands: a version, or a range in words
	Range   bool   // the version is a range
}

// Advisory is what is read of a document.
type Advisory struct {
	ID        string // the publisher's tracking id
	Title     string
	Publisher string
	Date      string // of the current release, YYYY-MM-DD
	Address   string
	Medical   bool
	CVEs      []string
	Says      string    // first vulnerability, in the publisher's words, shortened
	Products  []Product // every leaf, in the order of the document
	Affected  []Product // those that some vulnerability names as known_affected
}

// Read reads one document. It fails when the document is no CSAF 2.0 advisory that holds together.
func Read(name string, text []byte) (Advisory, error) {
	if len(text) > MaxSize {
		return Advisory{}, fmt.Errorf("advisory %s: %d octets; at most %d are read", name, len(text), MaxSize)
	}
	var doc csaf.Advisory
	if err := json.Unmarshal(text, &doc); err != nil {
		return Advisory{}, fmt.Errorf("advisory %s: %w", name, err)
	}
	if err := doc.Validate(); err != nil {
		return Advisory{}, fmt.Errorf("advisory %s: %w", name, err)
	}
	if v := doc.Document.CSAFVersion; v == nil || *v != csaf.CSAFVersion20 {
		return Advisory{}, fmt.Errorf("advisory %s: it is not of CSAF 2.0", name)
	}
	a := Advisory{ID: str(doc.Document.Tracking.ID), Title: str(doc.Document.Title), Publisher: str(doc.Document.Publisher.Name)}
	if d := str(doc.Document.Tracking.CurrentReleaseDate); len(d) >= 10 {
		a.Date = d[:10]
	}
	for _, r := range doc.Document.References {
		if r != nil && r.URL != nil && (a.Address == "" || r.ReferenceCategory != nil && *r.ReferenceCategory == string(csaf.CSAFReferenceCategorySelf)) && strings.HasPrefix(*r.URL, "http") {
			a.Address = *r.URL
		}
	}
	a.Medical = strings.HasPrefix(a.ID, "ICSMA-")
	for _, n := range doc.Document.Notes {
		if n != nil && strings.Contains(strings.ToLower(str(n.Title)), "sector") && strings.Contains(strings.ToLower(str(n.Text)), "healthcare") {
			a.Medical = true
		}
	}
	if doc.ProductTree != nil {
		a.leaves(doc.ProductTree.Branches, Product{})
		if doc.ProductTree.FullProductNames != nil {
			for _, p := range *doc.ProductTree.FullProductNames {
				if p != nil {
					a.Products = append(a.Products, Product{ID: str(p.ProductID), Name: str(p.Name)})
				}
			}
		}
	}
	a.affected(doc.Vulnerabilities)
	return a, nil
}

func str[S ~string](p *S) string {
	if p == nil {
		return ""
	}
	return string(*p)
}

// leaves walks the tree. The depth is bounded by that of the JSON decoder.
func (a *Advisory) leaves(branches csaf.Branches, above Product) {
	for _, b := range branches {
		if b == nil {
			continue
		}
		here := above
		switch str(b.Category) {
		case "vendor":
			here.Vendor = str(b.Name)
		case "product_name", "product_family":
			here.Name = strings.TrimSpace(here.Name + " " + str(b.Name))
			if str(b.Category) == "product_name" {
				here.Name = str(b.Name)
			}
		case "product_version":
			here.Version, here.Range = str(b.Name), false
		case "product_version_range":
			here.Version, here.Range = str(b.Name), true
		}
		if b.Product != nil {
			leaf := here
			leaf.ID = str(b.Product.ProductID)
			if leaf.Name == "" {
				leaf.Name = str(b.Product.Name)
			}
			a.Products = append(a.Products, leaf)
		}
		a.leaves(b.Branches, here)
	}
}

func (a *Advisory) affected(all []*csaf.Vulnerability) {
	named := map[string]bool{}
	for _, v := range all {
		if v == nil {
			continue
		}
		if cve := str(v.CVE); cve != "" {
			a.CVEs = append(a.CVEs, cve)
		}
		for _, n := range v.Notes {
			if a.Says == "" && n != nil {
				a.Says = shorten(str(n.Text), 400)
			}
		}
		if v.ProductStatus == nil || v.ProductStatus.KnownAffected == nil {
			continue
		}
		for _, id := range *v.ProductStatus.KnownAffected {
			named[str(id)] = true
		}
	}
	for _, p := range a.Products {
		if named[p.ID] {
			a.Affected = append(a.Affected, p)
		}
	}
}

func shorten(s string, most int) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= most {
		return s
	}
	cut := strings.LastIndexByte(s[:most], ' ')
	if cut < 0 {
		return strings.ToValidUTF8(s[:most], "") + " ..."
	}
	return s[:cut] + " ..."
}

var notWord = regexp.MustCompile(`[^a-z0-9]+`)

func slug(s string) string {
	return strings.Trim(notWord.ReplaceAllString(strings.ToLower(list.Plain(s)), "-"), "-")
}

// groups are the affected leaves of each product, in the order of the document.
func (a Advisory) groups() [][]Product {
	var out [][]Product
	for _, p := range a.Affected {
		k := slices.IndexFunc(out, func(g []Product) bool { return g[0].Vendor == p.Vendor && g[0].Name == p.Name })
		if k < 0 {
			out = append(out, []Product{p})
			continue
		}
		out[k] = append(out[k], p)
	}
	return out
}
