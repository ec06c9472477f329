package release_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
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

func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func site(signOff string) []byte {
	return fmt.Appendf(nil, `schema: primum-site/1
name: demo
facility: SITE
policy: real
min_approvers: 1
approvers: [{name: M. Lindqvist, key: %q}]
sign_offs: [%s]
`, permit.FormatPublic(public(key(9))), signOff)
}

func source(t *testing.T) release.Source {
	t.Helper()
	f, err := list.Load("aldane.yaml", []byte(allowFile))
	if err != nil {
		t.Fatal(err)
	}
	digest := hex.EncodeToString(f.Statements[0].Digest[:])
	issued := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
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
	return l.Decide(d, q, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC))
}

func TestReleaseOpensAsItWasMade(t *testing.T) {
	s := source(t)
	b, err := release.Make(s, key(1))
	if err != nil {
		t.Fatal(err)
	}
	r, err := release.Open(b, public(key(1)))
	if err != nil {
		t.Fatal(err)
	}
	if r.Number != 3 || !r.Issued.Equal(s.Issued) || r.Digest.IsZero() || r.List.Site().Name != "demo" {
		t.Errorf("opened as %+v", r)
	}
	if r.ExpiredAt(s.Expires.Add(-time.Second)) || !r.ExpiredAt(s.Expires) {
		t.Error("it does not expire at its end")
	}
	if dec := decide(t, r.List); !dec.Allowed() {
		t.Errorf("the signed-off question is refused: %s %s", dec.Reason, dec.Detail())
	}
	again, err := release.Make(s, key(1))
	if err != nil || !bytes.Equal(b, again) {
		t.Errorf("the same source made another bundle: %v", err)
	}
}

func TestTamperedReleaseIsRefused(t *testing.T) {
	b, err := release.Make(source(t), key(1))
	if err != nil {
		t.Fatal(err)
	}
	want, err := release.Open(b, public(key(1)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		mutant := bytes.Clone(b)
		mutant[i] ^= 0x01
		// A changed letter of a field's name can only pass by being the same document.
		if r, err := release.Open(mutant, public(key(1))); err == nil && r.Digest != want.Digest {
			t.Fatalf("octet %d changed: opened with another document", i)
		}
	}
	if _, err := release.Open(b, public(key(2))); !errors.Is(err, permit.ErrSignature) {
		t.Errorf("another key: %v", err)
	}
	if _, err := release.Open(append(bytes.Clone(b), "{}"...), public(key(1))); err == nil {
		t.Error("a bundle with something after it opened")
	}

	var parts struct{ Document, Signature []byte }
	if err := json.Unmarshal(b, &parts); err != nil {
		t.Fatal(err)
	}
	parts.Document = bytes.Replace(parts.Document, []byte(`"number":3`), []byte(`"number":9`), 1)
	widened, err := json.Marshal(map[string][]byte{"document": parts.Document, "signature": parts.Signature})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := release.Open(widened, public(key(1))); !errors.Is(err, permit.ErrSignature) {
		t.Errorf("another number under the old signature: %v", err)
	}
	plan, err := json.Marshal(map[string][]byte{"document": parts.Document, "signature": permit.Sign(permit.DomainPlan, key(1), parts.Document)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := release.Open(plan, public(key(1))); !errors.Is(err, permit.ErrSignature) {
		t.Errorf("a plan's signature: %v", err)
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
		if _, err := release.Make(s, key(1)); err == nil {
			t.Errorf("%s: made", name)
		}
	}
}

func TestSignOffOfAnOlderTextCountsForNothing(t *testing.T) {
	s := source(t)
	s.Files["aldane.yaml"] = bytes.Replace([]byte(allowFile), []byte(`["1.0"]`), []byte(`["1.0", "1.1"]`), 1)
	b, err := release.Make(s, key(1))
	if err != nil {
		t.Fatal(err)
	}
	r, err := release.Open(b, public(key(1)))
	if err != nil {
		t.Fatal(err)
	}
	if dec := decide(t, r.List); dec.Reason != list.NotSignedOff {
		t.Errorf("a widened allowance is %s", dec.Reason)
	}
}
