package safetylists_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	. "primum/safetylists"
)

// Small vocabularies, so that statements and devices meet often.
func makers() []string  { return []string{"Aldane", "Aldane Medical", "Corvus"} }
func models() []string  { return []string{"Vela", "Vela 3", "Lumen"} }
func numbers() []string { return []string{"1.0", "2.0", "2.5", "VG2.0", "odd"} }

func versionsText(t *rapid.T) string {
	return rapid.SampledFrom([]string{"{compare: opaque, all: true}", `{compare: dotted, before: "2.5"}`,
		`{compare: dotted, from: "2.0"}`, `{compare: listed, is: ["2.0"]}`, `{compare: opaque, is: ["2.0"]}`}).Draw(t, "versions")
}

func productText(t *rapid.T, anyModel bool, more string) string {
	model := fmt.Sprintf("models: [%q]", rapid.SampledFrom(models()).Draw(t, "model"))
	if anyModel && rapid.Bool().Draw(t, "any model") {
		model = "any_model: true"
	}
	return fmt.Sprintf("{manufacturers: [%q], %s, versions: %s%s}", rapid.SampledFrom(makers()).Draw(t, "maker"), model, versionsText(t), more)
}

const sourced = `    evidence: [{kind: letter, title: T, publisher: P, date: "2026-01-01", says: S, seen: full, provenance: test}]` + "\n"

func statementText(t *rapid.T, id string, kind Type) string {
	more := ""
	if kind == Deny || kind == StackHazardType {
		more = rapid.SampledFrom([]string{"", `, ouis: ["00:10:5D"]`, `, fixed_in: {compare: listed, is: ["2.0"]}`}).Draw(t, "more")
	}
	head := fmt.Sprintf("  - id: %s\n    type: %s\n    product: %s\n", id, kind, productText(t, kind != Allow, more)) + sourced
	switch kind {
	case Deny, StackHazardType:
		return head + "    words: Leave it.\n" + rapid.SampledFrom([]string{"", "    kinds: [snmp.get]\n"}).Draw(t, "kinds")
	case ForbidPort:
		return head + "    ports: [{transport: udp, from: 161, to: 161}]\n"
	default:
		return head + "    purpose: identify\n    question: {kind: snmp.get, port: \"161\", oids: [1.3.6.1.2.1.1.1.0]}\n    expires: \"2027-06-01\"\n" +
			rapid.SampledFrom([]string{"", "    options: [Remote]\n", "    accepts: [other.0, other.1]\n", "    clinical_state: out_of_use\n"}).Draw(t, "condition")
	}
}

func fileOf(t *rapid.T, name, statements string) *File {
	f, err := Load(name, []byte("schema: primum-list/1\nname: "+name+"\nmaker: M\ndated: \"2026-01-01\"\nstatements:\n"+statements))
	if err != nil {
		t.Fatalf("%v\n%s", err, statements)
	}
	return f
}

func filesOf(t *rapid.T, allows, others int) []*File {
	var files []*File
	for i := range allows {
		files = append(files, fileOf(t, fmt.Sprintf("allow-%d", i), statementText(t, fmt.Sprintf("allow.%d", i), Allow)))
	}
	for i := range others {
		kind := rapid.SampledFrom([]Type{Deny, ForbidPort, StackHazardType}).Draw(t, "type")
		files = append(files, fileOf(t, fmt.Sprintf("other-%d", i), statementText(t, fmt.Sprintf("other.%d", i), kind)))
	}
	return files
}

func compiled(t *rapid.T, files []*File) *List {
	return listOf(t, files, signedOffBy(files, Real, "M. Lindqvist"))
}

// siteWith is a site file with more fields.
func siteWith(t interface {
	Helper()
	Fatal(args ...any)
}, more string) Site {
	t.Helper()
	text, _ := siteText(t, more)
	s, err := LoadSite([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func listOf(t *rapid.T, files []*File, site Site) *List {
	l, err := New(files, site)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func maybe(from []string) *rapid.Generator[string] {
	return rapid.SampledFrom(append([]string{""}, from...))
}

// agreeing draws a device whose one to three sources all say the same.
func agreeing(t *rapid.T) Device {
	c := Claim{Manufacturer: maybe(makers()).Draw(t, "maker"), Model: maybe(models()).Draw(t, "model"), Version: maybe(numbers()).Draw(t, "version")}
	d := Device{ID: "1", Class: OtherClass, MAC: "00:10:5d:00:00:01", Options: []string{"remote"}, Endpoints: Endpoints{SNMPPort: 161},
		OutOfUse: &OutOfUse{By: "R. Okafor", Until: now().Add(time.Hour)}}
	for _, source := range []Source{CMMS, Attestation, Answer}[:rapid.IntRange(1, 3).Draw(t, "sources")] {
		c.Source = source
		d.Claims = append(d.Claims, c)
	}
	return d
}

func anyDevice(t *rapid.T) Device {
	d := Device{ID: "1", Class: rapid.SampledFrom([]Class{"", OtherClass, HighRisk, LifeSupport}).Draw(t, "class"), Endpoints: Endpoints{SNMPPort: 161}}
	d.MAC = rapid.SampledFrom([]string{"", "00:10", "00:10:5d:00:00:01"}).Draw(t, "mac")
	for range rapid.IntRange(0, 3).Draw(t, "sources") {
		d.Claims = append(d.Claims, Claim{Source: rapid.SampledFrom([]Source{CMMS, Attestation, Answer, ""}).Draw(t, "source"),
			Manufacturer: maybe(makers()).Draw(t, "maker"), Model: maybe(models()).Draw(t, "model"), Version: maybe(numbers()).Draw(t, "version")})
	}
	return d
}

func question(t *rapid.T) Query {
	q, err := ParseQuery(QuerySpec{Kind: SNMPGet, Port: 161, OIDs: []string{"1.3.6.1.2.1.1.1.0"}})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestAddingADenyNeverTurnsARefusalIntoAnAllowance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := filesOf(t, 2, 1)
		d, q := anyDevice(t), question(t)
		before := compiled(t, files).Decide(d, q, now())
		more := append(slices.Clone(files), fileOf(t, "more", statementText(t, "more.1", rapid.SampledFrom([]Type{Deny, ForbidPort, StackHazardType}).Draw(t, "more"))))
		after := compiled(t, more).Decide(d, q, now())
		if after.Allowed() && !before.Allowed() {
			t.Fatalf("%s became allowed by %v", before.Reason, after.Statements)
		}
	})
}

func TestKnowingLessNeverTurnsARefusalIntoAnAllowance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := filesOf(t, 2, 2)
		site := signedOffBy(files, Real, "M. Lindqvist")
		hours := siteWith(t, "zone: Europe/Vienna\nquiet: [{place: ward 3, from: \"00:00\", to: \"24:00\"}]\nuse_status: {not_in_use: [in storage]}\n")
		site.Zone, site.Quiet, site.UseStatus = hours.Zone, hours.Quiet, hours.UseStatus
		l, q, d := listOf(t, files, site), question(t), agreeing(t)
		d.Place = rapid.SampledFrom([]string{"", "Ward 3", "Ward 4"}).Draw(t, "place")
		d.Status = &CMMSStatus{Text: rapid.SampledFrom([]string{"In Storage", "active"}).Draw(t, "status"), At: now().Add(-time.Hour)}
		if rapid.Bool().Draw(t, "unconfirmed") {
			d.OutOfUse = nil
		}
		less := d
		less.Claims = slices.Clone(d.Claims)
		c := &less.Claims[rapid.IntRange(0, len(d.Claims)-1).Draw(t, "claim")]
		for _, blank := range []*string{&c.Manufacturer, &c.Model, &c.Version} {
			if rapid.Bool().Draw(t, "blank") {
				*blank = ""
			}
		}
		switch rapid.IntRange(0, 6).Draw(t, "and also") {
		case 0:
			less.MAC = ""
		case 1:
			less.Options = nil
		case 2:
			less.OutOfUse = nil
		case 3:
			less.Class = ""
		case 4:
			less.Status = nil
		case 5:
			less.Place = ""
		}
		if before, after := l.Decide(d, q, now()), l.Decide(less, q, now()); after.Allowed() && !before.Allowed() {
			t.Fatalf("%s became allowed by %v: %+v", before.Reason, after.Statements, less.Claims)
		}
	})
}

// A site file may only tighten: with its denials and tightenings whatever was refused stays refused, and
// what is allowed is allowed at no looser a pace.
func TestAddingASiteFileNeverTurnsARefusalIntoAnAllowance(t *testing.T) {
	tightened := 0
	rapid.Check(t, func(t *rapid.T) {
		files := filesOf(t, 2, 1)
		d, q := anyDevice(t), question(t)
		plain := signedOffBy(files, Real, "M. Lindqvist")
		with := plain
		text, _ := siteText(t, "statements:\n"+statementText(t, "site.1", rapid.SampledFrom([]Type{Deny, ForbidPort}).Draw(t, "own"))+
			rapid.SampledFrom([]string{"", "tighten: [{limits: {rest: 72h, gap: 9s}}]\n", "tighten: [{limits: {rest: 1h, gap: 1s, cap: 2s}}]\n"}).Draw(t, "tighten"))
		site, err := LoadSite([]byte(text), files)
		if err != nil {
			t.Fatal(err)
		}
		with.Statements, with.Tighten = site.Statements, site.Tighten
		before, after := listOf(t, files, plain).Decide(d, q, now()), listOf(t, files, with).Decide(d, q, now())
		switch {
		case after.Allowed() && !before.Allowed():
			t.Fatalf("%s became allowed by %v", before.Reason, after.Statements)
		case after.Allowed() && before.Limits.Tightest(after.Limits) != after.Limits:
			t.Fatalf("%+v became %+v", before.Limits, after.Limits)
		case after.Allowed() && before.Limits != after.Limits:
			tightened++
		}
	})
	t.Logf("%d drawn paces were tightened", tightened)
}

func TestOrderOfFilesDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := filesOf(t, 2, 2)
		d, q := anyDevice(t), question(t)
		want := compiled(t, files).Decide(d, q, now())
		got := compiled(t, rapid.Permutation(files).Draw(t, "order")).Decide(d, q, now())
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("decision (-want +got):\n%s", diff)
		}
	})
}

func TestEveryDecisionHasAReasonAndAnAllowanceItsLimits(t *testing.T) {
	allowed := 0
	rapid.Check(t, func(t *rapid.T) {
		d := anyDevice(t)
		dec := compiled(t, filesOf(t, 2, 1)).Decide(d, question(t), now().Add(time.Duration(rapid.Int64Range(0, 1<<55).Draw(t, "later"))))
		if dec.Reason == NotDecided {
			t.Fatal("no reason was given")
		}
		if dec.Allowed() {
			allowed++
			if !dec.Limits.Valid(SNMPGet) || len(dec.Statements) == 0 {
				t.Fatalf("allowed by %v with limits %+v", dec.Statements, dec.Limits)
			}
		}
	})
	// Or else the properties above would hold of a list that refuses everything.
	vela := `  - {id: one, type: allow, product: {manufacturers: [Aldane], models: [Vela], versions: {compare: listed, is: ["2.0"]}}, purpose: identify,
     question: {kind: snmp.get, port: "161", oids: [1.3.6.1.2.1.1.1.0]}, expires: "2027-06-01",
     evidence: [{kind: letter, title: T, publisher: P, date: "2026-01-01", says: S, seen: full, provenance: test}]}
`
	rapid.Check(t, func(t *rapid.T) {
		d := Device{ID: "1", Class: OtherClass, Claims: []Claim{{Source: CMMS, Manufacturer: "ALDANE", Model: "vela", Version: "2.0"}}}
		if dec := compiled(t, []*File{fileOf(t, "vela", vela)}).Decide(d, question(t), now()); !dec.Allowed() {
			t.Fatalf("what is certain is refused: %s %s", dec.Reason, dec.Detail())
		}
	})
	t.Logf("%d drawn decisions allowed", allowed)
}

func TestZeroValuesRefuse(t *testing.T) {
	if (Decision{}).Allowed() || (Decision{Reason: Allowed}).Allowed() {
		t.Error("a decision without limits allows")
	}
	empty := compile(t, nil, Site{Name: "s", Policy: Real})
	for _, s := range goodSpecs() {
		q, err := ParseQuery(s)
		if err != nil {
			t.Fatal(err)
		}
		d := Device{Claims: []Claim{{Source: CMMS, Manufacturer: "A", Model: "B", Version: "1"}}}
		if got := (*List)(nil).Decide(d, q, now()); got.Reason != NoList {
			t.Errorf("no list: %s", got.Reason)
		}
		if got := new(List).Decide(d, q, now()); got.Reason != NoList {
			t.Errorf("the zero list: %s", got.Reason)
		}
		if got := empty.Decide(d, q, now()); got.Reason != NotApproved {
			t.Errorf("an empty list: %s", got.Reason)
		}
		if got := empty.Decide(Device{}, q, time.Time{}); got.Allowed() {
			t.Errorf("the zero device: %s", got.Reason)
		}
	}
	if got := empty.Decide(Device{}, Query{}, now()); got.Reason != QuestionUnapproved {
		t.Errorf("the zero question: %s", got.Reason)
	}
}
