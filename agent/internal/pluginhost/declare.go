package pluginhost

import (
	"fmt"
	"strings"
	"unicode/utf8"

	probev1 "primum/proto/probe/v1"
)

// declaration is what a plugin has said of one attribute before the first question.
type declaration struct {
	name string
	kind probev1.Declaration_Kind
	most int
}

const maxDeclared = 64

func declarations(d *probev1.Description) ([]declaration, error) {
	if n := len(d.GetAttributes()); n > maxDeclared {
		return nil, fmt.Errorf("it declares %d attributes; at most %d", n, maxDeclared)
	}
	var out []declaration
	for _, a := range d.GetAttributes() {
		n := a.GetMaxLength()
		if a.GetName() == "" || len(a.GetName()) > maxText || a.GetKind() < probev1.Declaration_KIND_TEXT || a.GetKind() > probev1.Declaration_KIND_CODE || n < 1 || n > maxText {
			return nil, fmt.Errorf("it declares an attribute without name, kind or length")
		}
		out = append(out, declaration{a.GetName(), a.GetKind(), int(n)})
	}
	return out, nil
}

// declared is what this plugin has declared.
func (s *Seat) declared() []declaration {
	s.plugin.host.mu.Lock()
	defer s.plugin.host.mu.Unlock()
	return s.plugin.declared
}

// holds refuses an attribute that was not declared, or that has another form.
func holds(all []declaration, name, value string) error {
	for _, d := range all {
		stem, open := strings.CutSuffix(d.name, ".*")
		if name != d.name && !(open && strings.HasPrefix(name, stem+".") && only(name[len(stem):], "0123456789.")) {
			continue
		}
		switch {
		case utf8.RuneCountInString(value) > d.most,
			d.kind == probev1.Declaration_KIND_NUMBER && !only(value, "0123456789.-"),
			d.kind == probev1.Declaration_KIND_CODE && !only(value, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._/+-"):
			return fmt.Errorf("the value of its attribute %s is not as it declared it", name)
		}
		return nil
	}
	return fmt.Errorf("it claims the attribute %s, which it has not declared", name)
}

func only(s, set string) bool { return s != "" && strings.Trim(s, set) == "" }
