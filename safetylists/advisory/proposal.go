package advisory

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	list "primum/safetylists"
)

// Proposal is a denial that somebody may make of an advisory. It decides nothing by itself.
type Proposal struct {
	ID        string // of the statement
	Advisory  string
	Vendor    string
	Product   string
	Versions  string // as the advisory has them
	Text      string // a list file of one statement, which loads
	Statement *list.Statement
}

// Proposals makes one of each product that the advisory names as affected. What cannot be compared, or is
// told in several ways, counts for every version: a person may narrow it.
func Proposals(file string, a Advisory) ([]Proposal, error) {
	var out []Proposal
	seen := map[string]bool{}
	for _, g := range a.groups() {
		p := g[0]
		if p.Vendor == "" || slug(p.Vendor) == "" || slug(p.Name) == "" {
			continue // nobody could be recognised by it
		}
		var said []string
		for _, x := range g {
			said = append(said, x.Version)
		}
		id := strings.Trim(cut(slug(a.ID)+"."+slug(p.Name), 76), ".-")
		for n := 2; seen[id]; n++ {
			id = fmt.Sprintf("%s-%d", strings.Trim(cut(slug(a.ID)+"."+slug(p.Name), 72), ".-"), n)
		}
		seen[id] = true
		one := Proposal{ID: id, Advisory: a.ID, Vendor: p.Vendor, Product: p.Name, Versions: strings.Join(said, "; ")}
		if err := one.write(file, a, versions(g)); err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func cut(s string, most int) string { return s[:min(len(s), most)] }

func (p *Proposal) write(file string, a Advisory, versions list.VersionsSpec) error {
	type m = map[string]any
	says := a.Says
	if says == "" {
		says = a.Title
	}
	v := m{"compare": string(versions.Compare)}
	for k, x := range map[string]string{"from": versions.From, "before": versions.Before, "up_to": versions.UpTo} {
		if x != "" {
			v[k] = x
		}
	}
	if len(versions.Is) > 0 {
		v["is"] = versions.Is
	}
	if versions.All {
		v["all"] = true
	}
	or := func(s, otherwise string) string {
		if strings.TrimSpace(s) == "" {
			return otherwise
		}
		return s
	}
	title := shorten(a.ID+" "+a.Title, 200)
	statement := m{"id": p.ID, "type": "deny",
		"product": m{"manufacturers": []string{p.Vendor}, "models": []string{p.Product}, "versions": v},
		"trigger": m{"class": "unknown", "words": "see the advisory: " + shorten(says, 200)},
		"effect":  m{"classes": []string{"unknown"}, "words": "see the advisory"},
		"words":   "An advisory names this product: " + title + ". A person has accepted it as a reason to leave the product alone.",
		"evidence": []m{{"kind": "security-advisory", "title": title, "publisher": or(a.Publisher, "not named"), "date": or(a.Date, "undated"),
			"address": a.Address, "says": shorten(strings.Join(a.CVEs, ", ")+" "+says, 600), "seen": "full", "provenance": "CSAF document " + file}}}
	body, err := yaml.Marshal(m{"schema": "primum-list/1", "name": cut(slug(a.ID), 60), "maker": p.Vendor, "dated": or(a.Date, "1970-01-01"), "statements": []m{statement},
		"examples": []m{{"device": m{"maker": p.Vendor, "model": p.Product}, "ask": m{"kind": "snmp.get"}, "expect": "DENIED", "by": []string{p.ID}}}})
	if err != nil {
		return fmt.Errorf("advisory %s: %w", a.ID, err)
	}
	f, err := list.Load(a.ID, body)
	if err != nil {
		return fmt.Errorf("advisory %s: the proposal for %s %s: %w", a.ID, p.Vendor, p.Product, err)
	}
	p.Text = fmt.Sprintf("# Proposed by an import of %s; versions there: %s\n", file, shorten(p.Versions, 300)) + string(body)
	p.Statement = f.Statements[0]
	return nil
}

var bound = regexp.MustCompile(`^(<=|<|>=|>|=)?\s*(?:v(?:ersions?|er)?\.?\s*)?([A-Za-z]{0,4}[0-9][0-9A-Za-z.]*)$`)

// versions reads what the advisory says of versions. Only one plain version list, or one plain range, is
// read as such; everything else is every version.
func versions(group []Product) list.VersionsSpec {
	all := list.VersionsSpec{Compare: list.Opaque, All: true}
	if !slices.ContainsFunc(group, func(p Product) bool { return p.Range }) {
		var is []string
		for _, p := range group {
			m := bound.FindStringSubmatch(strings.TrimSpace(p.Version))
			if m == nil || m[1] != "" && m[1] != "=" {
				return all
			}
			if !slices.Contains(is, m[2]) {
				is = append(is, m[2])
			}
		}
		return list.VersionsSpec{Compare: list.Listed, Is: is}
	}
	if len(group) != 1 {
		return all
	}
	spec := list.VersionsSpec{Compare: list.Dotted}
	text := strings.NewReplacer("|", " ", ",", " ", "≤", "<=").Replace(group[0].Version)
	text = regexp.MustCompile(`(<=|>=|<|>|=)\s+`).ReplaceAllString(text, "$1")
	for _, part := range strings.Fields(text) {
		m := bound.FindStringSubmatch(part)
		if m == nil {
			return all
		}
		switch m[1] {
		case "<=":
			spec.UpTo = m[2]
		case "<":
			spec.Before = m[2]
		case ">=":
			spec.From = m[2]
		default:
			return all // "later than" has no form here, and a plain version in a range is no range
		}
	}
	if _, err := list.ParseVersions(spec); err != nil {
		return all
	}
	return spec
}
