package approve

import (
	"bytes"
	"crypto/ed25519"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	list "primum/safetylists"
	"primum/safetylists/permit"
)

var opens = time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)

func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func site(needed int) list.Site {
	return list.Site{Name: "demo", MinApprovers: needed, Approvers: map[string][]byte{"a": key(1).Public().(ed25519.PublicKey), "b": key(2).Public().(ed25519.PublicKey)}}
}

func TestOnlyEnoughDistinctApproversOfTheSiteApprove(t *testing.T) {
	doc := []byte("a plan")
	sig := func(by string, k byte, d permit.Domain, text string) permit.Signature {
		return permit.Signature{By: by, Sig: permit.Sign(d, key(k), []byte(text))}
	}
	a, b := sig("a", 1, permit.DomainPlan, "a plan"), sig("b", 2, permit.DomainPlan, "a plan")
	for name, c := range map[string]struct {
		needed int
		sigs   []permit.Signature
		ok     bool
	}{
		"one of one":                  {1, []permit.Signature{a}, true},
		"two of two":                  {2, []permit.Signature{a, b}, true},
		"one of two":                  {2, []permit.Signature{a}, false},
		"one person twice":            {2, []permit.Signature{a, a}, false},
		"nobody":                      {1, nil, false},
		"a site that asks for none":   {0, []permit.Signature{a}, false},
		"somebody else":               {1, []permit.Signature{sig("c", 3, permit.DomainPlan, "a plan")}, false},
		"under another's name":        {1, []permit.Signature{sig("b", 1, permit.DomainPlan, "a plan")}, false},
		"another document":            {1, []permit.Signature{sig("a", 1, permit.DomainPlan, "a plam")}, false},
		"signed as something else":    {1, []permit.Signature{sig("a", 1, permit.DomainStanding, "a plan")}, false},
		"a good one and a forged one": {1, []permit.Signature{a, sig("b", 1, permit.DomainPlan, "a plan")}, false},
	} {
		if r := Enough(site(c.needed), permit.DomainPlan, doc, c.sigs); (r == nil) != c.ok || r != nil && r.Reason != list.PlanNotApproved {
			t.Errorf("%s: %v", name, r)
		}
	}
	if (Leave{}).Covers(site(1), doc, opens) == nil {
		t.Error("the zero leave carries a plan")
	}
}

func order(t *testing.T) Order {
	t.Helper()
	q, err := list.ParseQuery(list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: list.DefaultOIDs()})
	if err != nil {
		t.Fatal(err)
	}
	p := permit.Plan{ID: "plans/1", Opens: opens, Closes: opens.Add(time.Hour), Items: []permit.Item{
		{Device: list.Device{ID: "A", Address: netip.MustParseAddr("127.42.1.1")}, Query: q}, {Device: list.Device{ID: "B", Address: netip.MustParseAddr("127.42.1.2")}, Query: q}}}
	return Order{ID: "orders/1", Agent: "icu", Epoch: 3, Plan: p, Digest: permit.Digest{8}}
}

func TestPermitsSayWhatThePlanSaysAndLiveNoLonger(t *testing.T) {
	m, err := LoadMinter(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for at, life := range map[time.Time]time.Duration{opens: Life, opens.Add(time.Second): Life, opens.Add(55 * time.Minute): 5*time.Minute + 30*time.Second} {
		papers, ids, err := m.Mint(order(t), []int{1, 0}, at)
		if err != nil || len(papers) != 2 || ids[0] == ids[1] {
			t.Fatalf("%d papers: %v", len(papers), err)
		}
		p, err := permit.Open(papers[0], m.Public())
		if err != nil {
			t.Fatal(err)
		}
		if p.From.Before(opens) || p.From.Before(at.Add(-30*time.Second)) || p.From.After(at) {
			t.Errorf("minted at %s, good from %s", at, p.From)
		}
		if p.ID != ids[0] || p.Item != 1 || p.Ordinal != 0 || p.Device != "B" || p.Address.String() != "127.42.1.2:161" || p.Agent != "icu" || p.Epoch != 3 ||
			p.Plan != (permit.Digest{8}) || p.Order != "orders/1" || p.Until.Sub(p.From) != life || !p.Closes.Equal(opens.Add(time.Hour)) {
			t.Errorf("%+v", p)
		}
	}
	for name, at := range map[string]time.Time{"before it opens": opens.Add(-time.Millisecond), "when it closes": opens.Add(time.Hour)} {
		if _, _, err := m.Mint(order(t), []int{0}, at); err == nil {
			t.Errorf("%s: minted", name)
		}
	}
	if _, _, err := m.Mint(order(t), []int{2}, opens); err == nil {
		t.Error("an item that the plan has not: minted")
	}
}

func TestThePermitKeyIsMadeOnceAndKeptToItself(t *testing.T) {
	dir := t.TempDir()
	// What a crash left of a key that was being written when the controller started for the first time.
	if err := os.WriteFile(filepath.Join(dir, "permit.key.new"), []byte("primum-priv"), 0o600); err != nil {
		t.Fatal(err)
	}
	one, err := LoadMinter(dir)
	if err != nil {
		t.Fatal(err)
	}
	two, err := LoadMinter(dir)
	if err != nil || !one.Public().Equal(two.Public()) {
		t.Errorf("another key: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, "permit.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("%v beside the key: %v", names, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "permit.key"), []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadMinter(dir); err == nil {
		t.Error("a damaged key was replaced")
	}
}
