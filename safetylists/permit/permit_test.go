package permit

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	list "primum/safetylists"
)

func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func at(minute int) time.Time { return time.Date(2026, 11, 24, 2, minute, 0, 0, time.UTC) }

func samplePermit() Permit {
	return Permit{ID: ID{1, 2, 3}, Plan: Digest{9}, Item: 7, Order: "orders/1", Ordinal: 3, Agent: "agent-a", Device: "10-1001",
		Address: netip.MustParseAddrPort("127.42.1.1:10161"), Epoch: 5, From: at(0), Until: at(10), Closes: at(59)}
}

func samplePlan(t *testing.T) Plan {
	t.Helper()
	q, err := list.ParseQuery(list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: list.DefaultOIDs()})
	if err != nil {
		t.Fatal(err)
	}
	return Plan{ID: "plans/1", Site: "demo", Origin: FromWindow, Caller: "windows/night", Opens: at(0), Closes: at(30), List: Digest{4}, Made: at(0),
		Items: []Item{{Device: list.Device{ID: "10-1001", Address: netip.MustParseAddr("127.42.1.1"), Claims: []list.Claim{}},
			Query: q, Limits: list.DefaultLimits(list.SNMPGet), Purpose: list.Identify, Statements: []string{"a.allow"}}},
		Refusals: []PlanRefusal{{Device: "10-8001", Name: "Dräger <Delta>", Reason: list.Denied}}}
}

// G8: the gap after a conversation is that of the conversation which has ended, not of the next one.
func TestAPlanTakesAsLongAsItsSlowestDevice(t *testing.T) {
	one := func(device string, reply, gap time.Duration) Item {
		return Item{Device: list.Device{ID: device}, Limits: list.Limits{Reply: reply, Gap: gap}}
	}
	p := Plan{Items: []Item{one("A", time.Second, 5*time.Second), one("B", 2*time.Second, 60*time.Second), one("A", 10*time.Second, 60*time.Second)}}
	if got := p.Busy(); got != 16*time.Second {
		t.Errorf("%s, want 1s and a gap of 5s and 10s", got)
	}
	p.Items[2].Limits.Cap = 20 * time.Second
	if got := p.Busy(); got != 26*time.Second {
		t.Errorf("%s, want 26s: the last question is started only where its whole cap fits before the end", got)
	}
	if got := (Plan{}).Busy(); got != 0 {
		t.Errorf("no question takes %s", got)
	}
}

func TestPermitSurvivesItsBytes(t *testing.T) {
	for _, address := range []string{"127.42.1.1:10161", "[2001:db8::1]:104"} {
		p := samplePermit()
		p.Address = netip.MustParseAddrPort(address)
		b, err := p.Sign(key(1))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Open(b, public(key(1)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("permit (-want +got):\n%s", diff)
		}
	}
}

func TestLargestPermitFitsMaxSize(t *testing.T) {
	p := samplePermit()
	p.Order, p.Agent, p.Device = strings.Repeat("o", 64), strings.Repeat("a", 64), strings.Repeat("d", 64)
	b, err := p.Sign(key(1))
	if err != nil || len(b) > MaxSize {
		t.Fatalf("%d octets, at most %d: %v", len(b), MaxSize, err)
	}
	if _, err := Open(b, public(key(1))); err != nil {
		t.Error(err)
	}
	if _, err := Open(append(b, make([]byte, MaxSize)...), public(key(1))); !errors.Is(err, ErrForm) {
		t.Errorf("a permit above MaxSize: %v", err)
	}
}

func TestPermitRefusesEverySingleOctetMutantAndEveryBrokenLength(t *testing.T) {
	b, err := samplePermit().Sign(key(1))
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			mutant := bytes.Clone(b)
			mutant[i] ^= flip
			if _, err := Open(mutant, public(key(1))); err == nil {
				t.Fatalf("octet %d changed by %02X: opened", i, flip)
			}
		}
		if _, err := Open(b[:i], public(key(1))); err == nil {
			t.Fatalf("the first %d octets opened", i)
		}
	}
	if _, err := Open(append(bytes.Clone(b), 0), public(key(1))); err == nil {
		t.Error("a longer permit opened")
	}
	if _, err := Open(b, public(key(2))); !errors.Is(err, ErrSignature) {
		t.Errorf("another key: %v", err)
	}
}

func TestSignedBytesThatAreNoPermitAreRefused(t *testing.T) {
	body, err := samplePermit().encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"another magic":        func(b []byte) []byte { b[0] = 'X'; return b },
		"octets after the end": func(b []byte) []byte { return append(b, 0) },
		"a name cut off":       func(b []byte) []byte { return b[:len(b)-1] },
		"a name of 65 octets":  func(b []byte) []byte { b[fixedSize] = 65; return append(b, make([]byte, 80)...) },
		"eleven minutes":       func(b []byte) []byte { copy(b[76:84], b[84:92]); return b },
		"ends as it begins":    func(b []byte) []byte { copy(b[76:84], b[68:76]); return b },
	} {
		bad := change(bytes.Clone(body))
		if _, err := Open(append(bad, Sign(DomainPermit, key(1), bad)...), public(key(1))); !errors.Is(err, ErrForm) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPermitIsNotMintedWiderThanTheRules(t *testing.T) {
	for name, change := range map[string]func(*Permit){
		"longer than MaxLife": func(p *Permit) { p.Until = p.From.Add(MaxLife + time.Millisecond) },
		"no time":             func(p *Permit) { p.Until = p.From },
		"no address":          func(p *Permit) { p.Address = netip.AddrPort{} },
		"an address's zone":   func(p *Permit) { p.Address = netip.MustParseAddrPort("[fe80::1%eth0]:104") },
		"a long name":         func(p *Permit) { p.Device = strings.Repeat("d", 65) },
	} {
		p := samplePermit()
		change(&p)
		if _, err := p.Sign(key(1)); err == nil {
			t.Errorf("%s: minted", name)
		}
	}
}

func TestSignaturesDoNotCrossDomains(t *testing.T) {
	domains := []Domain{DomainPlan, DomainStanding, DomainPermit}
	body := []byte("one paper")
	for _, made := range domains {
		sig := Sign(made, key(1), body)
		for _, asked := range domains {
			if err := Verify(asked, public(key(1)), body, sig); (err == nil) != (made == asked) {
				t.Errorf("signed as %s, verified as %s: %v", made, asked, err)
			}
		}
	}
	if err := Verify(DomainPlan, nil, body, nil); !errors.Is(err, ErrSignature) {
		t.Errorf("no key: %v", err)
	}
}

func TestPlanRefusesEverySingleOctetMutantOrHasAnotherDigest(t *testing.T) {
	b, err := samplePlan(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	plan, digest, err := DecodePlan(b)
	if err != nil {
		t.Fatal(err)
	}
	sig := Sign(DomainPlan, key(1), digest[:])
	if len(plan.Items) != 1 || len(plan.Refusals) != 1 {
		t.Fatalf("%d items, %d refusals came back", len(plan.Items), len(plan.Refusals))
	}
	for i := range b {
		for _, flip := range []byte{0x01, 0x20, 0x80} {
			mutant := bytes.Clone(b)
			mutant[i] ^= flip
			_, other, err := DecodePlan(mutant)
			if err == nil && (other == digest || Verify(DomainPlan, public(key(1)), other[:], sig) == nil) {
				t.Fatalf("octet %d changed by %02X passes for the same plan", i, flip)
			}
		}
	}
}

func TestPlanHasOneFormOnly(t *testing.T) {
	b, err := samplePlan(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string][]byte{
		"a space":               bytes.Replace(b, []byte(`":`), []byte(`": `), 1),
		"no line end":           bytes.TrimSpace(b),
		"two line ends":         append(bytes.Clone(b), '\n'),
		"an unknown field":      bytes.Replace(b, []byte(`{"schema"`), []byte(`{"extra":1,"schema"`), 1),
		"a field twice":         bytes.Replace(b, []byte(`"site":"demo"`), []byte(`"site":"x","site":"demo"`), 1),
		"an escaped letter":     bytes.Replace(b, []byte("demo"), []byte(`\u0064emo`), 1),
		"another letter case":   bytes.Replace(b, []byte(`"site"`), []byte(`"Site"`), 1),
		"another schema":        bytes.Replace(b, []byte("primum-plan/1"), []byte("primum-plan/2"), 1),
		"closes as it opens":    bytes.Replace(b, []byte("02:30:00"), []byte("02:00:00"), 1),
		"something after it":    append(bytes.Clone(b), "{}\n"...),
		"a time of its own":     bytes.Replace(b, []byte("02:30:00Z"), []byte("02:30:00.000Z"), 1),
		"larger than MaxPlan":   append(bytes.Clone(b), make([]byte, MaxPlan)...),
		"a question of no port": bytes.Replace(b, []byte(`"port":161`), []byte(`"port":0`), 1),
	} {
		if bytes.Equal(b, other) {
			t.Errorf("%s: the change changed nothing", name)
		}
		if _, _, err := DecodePlan(other); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}

func TestStandingApprovalCoversOnlyWhatItNames(t *testing.T) {
	good := Standing{ID: "standing/1", Site: "demo", Caller: "windows/night", Devices: []string{"10-1001"}, Statements: []string{"a.allow"},
		List: Digest{4}, From: at(0), Until: at(0).Add(MaxStanding), PerDay: 5}
	b, err := good.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := DecodeStanding(b); err != nil {
		t.Fatal(err)
	}
	if r := good.Covers(samplePlan(t), at(1)); r != nil {
		t.Fatalf("the named plan: %s", r)
	}
	every := good
	every.Devices = []string{AllDevices}
	if r := every.Covers(samplePlan(t), at(1)); r != nil {
		t.Errorf("every device of the site: %s", r)
	}
	for name, change := range map[string]func(*Standing, *Plan){
		"another site":            func(s *Standing, _ *Plan) { s.Site = "other" },
		"another caller":          func(_ *Standing, p *Plan) { p.Caller = "tools/x" },
		"another list":            func(_ *Standing, p *Plan) { p.List = Digest{5} },
		"another device":          func(s *Standing, _ *Plan) { s.Devices = []string{"10-1002"} },
		"another allowance":       func(s *Standing, _ *Plan) { s.Statements = []string{"b.allow"} },
		"not yet":                 func(s *Standing, _ *Plan) { s.From = at(5) },
		"not until it closes":     func(s *Standing, _ *Plan) { s.Until = at(20) },
		"nothing named at all":    func(s *Standing, _ *Plan) { s.Devices = nil },
		"a star for allowances":   func(s *Standing, _ *Plan) { s.Statements = []string{AllDevices} },
		"an item of no allowance": func(_ *Standing, p *Plan) { p.Items[0].Statements = nil },
	} {
		s, p := good, samplePlan(t)
		change(&s, &p)
		if r := s.Covers(p, at(1)); r == nil || r.Reason != list.PlanNotApproved {
			t.Errorf("%s: %v", name, r)
		}
	}
	for name, change := range map[string]func(*Standing){
		"31 days":   func(s *Standing) { s.Until = s.From.Add(MaxStanding + time.Second) },
		"no budget": func(s *Standing) { s.PerDay = 0 },
		"no caller": func(s *Standing) { s.Caller = "" },
		"no device": func(s *Standing) { s.Devices = []string{} },
	} {
		s := good
		change(&s)
		b, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := DecodeStanding(b); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}

func TestKeysSurviveTheirLineAndNoOtherLineIsAKey(t *testing.T) {
	k := key(3)
	pub, err := ParsePublic(FormatPublic(public(k)) + "\n")
	if err != nil || !pub.Equal(public(k)) {
		t.Errorf("public key: %v", err)
	}
	priv, err := ParsePrivate(FormatPrivate(k))
	if err != nil || !priv.Equal(k) {
		t.Errorf("private key: %v", err)
	}
	if _, err := ParsePublic(FormatPrivate(k)); err == nil {
		t.Error("a private key was read as a public one")
	}
	if _, err := ParsePrivate("primum-private-key:AAAA"); err == nil {
		t.Error("three octets were read as a key")
	}
}

// FuzzOpenPermit holds that whatever decodes encodes to the same octets.
func FuzzOpenPermit(f *testing.F) {
	body, err := samplePermit().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decode(b)
		if err != nil {
			return
		}
		again, err := p.encode()
		if err != nil || !bytes.Equal(b, again) {
			t.Fatalf("% X\ncame back as\n% X: %v", b, again, err)
		}
	})
}
