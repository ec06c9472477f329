package safetylists_test

import (
	"strings"
	"testing"

	. "primum/safetylists"
	"primum/safetylists/alloctest"
)

const goodFile = `schema: primum-list/1
name: good
maker: Aldane
dated: "2026-11-24"
statements:
  - id: good.allow
    type: allow
    product: {manufacturers: [Aldane], models: [Vela], versions: {compare: listed, is: ["1.0"]}}
    purpose: identify
    question: {kind: snmp.get, port: "161", oids: [1.3.6.1.2.1.1.1.0]}
    limits: {gap: 5s}
    expires: "2027-11-24"
    evidence: [{kind: letter, title: T, publisher: P, date: "2026-01-01", says: S, seen: full, provenance: test}]
  - id: good.deny
    type: deny
    product: {manufacturers: [Aldane], any_model: true, versions: {compare: dotted, before: "1.0"}, ouis: ["00:10:5D"]}
    words: Leave it.
    evidence: [{kind: letter, title: T, publisher: P, date: "2026-01-01", says: S, seen: contents, provenance: test}]
  - id: good.port
    type: forbid_port
    product: {any_manufacturer: true, any_model: true, versions: {compare: opaque, all: true}}
    ports: [{transport: tcp, from: 9999, to: 9999}]
    evidence: [{kind: letter, title: T, publisher: P, date: "2026-01-01", says: S, seen: full, provenance: test}]
`

func TestLoadRefusesWhatDoesNotHoldTogether(t *testing.T) {
	if _, err := Load("good.yaml", []byte(goodFile)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new string }{
		{"another schema", "primum-list/1", "primum-list/2"},
		{"no maker", "maker: Aldane\n", ""},
		{"a date that is none", `dated: "2026-11-24"`, `dated: "24.11.2026"`},
		{"an unknown field", "maker: Aldane\n", "maker: Aldane\nallows: everything\n"},
		{"a repeated field", "maker: Aldane\n", "maker: Aldane\nmaker: Corvus\n"},
		{"an alias", "words: Leave it.", "words: &w Leave it.\n    effect: *w"},
		{"a merge key", "words: Leave it.", "<<: {words: Leave it.}"},
		{"a tag that hides text", "words: Leave it.", "words: !!binary TGVhdmUgaXQu"},
		{"an anchor", "words: Leave it.", "words: &w Leave it."},
		{"a second document", "schema: primum-list/1", "schema: primum-list/1\n---\nschema: primum-list/1"},
		{"the same id twice", "id: good.deny", "id: good.allow"},
		{"an id in capitals", "id: good.deny", "id: Good.Deny"},
		{"an unknown type", "type: deny", "type: permit"},
		{"no evidence", "seen: full, provenance: test}]\n  - id: good.deny", "seen: full, provenance: test}]\n    evidence: []\n  - id: good.deny"},
		{"evidence without provenance", "seen: contents, provenance: test", "seen: contents"},
		{"evidence seen by nobody", "seen: contents", "seen: heard"},
		{"a deny without words", "    words: Leave it.\n", ""},
		{"a deny with an expiry", "words: Leave it.", "words: Leave it.\n    expires: \"2027-01-01\""},
		{"an unknown kind", "words: Leave it.", "words: Leave it.\n    kinds: [snmp.set]"},
		{"an allow without expiry", "    expires: \"2027-11-24\"\n", ""},
		{"an allow of any model", "models: [Vela]", "any_model: true"},
		{"an allow by network card", "models: [Vela]", `models: [Vela], ouis: ["00:10:5D"]`},
		{"an allow of any maker", "{manufacturers: [Aldane], models", "{any_manufacturer: true, models"},
		{"a deny of any maker", "{manufacturers: [Aldane], any_model: true", "{any_manufacturer: true, any_model: true"},
		{"a maker named and any", "{any_manufacturer: true", "{any_manufacturer: true, manufacturers: [Aldane]"},
		{"a routine allow of all versions", `versions: {compare: listed, is: ["1.0"]}}` + "\n    purpose: identify", "versions: {compare: listed, all: true}}\n    purpose: routine"},
		{"a never-port", `port: "161"`, `port: "53"`},
		{"a port with a sign", `port: "161"`, `port: "+161"`},
		{"a title in an SNMP question", `port: "161"`, `port: "161", calling_ae: PRIMUM`},
		{"a gap below the cap", "gap: 5s", "gap: 1s"},
		{"a connect of a datagram", "gap: 5s", "connect: 1s"},
		{"a port range backwards", "from: 9999, to: 9999", "from: 9999, to: 1"},
		{"a port range of no transport", "transport: tcp", "transport: sctp"},
		{"a network card of two octets", "00:10:5D", "00:10"},
		{"text that is not UTF-8", "Leave it.", "Leave \xff it."},
	} {
		text := strings.Replace(goodFile, c.old, c.new, 1)
		if text == goodFile {
			t.Errorf("%s: the change changed nothing", c.name)
		}
		if f, err := Load("bad.yaml", []byte(text)); err == nil || f != nil {
			t.Errorf("%s: loaded", c.name)
		} else if !strings.Contains(err.Error(), "bad.yaml") {
			t.Errorf("%s: the error does not name the file: %v", c.name, err)
		}
	}
	if _, err := Load("big.yaml", append([]byte(goodFile), make([]byte, MaxFileSize)...)); err == nil {
		t.Error("a file above MaxFileSize loaded")
	}
}

// FuzzLoad holds that whatever loads also compiles, and that its allowances carry valid limits.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(goodFile))
	f.Add([]byte("schema: primum-list/1\nname: n\nmaker: m\ndated: \"2026-01-01\"\nstatements: []\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var file *File
		var err error
		alloctest.Bounded(t, text, 1000, 4<<20, func() { file, err = Load("fuzz.yaml", text) })
		if err != nil {
			return
		}
		if _, err := New([]*File{file}, Site{Name: "s", Policy: Lab}); err != nil {
			t.Fatalf("it loads and does not compile: %v", err)
		}
		for _, s := range file.Statements {
			if len(s.Evidence) == 0 || s.Type == Allow && !s.Limits.Valid(s.Question.Kind) {
				t.Fatalf("%s loads with limits %+v and %d sources", s.ID, s.Limits, len(s.Evidence))
			}
		}
	})
}
