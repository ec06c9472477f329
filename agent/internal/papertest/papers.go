// Package papertest makes genuine papers for tests of the agent: a signed list release with one
// allowance, a plan with one item, its approval and its permit. Everything is signed and verified as
// in production; a test bends one thing at a time.
package papertest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	list "primum/safetylists"
	"primum/safetylists/permit"
	"primum/safetylists/release"
)

// Names that all papers share.
const (
	Agent    = "icu"
	SiteName = "north"
	Approver = "mara"
	Second   = "jonas"
	Maker    = "Testmaker"
	Model    = "Testmodel"
)

// Papers is one set, complete and genuine.
type Papers struct {
	Now       time.Time
	ListRoot  []byte // root of the safety list
	PermitKey ed25519.PublicKey
	Bundle    []byte
	Release   *release.Release
	Plan      permit.Plan
	Document  []byte
	Digest    permit.Digest
	Signature []byte // of Approver over Document

	SecondSignature []byte // of Second over Document

	source                       release.Source
	lists                        release.Staff
	permitPriv, approver, second ed25519.PrivateKey
}

// Options bends the papers. The zero value makes an SNMP question to 127.0.0.1.
type Options struct {
	Question string // YAML of the allowance's question; default: the four system objects at Address's port
	Extra    string // YAML of further statements, indented by two
	// Condition is YAML of a further field of the allowance, indented by two.
	Condition string
	Address   netip.AddrPort
	Device    func(*list.Device)
	Policy    list.Policy
	Opens     time.Duration // from now; default one minute ago
	Closes    time.Duration // from now; default one hour ahead
	Number    uint64
	Expires   time.Duration // of the release; default one day

	MinApprovers int    // signatures that a plan needs; default 1
	Site         string // YAML of further fields of the site file
}

// Make makes a set of papers at now.
func Make(t testing.TB, now time.Time, o Options) *Papers {
	t.Helper()
	now = now.UTC().Truncate(time.Millisecond)
	p := &Papers{Now: now}
	p.staff(t)
	p.PermitKey, p.permitPriv = key(t)
	approverPub, approverPriv := key(t)
	secondPub, secondPriv := key(t)
	p.approver, p.second = approverPriv, secondPriv
	if !o.Address.IsValid() {
		o.Address = netip.MustParseAddrPort("127.0.0.1:10161")
	}
	if o.Question == "" {
		o.Question = fmt.Sprintf("{kind: snmp.get, port: %q, oids: [%s]}", fmt.Sprint(o.Address.Port()), strings.Join(list.DefaultOIDs(), ", "))
	}
	if o.Policy == "" {
		o.Policy = list.Lab
	}
	if o.Opens == 0 {
		o.Opens = -time.Minute
	}
	if o.Closes == 0 {
		o.Closes = time.Hour
	}
	if o.Expires == 0 {
		o.Expires = 24 * time.Hour
	}
	files := map[string][]byte{"test.yaml": []byte(listText(now, o))}
	parsed, err := list.Load("test.yaml", files["test.yaml"])
	if err != nil {
		t.Fatal(err)
	}
	var signOffs strings.Builder
	for _, s := range parsed.Statements {
		if s.Type == list.Allow {
			fmt.Fprintf(&signOffs, "- {statement: %s, digest: %x, by: [%s], on: 2026-11-24}\n", s.ID, s.Digest, Approver)
		}
	}
	site := fmt.Sprintf("schema: primum-site/1\nname: %s\nfacility: SITE\npolicy: %s\nmin_approvers: %d\napprovers:\n- {name: %s, key: %q}\n- {name: %s, key: %q}\n%ssign_offs:\n%s",
		SiteName, o.Policy, max(o.MinApprovers, 1), Approver, permit.FormatPublic(approverPub), Second, permit.FormatPublic(secondPub), o.Site, signOffs.String())
	src := release.Source{Number: max(o.Number, 1), Issued: now.Add(-time.Hour), Expires: now.Add(o.Expires), Files: files, Site: []byte(site)}
	p.source = src
	if p.Bundle, err = release.Make(src, p.lists); err != nil {
		t.Fatal(err)
	}
	p.Release = p.open(t, p.Bundle)
	p.plan(t, o)
	return p
}

func listText(now time.Time, o Options) string {
	return fmt.Sprintf(`schema: primum-list/1
name: test
maker: %s
dated: 2026-11-24
lab: %v
statements:
- id: test-allow
  type: allow
  purpose: identify
  product: {manufacturers: [%s], models: [%s], versions: {compare: listed, is: ["1.0"]}}
  question: %s
%s  expires: %s
  evidence: [{kind: laboratory, title: made for a test, publisher: test, date: 2026-11-24, says: nothing, seen: full, provenance: made for a test}]
%s`, Maker, o.Policy == list.Lab, Maker, Model, o.Question, o.Condition, now.AddDate(1, 0, 0).Format(time.DateOnly), o.Extra)
}

func (p *Papers) plan(t testing.TB, o Options) {
	d := list.Device{ID: "10-1", Name: Maker + " " + Model, Class: list.OtherClass, MAC: "02:00:00:00:00:01", Address: o.Address.Addr(),
		Claims:    []list.Claim{{Source: list.CMMS, Manufacturer: Maker, Model: Model, Version: "1.0", By: "import", At: p.Now}},
		Endpoints: list.Endpoints{SNMPPort: o.Address.Port(), DICOMPort: o.Address.Port(), HL7Port: o.Address.Port(), AETitle: "DEVICE", HL7Application: "APP", HL7Facility: "FAC", HL7Connections: 2}}
	if o.Device != nil {
		o.Device(&d)
	}
	s := p.Release.List.Statement("test-allow")
	q, err := s.Question.Fill(d.Endpoints, "SITE")
	if err != nil {
		t.Fatal(err)
	}
	p.Plan = permit.Plan{ID: "p1", Site: SiteName, Origin: permit.FromWindow, Caller: "windows/w", Opens: p.Now.Add(o.Opens), Closes: p.Now.Add(o.Closes),
		List: p.Release.Digest, Made: p.Now, Items: []permit.Item{{Device: d, Query: q, Limits: s.Limits, Purpose: s.Purpose, Statements: []string{s.ID}}}}
	p.Approve(t)
}

// Approve encodes and signs the plan anew, after a test has changed it.
func (p *Papers) Approve(t testing.TB) {
	t.Helper()
	var err error
	if p.Document, err = p.Plan.Encode(); err != nil {
		t.Fatal(err)
	}
	p.Digest = sha256.Sum256(p.Document)
	p.Signature = permit.Sign(permit.DomainPlan, p.approver, p.Document)
	if p.second != nil {
		p.SecondSignature = permit.Sign(permit.DomainPlan, p.second, p.Document)
	}
}

// Signed is Approver's signature over a paper.
func (p *Papers) Signed(d permit.Domain, body []byte) []byte { return permit.Sign(d, p.approver, body) }

// staff makes the keys of the list, all in one hand, and its root.
func (p *Papers) staff(t testing.TB) {
	t.Helper()
	_, secret := key(t)
	p.lists = release.NewStaff(secret)
	var err error
	if p.ListRoot, err = p.lists.Root(); err != nil {
		t.Fatal(err)
	}
}

func (p *Papers) open(t testing.TB, bundle []byte) *release.Release {
	t.Helper()
	m, err := release.NewMemory(p.ListRoot)
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := release.Open(bundle, m, p.Now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Reissue makes another release of the same statements, with another number and another end.
func (p *Papers) Reissue(t testing.TB, number uint64) []byte {
	t.Helper()
	src := p.source
	src.Number, src.Expires = number, src.Expires.Add(time.Minute)
	b, err := release.Make(src, p.lists)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Revoked is the same release with a newer root, signed as it should be, that takes the timestamp's key away.
func (p *Papers) Revoked(t testing.TB) []byte {
	t.Helper()
	b, err := release.Decode(p.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	one := func(role string, n int) release.Signers {
		return release.Signers{Threshold: 1, Keys: []ed25519.PublicKey{p.lists.Key(role, n).Public().(ed25519.PublicKey)}}
	}
	root := release.Signers{Threshold: 2}
	for n := range 3 {
		root.Keys = append(root.Keys, p.lists.Key("root", n).Public().(ed25519.PublicKey))
	}
	roles := map[string]release.Signers{"root": root, "targets": one("targets", 0), "snapshot": one("snapshot", 0), "timestamp": one("timestamp", 7)}
	if err := b.StageRoot(roles, p.Now.AddDate(1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		if _, _, err := b.Sign("root", p.lists.Key("root", n), false); err != nil {
			t.Fatal(err)
		}
	}
	out, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Unsigned is the bundle with a signature of nobody on its newest metadata.
func (p *Papers) Unsigned(t testing.TB) []byte {
	t.Helper()
	b, err := release.Decode(p.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	signature := regexp.MustCompile(`"sig": "[0-9a-f]{128}"`)
	b.Metadata["timestamp.json"] = signature.ReplaceAll(b.Metadata["timestamp.json"], fmt.Appendf(nil, `"sig": "%0128d"`, 0))
	out, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Permit mints a permit for the item, valid from now for five minutes or to the end of the window,
// after bend has changed it.
func (p *Papers) Permit(t testing.TB, bend func(*permit.Permit)) []byte {
	t.Helper()
	item := p.Plan.Items[0]
	until := p.Now.Add(5 * time.Minute)
	if until.After(p.Plan.Closes) {
		until = p.Plan.Closes
	}
	pm := permit.Permit{Plan: p.Digest, Order: "o1", Agent: Agent, Device: item.Device.ID, Address: netip.AddrPortFrom(item.Device.Address, item.Query.Port()),
		Epoch: 1, From: p.Now.Add(-time.Second), Until: until, Closes: p.Plan.Closes}
	if _, err := rand.Read(pm.ID[:]); err != nil {
		t.Fatal(err)
	}
	if bend != nil {
		bend(&pm)
	}
	b, err := pm.Sign(p.permitPriv)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func key(t testing.TB) (ed25519.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pub, priv
}
