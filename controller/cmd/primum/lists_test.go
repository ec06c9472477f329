package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
	"primum/safetylists/permit"
	"primum/safetylists/release"
)

const allowance = `schema: primum-list/1
name: aldane
maker: Aldane
dated: "2026-11-24"
statements:
  - id: aldane.allow
    type: allow
    product: {manufacturers: [Aldane], models: [Vela], versions: {compare: listed, is: ["1.0"]}}
    purpose: identify
    question: {kind: snmp.get, port: "161", oids: [1.3.6.1.2.1.1.1.0]}
    expires: "2099-11-24"
    evidence: [{kind: letter, title: T, publisher: P, date: "2026-01-01", says: S, seen: full, provenance: test}]
`

func TestAnApproversKeyIsAPairAndNeverOverwritten(t *testing.T) {
	key := filepath.Join(t.TempDir(), "approver.key")
	public, complaints, code := command(nil, "key", "new", "--out", key)
	want(t, "key", complaints, code, exitDone)
	before, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	pub, pubErr := permit.ParsePublic(public)
	private, err := permit.ParsePrivate(string(before))
	if err != nil || pubErr != nil || !pub.Equal(private.Public().(ed25519.PublicKey)) {
		t.Fatalf("the two keys are not a pair: %v %v", err, pubErr)
	}
	_, complaints, code = command(nil, "key", "new", "--out", key)
	want(t, "a key that is there", complaints, code, exitUsage, "is there already")
	if after, err := os.ReadFile(key); err != nil || string(after) != string(before) {
		t.Errorf("the key was overwritten: %v", err)
	}
}

// desk is a folder with keys of many persons, and the repository beside it.
type desk struct {
	t        *testing.T
	dir, pad string
}

func (d desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d desk) run(code int, words []string, args ...string) string {
	d.t.Helper()
	out, complaints, got := command(nil, append([]string{"list"}, args...)...)
	want(d.t, strings.Join(args[:2], " "), out+complaints, got, code, words...)
	return out
}

func (d desk) sign(code int, role, key string, words ...string) {
	d.t.Helper()
	d.run(code, words, "sign", d.path("repo"), role, "--key", d.path(key), "--passphrase-file", d.pad)
}

// folder is everything that lies in the repository.
func (d desk) folder() string {
	d.t.Helper()
	b, err := readBundle(d.path("repo"))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(b)
}

// DESIGN 6.18: each person signs with a key of their own, root 2 of 3, and the publisher renews the
// timestamp with a key that can sign nothing else. What is refused changes nothing.
func TestAReleaseIsMadeByManyHandsAndPublishedAsItIs(t *testing.T) {
	d := desk{t: t, dir: t.TempDir()}
	d.pad = put(t, d.path("pad"), "a long enough phrase\n")
	d.run(exitUsage, []string{"at least 10"}, "key", "--out", d.path("short"), "--passphrase-file", put(t, d.path("short-pad"), "short\n"))
	for _, name := range []string{"root1", "root3", "board", "snapshot", "timestamp", "aldane"} {
		d.run(exitDone, nil, "key", "--out", d.path(name), "--passphrase-file", d.pad)
	}
	if _, complaints, code := command(nil, "key", "new", "--out", d.path("root2")); code != exitDone {
		t.Fatal(complaints)
	}
	if text, err := os.ReadFile(d.path("root1")); err != nil || !strings.Contains(string(text), "OPENSSH PRIVATE KEY") {
		t.Fatalf("%.40s %v", text, err)
	}
	if _, err := readListKey(&env{err: os.Stderr}, d.path("root1"), passphrase{put(t, d.path("wrong"), "another phrase\n")}); err == nil {
		t.Error("a wrong passphrase opens a key")
	}
	init := []string{"init", d.path("repo"), "--targets-key", d.path("board.pub"), "--snapshot-key", d.path("snapshot.pub"), "--board-key", d.path("board.pub"), "--site-key", d.path("board.pub"),
		"--root-key", d.path("root1.pub"), "--root-key", d.path("root2.pub"), "--root-key", d.path("root3.pub")}
	d.run(exitUsage, []string{"may sign nothing else"}, append(init, "--timestamp-key", d.path("snapshot.pub"))...)
	d.run(exitDone, []string{"Nothing is signed yet"}, append(init, "--timestamp-key", d.path("timestamp.pub"))...)
	d.run(exitDone, []string{"aldane may sign manufacturers/aldane"}, "delegate", d.path("repo"), "aldane", "--key", d.path("aldane.pub"), "--spelling", "Aldane", "--arc", "1.3.6.1.4.1.99991")

	person, complaints, code := command(nil, "key", "new", "--out", d.path("approver"))
	want(t, "approver", complaints, code, exitDone)
	listFile := put(t, d.path("aldane.yaml"), allowance)
	digest := strings.Fields(d.run(exitDone, nil, "digests", listFile))[1]
	for name, text := range map[string]string{"repo/targets/manufacturers/aldane/vela.yaml": allowance,
		"repo/targets/site/site.yaml": fmt.Sprintf("schema: primum-site/1\nname: demo\nfacility: S\npolicy: real\nmin_approvers: 1\napprovers: [{name: me, key: %q}]\n"+
			"sign_offs: [{statement: aldane.allow, digest: %s, by: [me], on: \"2026-11-24\"}]\n", strings.TrimSpace(person), digest)} {
		if err := os.MkdirAll(filepath.Dir(d.path(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		put(t, d.path(name), text)
	}
	d.sign(exitDone, "root", "root1", "1 of 2")
	d.sign(exitDone, "targets", "board", "1 of 1")
	d.run(exitUsage, []string{"signed nothing yet: safety-board, aldane, site.", "nothing was changed"}, "release", d.path("repo"), "--key", d.path("snapshot"), "--passphrase-file", d.pad)
	d.sign(exitDone, "safety-board", "board", "1 of 1")
	d.sign(exitDone, "site", "board", "1 of 1")
	d.sign(exitDone, "aldane", "aldane", "1 allow", "1 of 1")
	before := d.folder()
	d.sign(exitUsage, "aldane", "snapshot", "is not one of its keys", "nothing was changed")
	d.sign(exitUsage, "globex", "snapshot", "names no maker globex")
	stamp := []string{"--passphrase-file", d.pad, "--timestamp-key", d.path("timestamp"), "--out", d.path("bundle")}
	rel := append([]string{"release", d.path("repo"), "--key", d.path("snapshot")}, stamp...)
	d.run(exitUsage, []string{"root", "not enough signatures, got 1, want 2"}, rel...)
	if d.folder() != before {
		t.Error("a refused command changed the folder")
	}
	d.sign(exitDone, "root", "root3", "2 of 2")
	d.run(exitDone, []string{"Release 1, timestamp 1", "1 of them allow", "primum list publish"}, rel...)
	d.sign(exitUsage, "aldane", "aldane", "this version was released", "--renew")
	d.run(exitUsage, []string{"1 to 7 days"}, "timestamp", d.path("repo"), "--key", d.path("timestamp"), "--passphrase-file", d.pad, "--days", "8")
	d.run(exitDone, []string{"Release 1, timestamp 2"}, "timestamp", d.path("repo"), "--key", d.path("timestamp"), "--passphrase-file", d.pad, "--out", d.path("bundle"))
	root := d.path("repo/metadata/1.root.json")
	for _, path := range []string{d.path("bundle"), d.path("repo")} {
		d.run(exitDone, []string{"Release 1, timestamp 2, for site demo (real policy)", "aldane version 1"}, "verify", path, "--root", root)
	}
	text, err := os.ReadFile(d.path("bundle"))
	if err != nil {
		t.Fatal(err)
	}
	other := put(t, d.path("other"), strings.Replace(string(text), "primum-bundle/1", "primum-bundle/2", 1))
	d.run(exitRefused, []string{"refused", "primum-bundle/2"}, "verify", other, "--root", root)

	m, err := release.NewMemory([]byte(read(t, root)))
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := release.Open(text, m, time.Now())
	if err != nil || r.List.Statement("aldane.allow") == nil || r.List.Site().Policy != list.Real {
		t.Fatal(r, err)
	}
	s := serve(t, answers{"PublishRelease": says(&adminv1.ListRelease{Number: 1, Site: "demo", Digest: r.Digest[:]})})
	out, _, code := s.primum(nil, "list", "publish", d.path("bundle"))
	want(t, "publish", out, code, exitDone, "Release 1 for site demo", r.Digest.String())
	if got := one[*adminv1.PublishReleaseRequest](t, s); string(got.GetBundle()) != string(text) {
		t.Error("another bundle was published")
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A file that cannot be read hides the faults of no other.
func TestLintNamesTheFaultsOfEveryFile(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(name+": 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, complaints, code := command(nil, "list", "lint", dir)
	want(t, "lint", out+complaints, code, exitUsage, "field a is not a field here", "field b is not a field here")
}

func TestLintOfASiteFileSaysWhatChecksOne(t *testing.T) {
	site := filepath.Join(t.TempDir(), "site.yaml")
	if err := os.WriteFile(site, []byte("# ours\nschema: primum-site/1\nname: demo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, complaints, code := command(nil, "list", "lint", site)
	want(t, "lint", out+complaints, code, exitUsage, "is a site file and no list file", "primum list sign REPO site")
}

// Nor does one that is not there or too large.
func TestLintGoesOnAfterAFileThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	bad, large := filepath.Join(dir, "bad.yaml"), filepath.Join(dir, "large.yaml")
	if err := errors.Join(os.WriteFile(bad, []byte("a: 1\n"), 0o600), os.WriteFile(large, make([]byte, 1<<20+1), 0o600)); err != nil {
		t.Fatal(err)
	}
	out, complaints, code := command(nil, "list", "lint", filepath.Join(dir, "gone.yaml"), large, bad)
	want(t, "lint", out+complaints, code, exitUsage, "there is no list file", "at most 1048576", "field a is not a field here")
}

// What should be mended in a file that loads is said beside the fault of one that does not.
func TestLintNamesWhatToMendBesideAFileThatDoesNotLoad(t *testing.T) {
	dir := t.TempDir()
	begun := filepath.Join(dir, "begun.yaml")
	if out, complaints, code := command(nil, "list", "new", begun, "--maker", "Corvus", "--model", "One"); code != 0 {
		t.Fatal(out, complaints)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("a: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, complaints, code := command(nil, "list", "lint", dir)
	want(t, "lint", out+complaints, code, exitUsage, "field a is not a field here", "still has a place to be filled in")
}

// A maker's own question that no allowance knows is refused in words, as every other, and says where to look.
func TestExplainRefusesAVendorsQuestionThatNobodyApproved(t *testing.T) {
	lab := filepath.Join("..", "..", "..", "plugins", "lab", "lists")
	for name, more := range map[string][]string{"another model": {"--model", "Vela Rack 3"}, "another port": {"--model", "Vela Rack 2", "--port", "99"}} {
		out, complaints, code := command(nil, append([]string{"list", "explain", "--kind", "tcp.aldane.status", "--maker", "Aldane Medical", "--in", lab}, more...)...)
		want(t, name, out+complaints, code, exitDone, "tcp.aldane.status: NOT_APPROVED", "The device was not asked", "compare maker, model and port")
	}
	out, complaints, code := command(nil, "list", "explain", "--persons", "7")
	want(t, "persons", out+complaints, code, exitUsage, "0, 1 or 2")
}
