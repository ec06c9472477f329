package release_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	list "primum/safetylists"
	"primum/safetylists/permit"
	"primum/safetylists/release"
)

const allowFile = `schema: primum-list/1
name: aldane
maker: Aldane
dated: "2026-11-24"
statements:
  - id: aldane.allow
    type: allow
    product: {manufacturers: [Aldane], models: [Vela], versions: {compare: listed, is: ["1.0"]}}
    purpose: identify
    question: {kind: snmp.get, port: "161", oids: [1.3.6.1.2.1.1.1.0]}
    expires: "2027-11-24"
    evidence: [{kind: letter, title: T, publisher: P, date: "2026-01-01", says: S, seen: full, provenance: test}]
`

func now() time.Time { return time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC) }

func site(signOff string) []byte {
	approver := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	return fmt.Appendf(nil, `schema: primum-site/1
name: demo
facility: SITE
policy: real
min_approvers: 1
approvers: [{name: M. Lindqvist, key: %q}]
sign_offs: [%s]
`, permit.FormatPublic(approver), signOff)
}

func source(t *testing.T) release.Source {
	t.Helper()
	f, err := list.Load("aldane.yaml", []byte(allowFile))
	if err != nil {
		t.Fatal(err)
	}
	digest := hex.EncodeToString(f.Statements[0].Digest[:])
	issued := now().Add(-24 * time.Hour)
	return release.Source{Number: 3, Issued: issued, Expires: issued.AddDate(0, 0, 7), Files: map[string][]byte{"aldane.yaml": []byte(allowFile)},
		Site: site(`{statement: aldane.allow, digest: ` + digest + `, by: [M. Lindqvist], on: "2026-11-24"}`)}
}

func decide(t *testing.T, l *list.List) list.Decision {
	t.Helper()
	q, err := list.ParseQuery(list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: []string{"1.3.6.1.2.1.1.1.0"}})
	if err != nil {
		t.Fatal(err)
	}
	d := list.Device{ID: "1", Class: list.OtherClass, Claims: []list.Claim{{Source: list.CMMS, Manufacturer: "Aldane", Model: "Vela", Version: "1.0"}}}
	return l.Decide(d, q, now())
}

func staff() release.Staff { return release.NewStaff([]byte{1}) }

// fresh is the memory of somebody who was given the root and has seen nothing.
func fresh(t testing.TB) release.Memory {
	t.Helper()
	root, err := staff().Root()
	if err != nil {
		t.Fatal(err)
	}
	m, err := release.NewMemory(root)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestReleaseOpensAsItWasMade(t *testing.T) {
	s := source(t)
	b, err := release.Make(s, staff())
	if err != nil {
		t.Fatal(err)
	}
	r, m, err := release.Open(b, fresh(t), now())
	if err != nil {
		t.Fatal(err)
	}
	if r.Number != 3 || !r.Issued.Equal(s.Issued) || r.Digest.IsZero() || r.List.Site().Name != "demo" || len(r.Findings) > 0 {
		t.Errorf("opened as %+v", r)
	}
	if r.ExpiredAt(s.Expires.Add(-time.Second)) || !r.ExpiredAt(s.Expires) {
		t.Error("it does not expire at its end")
	}
	if dec := decide(t, r.List); !dec.Allowed() {
		t.Errorf("the signed-off question is refused: %s", dec.Reason)
	}
	again, err := release.Make(s, staff())
	if err != nil || !bytes.Equal(b, again) {
		t.Errorf("the same source made another bundle: %v", err)
	}
	// A mere new timestamp is the same release: plans and standing approvals name its digest.
	s.Timestamp, s.Issued, s.Expires = 4, s.Issued.Add(time.Hour), s.Expires.Add(time.Hour)
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	kept, err := release.ReadMemory(text)
	if err != nil {
		t.Fatal(err)
	}
	s.Issued = s.Issued.Add(-time.Hour) // the end of the other roles follows it
	renewed, err := release.Make(s, staff())
	if err != nil {
		t.Fatal(err)
	}
	r2, _, err := release.Open(renewed, kept, now())
	if err != nil || r2.Number != 3 || r2.Timestamp != 4 || r2.Digest != r.Digest || !r2.Expires.Equal(s.Issued.AddDate(0, 0, 7)) {
		t.Errorf("renewed: %+v %v", r2, err)
	}
}

func TestTamperedReleaseIsRefused(t *testing.T) {
	b, err := release.Make(source(t), staff())
	if err != nil {
		t.Fatal(err)
	}
	want, m, err := release.Open(b, fresh(t), now())
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(b); i += 61 {
		mutant := bytes.Clone(b)
		mutant[i] ^= 0x01
		if r, _, err := release.Open(mutant, m, now()); err == nil {
			t.Fatalf("octet %d changed: opened, digest %s for %s", i, r.Digest, want.Digest)
		}
	}
	other := release.NewStaff([]byte{2})
	root, err := other.Root()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := release.NewMemory(root)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := release.Open(b, stranger, now()); err == nil {
		t.Error("another root opens it")
	}
	for name, text := range map[string]string{
		"something after it": string(b) + "{}",
		"a space in it":      strings.Replace(string(b), `,"targets"`, `, "targets"`, 1),
		"an unknown field":   strings.Replace(string(b), `{"schema"`, `{"more":1,"schema"`, 1),
		"a file twice":       strings.Replace(string(b), `"targets":[`, `"targets":[{"name":"makers.yaml","bytes":""},`, 1),
		"a path upwards":     strings.Replace(string(b), `"site/site.yaml"`, `"site/../../x"`, 1),
		"an absolute path":   strings.Replace(string(b), `"site/site.yaml"`, `"/site/site.yaml"`, 1),
		"an empty segment":   strings.Replace(string(b), `"site/site.yaml"`, `"site//site.yaml"`, 1),
		"metadata elsewhere": strings.Replace(string(b), `"snapshot.json"`, `"../snapshot.json"`, 1),
		"nothing":            "",
	} {
		if _, _, err := release.Open([]byte(text), fresh(t), now()); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	if _, err := release.Decode(make([]byte, release.MaxSize+1)); err == nil {
		t.Error("a bundle without bound opens")
	}
}

func TestReleaseIsNotMadeOfWhatDoesNotCompile(t *testing.T) {
	for name, change := range map[string]func(*release.Source){
		"no number":                    func(s *release.Source) { s.Number = 0 },
		"it ends before its issue":     func(s *release.Source) { s.Expires = s.Issued },
		"a list file with a fault":     func(s *release.Source) { s.Files["bad.yaml"] = []byte("schema: other\n") },
		"a site file with a fault":     func(s *release.Source) { s.Site = []byte("schema: primum-site/1\n") },
		"a sign-off of nothing":        func(s *release.Source) { s.Files = nil },
		"the same statements twice":    func(s *release.Source) { s.Files["copy.yaml"] = s.Files["aldane.yaml"] },
		"a fictional maker, real site": func(s *release.Source) { s.Files["aldane.yaml"] = append([]byte("lab: true\n"), allowFile...) },
	} {
		s := source(t)
		change(&s)
		if _, err := release.Make(s, staff()); err == nil {
			t.Errorf("%s: made", name)
		}
	}
}

func TestSignOffOfAnOlderTextCountsForNothing(t *testing.T) {
	s := source(t)
	s.Files["aldane.yaml"] = bytes.Replace([]byte(allowFile), []byte(`["1.0"]`), []byte(`["1.0", "1.1"]`), 1)
	b, err := release.Make(s, staff())
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := release.Open(b, fresh(t), now())
	if err != nil {
		t.Fatal(err)
	}
	if dec := decide(t, r.List); dec.Reason != list.NotSignedOff {
		t.Errorf("a widened allowance is %s", dec.Reason)
	}
}

// DESIGN 6.18: at most 7 days after its issue, whatever the timestamp claims.
func TestATimestampThatClaimsMoreThanAWeekEndsAfterAWeek(t *testing.T) {
	s := source(t)
	s.Expires = s.Issued.AddDate(1, 0, 0)
	b, err := release.Make(s, staff())
	if err != nil {
		t.Fatal(err)
	}
	week := s.Issued.AddDate(0, 0, 7)
	if r, _, err := release.Open(b, fresh(t), week.Add(-time.Second)); err != nil || !r.Expires.Equal(week) {
		t.Errorf("a moment before: %v %v", r, err)
	}
	if _, _, err := release.Open(b, fresh(t), week); !errors.Is(err, release.ErrExpired) {
		t.Errorf("a week after its issue: %v", err)
	}
	if _, _, err := release.Open(b, fresh(t), s.Issued.Add(-time.Hour)); err == nil {
		t.Error("issued in an hour from now: opened")
	}
	if r, _, err := release.Reopen(b, fresh(t)); err != nil || !r.ExpiredAt(week) {
		t.Errorf("one that was accepted before: %v", err)
	}
}
