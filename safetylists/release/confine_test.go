package release

import (
	"strings"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// H-017: a stolen maker's key speaks for that maker at most. What it says of others, and what it puts
// into the folders of others, counts for nothing; every other file stays, and so do its own denials.
func TestAStolenMakersKeySpeaksForNobodyElse(t *testing.T) {
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"another's name":                 {file("x", "Globex", denial("globex.own", "Globex", "G3"), allowing("x.allow", "Acme", "M1")), `"acme", which is not globex`},
		"its own name and another's":     {file("x", "Globex", denial("globex.own", "Globex", "G3"), allowing("x.allow", "Globex, ACMÉ", "M1")), `"acme", which is not globex`},
		"a denial of another's products": {file("x", "Globex", denial("globex.own", "Globex", "G3"), denial("x.deny", "Acme", "M2"), allowing("x.allow", "Globex", "G9")), `"acme", which is not globex`},
		"everybody": {file("x", "Globex", denial("globex.own", "Globex", "G3"), allowing("x.allow", "Globex", "G9"),
			"- {id: x.port, type: forbid_port, product: {any_manufacturer: true, any_model: true, versions: {compare: opaque, all: true}}, ports: [{transport: tcp, from: 9100, to: 9100}], trigger: {class: ordinary, words: W}, effect: {classes: [output], words: E}, "+evidenceLine+"}\n"),
			"every manufacturer"},
		"another's object identifier":   {file("x", "Globex", denial("globex.own", "Globex", "G3"), allowing("x.allow", "Globex", "G9"), knowing("x.finger", "Globex", "object_ids: [1.3.6.1.4.1.99991.1]")), "not below an arc of globex"},
		"an arc that begins alike":      {file("x", "Globex", denial("globex.own", "Globex", "G3"), allowing("x.allow", "Globex", "G9"), knowing("x.finger", "Globex", "object_ids: [1.3.6.1.4.1.999921.1]")), "not below an arc of globex"},
		"no object identifier at all":   {file("x", "Globex", denial("globex.own", "Globex", "G3"), allowing("x.allow", "Globex", "G9"), knowing("x.finger", "Globex", "description: '.*'")), "by words alone"},
		"a claim in another's name":     {file("x", "Acme", denial("globex.own", "Globex", "G3"), allowing("x.allow", "Globex", "G9"), knowing("x.finger", "Globex", "object_ids: [1.3.6.1.4.1.99992.1]")), `"Acme", which is not globex`},
		"the id of another's denial":    {file("x", "Globex", denial("globex.own", "Globex", "G3"), allowing("board.deny", "Globex", "G9")), "is taken by safety-board"},
		"the id of another's statement": {file("x", "Globex", denial("globex.own", "Globex", "G3"), denial("acme.deny", "Globex", "G9")), "is taken by acme"},
	} {
		t.Run(name, func(t *testing.T) {
			b := world(t)
			m := believing(t, b)
			b.Targets["manufacturers/globex/x.yaml"] = c.text
			if _, err := b.Stage("globex", testUntil(), true, nil); err == nil && !strings.Contains(c.want, "taken") {
				t.Error("an honest desk stages it")
			}
			forge(t, b, "globex")
			seal(t, b)
			r, _, err := b.Open(m, testNow())
			if err != nil || !found(r, c.want) {
				t.Fatalf("%v, %v", err, r)
			}
			if r.List.Statement("x.allow") != nil || r.List.Statement("x.deny") != nil || r.List.Statement("x.finger") != nil || r.List.Statement("x.port") != nil {
				t.Error("what it may not say counts")
			}
			for _, d := range [][2]string{{"Globex", "G3"}, {"Globex", "G1"}, {"Acme", "M1"}, {"Other", "X1"}} {
				if !denied(r.List, d[0], d[1]) {
					t.Errorf("%v is not denied any more", d)
				}
			}
			if r.List.Statement("acme.allow") == nil || r.List.Statement("globex.allow") == nil || denied(r.List, "Acme", "M2") {
				t.Error("another file is gone")
			}
		})
	}
}

// forge signs whatever lies in a role's folder, as one who does not ask the desk.
func forge(t *testing.T, b Bundle, role string, more ...string) {
	t.Helper()
	want := map[string]targetShape{}
	for path, text := range b.Targets {
		if own(role, path) {
			want[path] = targetShape{int64(len(text)), hashesOnly{hexSum(text)}}
		}
	}
	for _, path := range more {
		want[path] = targetShape{int64(len(b.Targets[path])), hashesOnly{hexSum(b.Targets[path])}}
	}
	must(t, write(b, role+".json", targetsShape{header: head(metadata.TARGETS, b.next(role), testUntil()), Targets: want}))
	_, _, err := b.Sign(role, key(role, 0), false)
	must(t, err)
}

// A path of another role is not looked at in one's metadata, whatever stands there.
func TestAMakerServesNoFileOfAnother(t *testing.T) {
	b := world(t)
	m := believing(t, b)
	before, _, err := b.Open(m, testNow())
	must(t, err)
	b.Targets["manufacturers/acme/new.yaml"] = file("new", "Acme", allowing("acme.new", "Acme", "M1"))
	forge(t, b, "globex", "manufacturers/acme/new.yaml", "manufacturers/acme/a.yaml", "safety-board/a.yaml", SitePath)
	seal(t, b)
	r, _, err := b.Open(m, testNow())
	must(t, err)
	if r.List.Statement("acme.new") != nil || !denied(r.List, "Acme", "M1") || !found(r, `globex signed "manufacturers/acme/new.yaml"`) || r.Digest != before.Digest {
		t.Errorf("%q", r.Findings)
	}
}

// The safety board denies, forbids, notes and knows; it never allows.
func TestTheSafetyBoardNeverAllows(t *testing.T) {
	b := world(t)
	m := believing(t, b)
	b.Targets["safety-board/b.yaml"] = file("b", "Board", allowing("board.allow", "Other", "X2"), denial("board.more", "Other", "X3"))
	if _, err := b.Stage(Board, testUntil(), true, nil); err == nil {
		t.Error("an honest desk stages it")
	}
	forge(t, b, Board)
	seal(t, b)
	r, _, err := b.Open(m, testNow())
	must(t, err)
	if r.List.Statement("board.allow") != nil || !denied(r.List, "Other", "X3") || !found(r, "never allows") {
		t.Errorf("%q", r.Findings)
	}
}
