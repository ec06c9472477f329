package release

import (
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	list "primum/safetylists"
	"primum/safetylists/permit"
)

func testNow() time.Time   { return time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC) }
func testUntil() time.Time { return testNow().AddDate(1, 0, 0) }

func key(role string, n int) ed25519.PrivateKey { return NewStaff([]byte("test")).Key(role, n) }

func signers(threshold int, keys ...ed25519.PrivateKey) Signers {
	s := Signers{Threshold: threshold}
	for _, k := range keys {
		s.Keys = append(s.Keys, k.Public().(ed25519.PublicKey))
	}
	return s
}

// must ends a test, and a property, at the first error of preparing it.
func must(t interface{ Fatal(...any) }, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

const evidenceLine = `evidence: [{kind: letter, title: T, publisher: P, date: "2026-01-01", says: S, seen: full, provenance: test}]`

func denial(id, maker, model string) string {
	return fmt.Sprintf("- {id: %s, type: deny, product: {manufacturers: [%s], models: [%s], versions: {compare: dotted, all: true}}, words: It stops., trigger: {class: ordinary, words: W}, effect: {classes: [reboot], words: E}, %s}\n",
		id, maker, model, evidenceLine)
}

func allowing(id, maker, model string) string {
	return fmt.Sprintf("- {id: %s, type: allow, purpose: identify, product: {manufacturers: [%s], models: [%s], versions: {compare: listed, is: [\"1.0\"]}}, question: {kind: snmp.get, port: \"161\", oids: [1.3.6.1.2.1.1.1.0]}, expires: \"2027-06-01\", %s}\n",
		id, maker, model, evidenceLine)
}

func knowing(id, maker, identity string) string {
	return fmt.Sprintf("- {id: %s, type: fingerprint, product: {manufacturers: [%s], models: [M], versions: {compare: opaque, all: true}}, identity: {%s}, %s}\n", id, maker, identity, evidenceLine)
}

func file(name, maker string, statements ...string) []byte {
	return []byte("schema: primum-list/1\nname: " + name + "\nmaker: " + maker + "\ndated: 2026-11-24\nstatements:\n" + strings.Join(statements, ""))
}

// world is a repository with the makers acme (2 of 3 keys) and globex, and everybody's keys.
func world(t interface{ Fatal(...any) }) Bundle {
	b := Bundle{Metadata: map[string][]byte{}, Targets: map[string][]byte{}}
	must(t, b.StageRoot(NewStaff([]byte("test")).roles(), rootUntil()))
	for n := range 2 {
		_, _, err := b.Sign(metadata.ROOT, key(metadata.ROOT, n), false)
		must(t, err)
	}
	makers, err := WriteMakers([]Maker{{"acme", []string{"Acme"}, []string{"1.3.6.1.4.1.99991"}}, {"globex", []string{"Globex"}, []string{"1.3.6.1.4.1.99992"}}})
	must(t, err)
	approver := key("approver", 0).Public().(ed25519.PublicKey)
	b.Targets = map[string][]byte{MakersPath: makers,
		"safety-board/a.yaml":         file("board", "Board", denial("board.deny", "Other", "X1")),
		"manufacturers/acme/a.yaml":   file("acme", "Acme", denial("acme.deny", "Acme", "M1"), allowing("acme.allow", "Acme", "M2")),
		"manufacturers/globex/a.yaml": file("globex", "Globex", denial("globex.deny", "Globex", "G1"), allowing("globex.allow", "Globex", "G2")),
		SitePath:                      fmt.Appendf(nil, "schema: primum-site/1\nname: demo\nfacility: F\npolicy: real\nmin_approvers: 1\napprovers: [{name: a, key: %q}]\n", permit.FormatPublic(approver))}
	must(t, b.Delegate(Board, signers(1, key(Board, 0)), testUntil()))
	must(t, b.Delegate("acme", signers(2, key("acme", 0), key("acme", 1), key("acme", 2)), testUntil()))
	must(t, b.Delegate("globex", signers(1, key("globex", 0)), testUntil()))
	must(t, b.Delegate(Site, signers(1, key(Site, 0)), testUntil()))
	for _, role := range []string{Board, "acme", "globex", Site, metadata.TARGETS} {
		restage(t, b, role)
	}
	seal(t, b)
	return b
}

// restage stages a role anew and signs it with the keys that are its own at first.
func restage(t interface{ Fatal(...any) }, b Bundle, role string) {
	_, err := b.Stage(role, testUntil(), true, nil)
	must(t, err)
	n := 1
	if role == "acme" {
		n = 2
	}
	for i := range n {
		_, _, err := b.Sign(role, key(role, i), true)
		must(t, err)
	}
}

// seal makes snapshot and timestamp of whatever lies in the bundle, also of what nobody should make.
func seal(t interface{ Fatal(...any) }, b Bundle) {
	sealUntil(t, b, testUntil(), testNow(), testNow().AddDate(0, 0, 7))
}

func sealUntil(t interface{ Fatal(...any) }, b Bundle, snapshotEnd, issued, timestampEnd time.Time) {
	version := func(text []byte) int64 {
		var v struct {
			Signed struct {
				Version int64 `json:"version"`
			} `json:"signed"`
		}
		_ = json.Unmarshal(text, &v) // what cannot be read has version 0
		return v.Signed.Version
	}
	meta := map[string]metaShape{}
	for name, text := range b.Metadata {
		if name != snapshotFile && name != timestampFile && !strings.HasSuffix(name, ".root.json") {
			meta[name] = metaShape{int64(len(text)), hashesOnly{hexSum(text)}, version(text)}
		}
	}
	must(t, write(b, snapshotFile, snapshotShape{head(metadata.SNAPSHOT, version(b.Metadata[snapshotFile])+1, snapshotEnd), meta}))
	b.Metadata[snapshotFile] = sign(t, metadata.Snapshot(), b.Metadata[snapshotFile], key(metadata.SNAPSHOT, 0))
	stamp(t, b, version(b.Metadata[timestampFile])+1, issued, timestampEnd)
}

func stamp(t interface{ Fatal(...any) }, b Bundle, version int64, issued, end time.Time) {
	s, err := read[snapshotShape](metadata.SNAPSHOT, b.Metadata[snapshotFile])
	must(t, err)
	must(t, write(b, timestampFile, timestampShape{head(metadata.TIMESTAMP, version, end),
		map[string]metaShape{snapshotFile: {int64(len(b.Metadata[snapshotFile])), hashesOnly{hexSum(b.Metadata[snapshotFile])}, s.Signed.Version}}, second(issued)}))
	b.Metadata[timestampFile] = sign(t, metadata.Timestamp(), b.Metadata[timestampFile], key(metadata.TIMESTAMP, 0))
}

// sign signs as go-tuf does, whatever the text says, and drops what was signed before.
func sign[T metadata.Roles](t interface{ Fatal(...any) }, md *metadata.Metadata[T], text []byte, keys ...ed25519.PrivateKey) []byte {
	_, err := md.FromBytes(text)
	must(t, err)
	md.Signatures = []metadata.Signature{}
	for _, k := range keys {
		s, err := signature.LoadSigner(k, crypto.Hash(0))
		must(t, err)
		_, err = md.Sign(s)
		must(t, err)
	}
	out, err := md.ToBytes(true)
	must(t, err)
	return out
}

// edit changes the signed part of a metadata file by hand.
func edit(t interface{ Fatal(...any) }, b Bundle, name string, by func(map[string]any)) {
	var m map[string]any
	must(t, json.Unmarshal(b.Metadata[name], &m))
	by(m["signed"].(map[string]any))
	text, err := json.Marshal(m)
	must(t, err)
	b.Metadata[name] = text
}

func believing(t interface{ Fatal(...any) }, b Bundle) Memory {
	m, err := NewMemory(b.Metadata[rootFile(1)])
	must(t, err)
	return m
}

func (b Bundle) clone() Bundle { return Bundle{maps.Clone(b.Metadata), maps.Clone(b.Targets)} }

func denied(l *list.List, maker, model string) bool {
	q, err := list.ParseQuery(list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: []string{"1.3.6.1.2.1.1.1.0"}})
	d := list.Device{ID: "1", Class: list.OtherClass, Claims: []list.Claim{{Source: list.CMMS, Manufacturer: maker, Model: model, Version: "1.0"}}}
	return err == nil && l.Decide(d, q, testNow()).Reason == list.Denied
}

func found(r *Release, words string) bool {
	return slices.ContainsFunc(r.Findings, func(f string) bool { return strings.Contains(f, words) })
}

func TestTheWorldOfTheseTestsIsGood(t *testing.T) {
	b := world(t)
	r, m, err := b.Open(believing(t, b), testNow())
	if err != nil || len(r.Findings) > 0 || len(m.Holds) != 3 {
		t.Fatal(r, err)
	}
	for _, d := range [][2]string{{"Other", "X1"}, {"Acme", "M1"}, {"Globex", "G1"}} {
		if !denied(r.List, d[0], d[1]) {
			t.Errorf("%v is not denied", d)
		}
	}
	if denied(r.List, "Acme", "M2") || r.List.Statement("globex.allow") == nil {
		t.Error("too much is denied, or an allowance is gone")
	}
}
