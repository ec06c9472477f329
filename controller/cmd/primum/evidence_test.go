package main

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"primum/safetylists/evidence"
)

// kept is the journal of an agent with one signed head, as an export and as what a witness keeps of it.
func kept(t *testing.T, s evidence.Signer, incarnation string, at time.Time) (export, head []byte) {
	t.Helper()
	raw, _, err := (evidence.Head{}).Next(evidence.Record{At: at, Kind: evidence.Begun, Incarnation: incarnation}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	var tree evidence.Tree
	tree.Add(raw)
	root, err := tree.Root()
	if err != nil {
		t.Fatal(err)
	}
	note, err := s.Sign(evidence.TreeHead{Agent: "icu", Incarnation: incarnation, Size: 1, Root: root, At: at})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	x := evidence.NewExporter(&b, "icu", incarnation, s.Verifier())
	x.Record(raw)
	x.Head(note)
	if err := x.End(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), append(note, '\n')
}

// H-029: whoever has the database cannot leave a whole journal out: the witness tells of it, and who verifies another one reads that.
func TestAWitnessTellsOfAJournalThatWasLeftOut(t *testing.T) {
	text, _, err := evidence.NewEvidenceKey(rand.Reader, "icu")
	if err != nil {
		t.Fatal(err)
	}
	s, err := evidence.NewSigner(text)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)
	one, two := strings.Repeat("1a", 16), strings.Repeat("2b", 16)
	export, first := kept(t, s, one, at)
	_, second := kept(t, s, two, at.Add(time.Hour))
	dir := t.TempDir()
	for name, b := range map[string][]byte{"export": export, "its": first, "both": append(bytes.Clone(first), second...), "other": second} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify := func(witness string, args ...string) (string, string, int) {
		return command(nil, append([]string{"evidence", "verify", filepath.Join(dir, "export"), "--witness", filepath.Join(dir, witness)}, args...)...)
	}
	out, complaints, code := verify("its")
	if want(t, "one journal", out, code, exitDone, "Whole: 1 records", "1 heads of it"); complaints != "" || strings.Contains(out, "another journal") {
		t.Errorf("%s %s", out, complaints)
	}
	out, _, code = verify("both")
	want(t, "two journals", out, code, exitDone, "1 heads of it", "another journal of this agent, "+two, "of at least 1 records", "2026-11-24 03:00:00Z", "--incarnation "+two)
	out, _, code = verify("both", "--output", "json")
	want(t, "two journals, in JSON", out, code, exitDone, `"other_journals"`, two)
	out, complaints, code = verify("other")
	want(t, "none of it", out+complaints, code, exitUsage, "no head of this journal", two)
}
