package main

import (
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// Every command that works without a controller answers --output json with JSON and nothing else; those
// with a controller print its messages (TestJSONIsTheMessageOfTheController and others).
func TestEveryCommandWithoutAControllerSpeaksJSON(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	file := put(t, at("aldane.yaml"), allowance)
	other := put(t, at("other.yaml"), strings.Replace(allowance, `["1.0"]`, `["1.0", "1.1"]`, 1))
	pad := put(t, at("pad"), "a long enough phrase\n")
	keys := []string{"--passphrase-file", pad}
	for _, name := range []string{"root", "board", "snapshot", "timestamp", "aldane"} {
		if _, complaints, code := command(nil, append([]string{"list", "key", "--out", at(name)}, keys...)...); code != exitDone {
			t.Fatal(complaints)
		}
	}
	person, complaints, code := command(nil, "key", "new", "--out", at("approver"))
	want(t, "approver", complaints, code, exitDone)
	site := put(t, at("site.yaml"), "schema: primum-site/1\nname: demo\nfacility: S\npolicy: real\nmin_approvers: 1\napprovers: [{name: me, key: \""+strings.TrimSpace(person)+"\"}]\n")
	advisory := put(t, at("a.json"), `{}`)
	root := at("demo/metadata/1.root.json")
	tried := map[string]bool{}
	for _, c := range []struct {
		code int
		has  []string // keys of the document
		args []string
	}{
		{exitDone, []string{"version"}, []string{"version"}},
		{exitDone, []string{"file", "publicKey"}, []string{"key", "new", "--out", at("another")}},
		{exitDone, []string{"key", "file", "publicKey"}, append([]string{"list", "key", "--out", at("listkey")}, keys...)},
		{exitDone, []string{"said"}, []string{"list", "init", at("repo"), "--root-key", at("root.pub"), "--root-threshold", "1", "--targets-key", at("board.pub"), "--snapshot-key", at("snapshot.pub"),
			"--timestamp-key", at("timestamp.pub"), "--board-key", at("board.pub"), "--site-key", at("board.pub")}},
		{exitDone, []string{"said"}, []string{"list", "delegate", at("repo"), "aldane", "--key", at("aldane.pub"), "--spelling", "Aldane"}},
		{exitDone, []string{"said"}, append([]string{"list", "sign", at("repo"), "root", "--key", at("root")}, keys...)},
		{exitUsage, nil, append([]string{"list", "release", at("repo"), "--key", at("snapshot")}, keys...)},
		{exitUsage, nil, append([]string{"list", "timestamp", at("repo"), "--key", at("timestamp")}, keys...)},
		{exitUsage, nil, []string{"list", "accept", at("repo"), at("repo"), "aldane"}},
		{exitDone, []string{"said"}, []string{"list", "demo", at("demo"), "--site", site, file}},
		{exitDone, []string{"number", "timestamp", "site", "policy", "statements", "allow", "deny", "issued", "expires", "digest", "roles"}, []string{"list", "verify", at("demo"), "--root", root}},
		{exitDone, []string{"digests"}, []string{"list", "digests", file}},
		{exitDone, []string{"statement", "digest", "on", "by", "signature"}, []string{"list", "signoff", "aldane.allow", "--key", at("approver"), "--by", "me", "--in", file}},
		{exitDone, []string{"file"}, []string{"list", "new", at("new.yaml"), "--maker", "Aldane", "--model", "Vela"}},
		{exitUsage, []string{"statements", "files", "findings"}, []string{"list", "lint", file}},
		{exitDone, []string{"statements", "files"}, []string{"list", "lint", "shipped"}},
		{exitDone, []string{"examples", "files"}, []string{"list", "test", "shipped"}},
		{exitDone, []string{"changes"}, []string{"list", "diff", file, other}},
		{exitDone, []string{"question", "reason", "what", "why", "do", "statements", "evidence"}, []string{"list", "explain", "--maker", "Dräger", "--model", "Infinity Delta"}},
		{exitDone, []string{"statements"}, []string{"list", "search", "ripple20"}},
		{exitUsage, []string{"files", "read", "failed"}, []string{"advisory", "read", advisory}},
	} {
		out, complaints, code := command(nil, append(c.args, "--output", "json")...)
		name := strings.Join(c.args[:min(2, len(c.args))], " ")
		tried[name] = true
		want(t, name, complaints, code, c.code)
		if c.has == nil {
			continue
		}
		var doc map[string]any
		if err := json.Unmarshal([]byte(out), &doc); err != nil {
			t.Errorf("%s: %v: %q", name, err, out)
			continue
		}
		for _, key := range c.has {
			if doc[key] == nil {
				t.Errorf("%s has no %s: %v", name, key, slices.Sorted(maps.Keys(doc)))
			}
		}
	}
	var walk func(n *kong.Node, path string)
	walk = func(n *kong.Node, path string) {
		for _, child := range n.Children {
			walk(child, strings.TrimSpace(path+" "+child.Name))
		}
		if n.Type == kong.CommandNode && n.Leaf() && strings.HasPrefix(path, "list ") && !tried[path] && !slices.Contains([]string{"list publish", "list show", "list request"}, path) {
			t.Errorf("%s was not tried", path)
		}
	}
	parser, err := kong.New(&commandLine{}, kong.Writers(io.Discard, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	walk(parser.Model.Node, "")
}

// What goes wrong on one file is said of that file, and the others are read.
func TestAnAdvisoryThatIsTooLargeKeepsNoOtherOut(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a.json"), "{")
	if err := os.Truncate(put(t, filepath.Join(dir, "b.json"), "{"), 60_000_000); err != nil {
		t.Fatal(err)
	}
	out, complaints, code := command(nil, "advisory", "read", dir)
	want(t, "advisory read", out+complaints, code, exitUsage, "0 of 2 files read", "2 files not read", "a.json", "b.json", "60000000 octets")
	out, complaints, code = command(nil, "advisory", "read", filepath.Join(dir, "a.json"))
	want(t, "advisory read", out+complaints, code, exitUsage, "0 of 1 file read", "1 file not read: ")
}
