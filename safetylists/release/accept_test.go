package release

import (
	"crypto/ed25519"
	"fmt"
	"maps"
	"strings"
	"testing"

	"primum/safetylists/permit"
)

func siteFile() []byte {
	approver := key("approver", 0).Public().(ed25519.PublicKey)
	return fmt.Appendf(nil, "schema: primum-site/1\nname: demo\nfacility: F\npolicy: lab\nmin_approvers: 1\napprovers: [{name: a, key: %q}]\n", permit.FormatPublic(approver))
}

// copyOf is what a manufacturer has: the repository, in a folder of its own.
func copyOf(b Bundle) Bundle {
	return Bundle{Metadata: maps.Clone(b.Metadata), Targets: maps.Clone(b.Targets)}
}

// A manufacturer signs in its copy; of the copy nothing but its own files and metadata is taken, and only
// as it was signed with its own keys.
func TestASignedAnswerIsTakenAndNothingElseOfTheCopy(t *testing.T) {
	staff := NewStaff([]byte("test"))
	first := file("acme-1", "Acme", denial("acme.first", "Acme", "Pump"))
	src := Source{Number: 1, Issued: testNow(), Expires: testNow().AddDate(0, 0, 7), Site: siteFile(),
		Files: map[string][]byte{"acme-1.yaml": []byte(strings.Replace(string(first), "dated", "lab: true\ndated", 1)), "board.yaml": file("board", "Globex", denial("board.first", "Globex", "Scanner"))}}
	repository, err := src.Make(staff)
	must(t, err)
	newer := []byte(strings.Replace(string(file("acme-2", "Acme", allowing("acme.allow", "Acme", "Pump 2"))), "dated", "lab: true\ndated", 1))
	answer := func(change func(Bundle)) Bundle {
		c := copyOf(repository)
		c.Targets["manufacturers/acme/acme-2.yaml"] = newer
		if change != nil {
			change(c)
		}
		_, err := c.Stage("acme", testUntil(), false, nil)
		must(t, err)
		_, _, err = c.Sign("acme", staff.Key("acme", 0), false)
		must(t, err)
		return c
	}
	good := answer(nil)
	good.Targets["safety-board/board.yaml"] = []byte("changed")
	good.Metadata["safety-board.json"] = []byte("changed")
	taken := copyOf(repository)
	must(t, taken.Accept("acme", good, testNow()))
	if string(taken.Targets["manufacturers/acme/acme-2.yaml"]) != string(newer) || string(taken.Targets["safety-board/board.yaml"]) == "changed" || string(taken.Metadata["safety-board.json"]) == "changed" {
		t.Error("not the answer alone was taken")
	}
	if err := taken.Accept("acme", good, testNow()); err == nil || !strings.Contains(err.Error(), "not newer") {
		t.Errorf("the same answer again: %v", err)
	}
	unsigned := answer(nil)
	unsigned.Metadata["acme.json"] = []byte(strings.Replace(string(unsigned.Metadata["acme.json"]), `"sig": "`, `"sig": "00`, 1))
	other := copyOf(repository)
	other.Targets["manufacturers/acme/acme-2.yaml"] = newer
	_, err = other.Stage("acme", testUntil(), false, nil)
	must(t, err)
	_, _, err = other.Sign("acme", staff.Key("globex", 0), true)
	must(t, err)
	swapped := answer(nil)
	swapped.Targets["manufacturers/acme/acme-2.yaml"] = append([]byte("# "), newer...)
	beyond := copyOf(repository) // with a copy of makers.yaml that says more
	beyond.Targets[MakersPath] = []byte(strings.Replace(string(beyond.Targets[MakersPath]), "- Acme", "- Acme\n        - Globex", 1))
	beyond.Targets["manufacturers/acme/acme-2.yaml"] = []byte(strings.ReplaceAll(string(newer), "Acme", "Globex"))
	_, err = beyond.Stage("acme", testUntil(), false, nil)
	must(t, err)
	_, _, err = beyond.Sign("acme", staff.Key("acme", 0), false)
	must(t, err)
	for name, c := range map[string]struct {
		role string
		from Bundle
		says string
	}{
		"a role that nobody delegated":  {"initech", good, "nobody has delegated"},
		"the board, which is not newer": {"safety-board", repository, "not newer"},
		"an altered signature":          {"acme", unsigned, "acme"},
		"another's key":                 {"acme", other, "is not signed by 1 of the keys"},
		"another file than was signed":  {"acme", swapped, "is not the file that was signed"},
		"another maker's product":       {"acme", beyond, `it speaks of "globex"`},
		"nothing":                       {"acme", Bundle{}, "is not in what came back"},
	} {
		b := copyOf(repository)
		if err := b.Accept(c.role, c.from, testNow()); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if !maps.EqualFunc(b.Metadata, repository.Metadata, func(x, y []byte) bool { return string(x) == string(y) }) || len(b.Targets) != len(repository.Targets) {
			t.Errorf("%s: something was taken", name)
		}
	}
	if err := copyOf(repository).Accept("acme", good, testUntil().AddDate(1, 0, 0)); err == nil || !strings.Contains(err.Error(), "ended on") {
		t.Errorf("an answer that has ended: %v", err)
	}
}
