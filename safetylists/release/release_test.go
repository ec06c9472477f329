package release_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"

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
