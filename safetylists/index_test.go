package safetylists_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	. "primum/safetylists"
)

// Names with shared, repeated and partial words, without words, and with accents.
func awkwardMakers() []string {
	return []string{"Aldane", "Aldane Medical", "Aldane Medical Systems GmbH", "Medical", "Corvus & Söhne", "corvus", "+", "C-orvus"}
}
func awkwardModels() []string {
	return []string{"Vela", "Vela 3", "Vela 3 Plus", "3", "Plus Vela", "Lumen-CT", "CT", "***", "Système 3"}
}

func awkwardStatement(t *rapid.T, id string) string {
	kind := rapid.SampledFrom([]Type{Deny, StackHazardType, Note, ForbidPort, Allow}).Draw(t, "type")
	model := fmt.Sprintf("models: [%q]", rapid.SampledFrom(awkwardModels()).Draw(t, "model"))
	if kind != Allow && rapid.Bool().Draw(t, "any model") {
		model = "any_model: true"
	}
	ouis := ""
	if kind == Deny && rapid.Bool().Draw(t, "card") {
		ouis = `, ouis: ["00:10:5D"]`
	}
	product := fmt.Sprintf("{manufacturers: [%q], %s, versions: %s%s}", rapid.SampledFrom(awkwardMakers()).Draw(t, "maker"), model, versionsText(t), ouis)
	head := fmt.Sprintf("  - id: %s\n    type: %s\n    product: %s\n", id, kind, product) + sourced
	switch kind {
	case ForbidPort:
		from := rapid.IntRange(1, 300).Draw(t, "from")
		return head + fmt.Sprintf("    ports: [{transport: udp, from: %d, to: %d}]\n", from, from+rapid.IntRange(0, 300).Draw(t, "to"))
	case Allow:
		return head + "    purpose: identify\n    question: {kind: snmp.get, port: \"161\", oids: [1.3.6.1.2.1.1.1.0]}\n    expires: \"2027-06-01\"\n"
	default:
		return head + "    words: Leave it.\n"
	}
}

func awkwardDevice(t *rapid.T) Device {
	d := Device{ID: "1", Class: OtherClass, Endpoints: Endpoints{SNMPPort: 161}}
	d.MAC = rapid.SampledFrom([]string{"", "00:10:5d:00:00:01", "00:10:5e:00:00:01"}).Draw(t, "mac")
	for range rapid.IntRange(0, 3).Draw(t, "sources") {
		d.Claims = append(d.Claims, Claim{Source: rapid.SampledFrom([]Source{CMMS, Answer}).Draw(t, "source"),
			Manufacturer: maybe(awkwardMakers()).Draw(t, "maker"), Model: maybe(awkwardModels()).Draw(t, "model"), Version: maybe(numbers()).Draw(t, "version")})
	}
	return d
}

// The index must find what looking at every statement finds: a denial that it overlooked would be an
// allowance (H-012).
func TestTheIndexDecidesAsLookingAtEveryStatementDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text string
		for i := range rapid.IntRange(1, 14).Draw(t, "statements") {
			text += awkwardStatement(t, fmt.Sprintf("s.%02d", i))
		}
		l := compiled(t, []*File{fileOf(t, "awkward", text)})
		d, q := awkwardDevice(t), question(t)
		if got, want := l.Decide(d, q, now()), l.DecideByLookingAtAll(d, q, now()); !got.Equal(want) {
			t.Fatalf("by the index %s %v, by all %s %v\n%+v", got.Reason, got.Statements, want.Reason, want.Statements, d.Claims)
		}
	})
}

// Cases that drawn lists meet once in ten thousand.
func TestTheIndexFindsADenialByACardThatIsNotKnown(t *testing.T) {
	for name, product := range map[string]string{
		"of one model": `{manufacturers: [Corvus], models: [Lumen], versions: {compare: opaque, all: true}, ouis: ["00:10:5D"]}`,
		"of any model": `{manufacturers: [Corvus], any_model: true, versions: {compare: opaque, all: true}, ouis: ["00:10:5D"]}`,
	} {
		l := compile(t, []*File{velaFile(t, "  - id: corvus.deny\n    type: deny\n    product: "+product+"\n    words: Leave it.\n"+sourced)}, Site{Name: "s", Policy: Real})
		d := Device{ID: "1", Class: OtherClass, Claims: []Claim{{Source: CMMS, Manufacturer: "Aldane"}}}
		if got, want := l.Decide(d, ask(t), now()), l.DecideByLookingAtAll(d, ask(t), now()); got.Reason != Denied || !got.Equal(want) {
			t.Errorf("%s: %s by the index, %s by looking at all", name, got.Reason, want.Reason)
		}
	}
}

// bigList is a list of n statements about n/4 makers, without two alike.
func bigList(tb testing.TB, n int) *List {
	tb.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	var files []*File
	for first := 0; first < n; first += 1000 {
		text := "schema: primum-list/1\nname: f\nmaker: M\ndated: \"2026-01-01\"\nstatements:\n"
		for i := first; i < min(first+1000, n); i++ {
			maker, model := fmt.Sprintf("Maker %d", i/40), fmt.Sprintf("Model %d-%d", i/40, i%40)
			head := fmt.Sprintf("  - id: s.%06d\n    type: %%s\n    product: {manufacturers: [%q, %q], models: [%q], versions: {compare: dotted, before: \"%d.5\"}}\n%s",
				i, maker, maker+" Medical", model, 1+r.IntN(9), sourced)
			switch i % 4 {
			case 0:
				text += fmt.Sprintf(head, Deny) + "    words: Leave it.\n"
			case 1:
				text += fmt.Sprintf(head, Note) + "    words: Take care.\n"
			default:
				text += fmt.Sprintf(head, Allow) + "    purpose: identify\n    question: {kind: snmp.get, port: \"161\", oids: [1.3.6.1.2.1.1.1.0]}\n    expires: \"2027-06-01\"\n"
			}
		}
		f, err := Load(fmt.Sprint("big-", first), []byte(text))
		if err != nil {
			tb.Fatal(err)
		}
		files = append(files, f)
	}
	l, err := New(files, signedOffBy(files, Real, "M. Lindqvist"))
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// subjects are one device each that is denied, allowed, outside the version, cautioned and unknown.
func subjects(n int) map[string]Subject {
	known := func(i int, version string) Subject {
		return Know(Device{ID: "1", Class: OtherClass, Endpoints: Endpoints{SNMPPort: 161}, Claims: []Claim{
			{Source: CMMS, Manufacturer: fmt.Sprintf("Maker %d", i/40), Model: fmt.Sprintf("Model %d-%d", i/40, i%40), Version: version},
			{Source: Answer, Manufacturer: fmt.Sprintf("Maker %d", i/40), Model: fmt.Sprintf("Model %d-%d", i/40, i%40), Version: version}}})
	}
	half := n / 2 / 4 * 4
	return map[string]Subject{"denied": known(half, "0.1"), "cautioned": known(half+1, "0.1"), "allowed": known(half+2, "0.1"),
		"outside": known(half+2, "99"), "unknown": known(40*n+2, "1")}
}

func TestADecisionAllocatesNothing(t *testing.T) {
	l := bigList(t, 2000)
	q, err := ParseQuery(QuerySpec{Kind: SNMPGet, Port: 161, OIDs: []string{"1.3.6.1.2.1.1.1.0"}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Reason{"denied": Denied, "cautioned": CautionOnly, "allowed": Allowed, "outside": VersionOutside, "unknown": NotApproved}
	for name, s := range subjects(2000) {
		if got := l.DecideKnown(&s, q, now()); got.Reason != want[name] {
			t.Errorf("%s: %s", name, got.Reason)
		}
		if n := testing.AllocsPerRun(100, func() { l.DecideKnown(&s, q, now()) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	q, err := ParseQuery(QuerySpec{Kind: SNMPGet, Port: 161, OIDs: []string{"1.3.6.1.2.1.1.1.0"}})
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{2000, 20000, 100000} {
		l := bigList(b, n)
		for _, name := range []string{"allowed", "denied", "outside", "cautioned", "unknown"} {
			s := subjects(n)[name]
			b.Run(fmt.Sprintf("statements=%d/%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				at := now()
				for b.Loop() {
					l.DecideKnown(&s, q, at)
				}
			})
		}
	}
}
