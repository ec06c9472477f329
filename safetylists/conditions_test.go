package safetylists_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	. "primum/safetylists"
)

const velaHead = "schema: primum-list/1\nname: vela\nmaker: Aldane\ndated: \"2026-01-01\"\nstatements:\n"

const velaAllow = `  - id: vela.allow
    type: allow
    product: {manufacturers: [Aldane], models: [Vela], versions: {compare: dotted, from: "1.0", before: "2.0"}}
    purpose: identify
    question: {kind: snmp.get, port: "161", oids: [1.3.6.1.2.1.1.1.0]}
    expires: "2027-06-01"
` + sourced

func velaFile(t *testing.T, statements string) *File {
	t.Helper()
	f, err := Load("vela.yaml", []byte(velaHead+statements))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func vela(version string) Device {
	return Device{ID: "1", Class: OtherClass, Endpoints: Endpoints{SNMPPort: 161},
		Claims: []Claim{{Source: CMMS, Manufacturer: "Aldane", Model: "Vela", Version: version}}}
}

func ask(t *testing.T) Query {
	t.Helper()
	q, err := ParseQuery(QuerySpec{Kind: SNMPGet, Port: 161, OIDs: []string{"1.3.6.1.2.1.1.1.0"}})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func decide(t *testing.T, statements string, d Device) Decision {
	t.Helper()
	files := []*File{velaFile(t, statements)}
	return compile(t, files, signedOffBy(files, Real, "M. Lindqvist")).Decide(d, ask(t), now())
}

func TestAFixEndsADenialAndApprovesNothing(t *testing.T) {
	deny := `  - id: vela.deny
    type: deny
    product: {manufacturers: [Aldane], models: [Vela], versions: {compare: dotted, before: "1.5"}, fixed_in: {compare: listed, is: ["1.4.1"]}}
    words: Leave it.
` + sourced
	for _, c := range []struct {
		version string
		both    Reason // with an allowance
		alone   Reason
	}{
		{"1.4.0", Denied, Denied}, {"1.4.1", Allowed, NotApproved}, {"", Denied, Denied}, {"one", Denied, Denied}, {"1.6", Allowed, NotApproved},
	} {
		if got := decide(t, deny+velaAllow, vela(c.version)); got.Reason != c.both {
			t.Errorf("version %q with an allowance: %s %s, want %s", c.version, got.Reason, got.Detail(), c.both)
		}
		if got := decide(t, deny, vela(c.version)); got.Reason != c.alone {
			t.Errorf("version %q alone: %s, want %s", c.version, got.Reason, c.alone)
		}
	}
	two := vela("1.4.1")
	two.Claims = append(two.Claims, Claim{Source: Answer, Manufacturer: "Aldane", Model: "Vela", Version: "1.4.0"})
	if got := decide(t, deny+velaAllow, two); got.Reason != Denied {
		t.Errorf("one source says a version without the fix: %s", got.Reason)
	}
}

func TestAStackHazardRefusesUnlessTheAllowanceAcceptsIt(t *testing.T) {
	hazard := `  - id: vela.stack
    type: stack_hazard
    product: {manufacturers: [Aldane], any_model: true, versions: {compare: opaque, all: true}}
    words: Its network software falls over truncated segments.
` + sourced
	accepting := strings.Replace(velaAllow, "    purpose:", "    accepts: [vela.stack]\n    purpose:", 1)
	for name, c := range map[string]struct {
		statements string
		want       Reason
	}{
		"no allowance":                {hazard, StackHazard},
		"an allowance without a word": {hazard + velaAllow, StackHazard},
		"an accepting allowance":      {hazard + accepting, Allowed},
		"accepting what is not there": {accepting, Allowed},
		"a second hazard":             {hazard + strings.Replace(hazard, "vela.stack", "vela.other", 1) + accepting, StackHazard},
	} {
		if got := decide(t, c.statements, vela("1.2")); got.Reason != c.want {
			t.Errorf("%s: %s %v, want %s", name, got.Reason, got.Statements, c.want)
		}
	}
	if got := decide(t, hazard+accepting, vela("7")); got.Reason != VersionOutside {
		t.Errorf("accepted, of another version: %s", got.Reason)
	}
}

// However somebody has typed a name, a denial finds it; an allowance does not.
func TestADenialFindsANameHoweverItIsTyped(t *testing.T) {
	deny := "  - id: sc.deny\n    type: deny\n    product: {manufacturers: [Aldane], models: [\"SC 7000\"], versions: {compare: opaque, all: true}}\n    words: Leave it.\n" + sourced
	allow := strings.Replace(velaAllow, "models: [Vela]", `models: ["SC-7000", "SC7000"]`, 1)
	for name, want := range map[string]Reason{"SC 7000": Denied, "SC7000": Denied, "sc-7000": Denied, "SC_7000 XL": Denied, "SC/7000": Denied, "SC 7000-XL": Denied,
		"SC 70000": NotApproved, "XSC 7000": NotApproved, "7000": Denied} {
		d := vela("1.2")
		d.Claims[0].Model = name
		if got := decide(t, deny+allow, d); got.Reason != want {
			t.Errorf("%s: %s, want %s", name, got.Reason, want)
		}
	}
	for name, want := range map[string]Reason{"SC-7000": Allowed, "SC7000": Allowed, "SC 7000": NotApproved} {
		d := vela("1.2")
		d.Claims[0].Model = name
		if got := decide(t, allow, d); got.Reason != want {
			t.Errorf("%s without the denial: %s, want %s", name, got.Reason, want)
		}
	}
}

// A decision names eight statements at most, and still every hazard must be accepted.
func TestMoreHazardsThanADecisionNamesAreAllHeld(t *testing.T) {
	hazards, accepts := "", ""
	for i := range 9 {
		hazards += fmt.Sprintf("  - id: vela.stack.%d\n    type: stack_hazard\n    product: {manufacturers: [Aldane], any_model: true, versions: {compare: opaque, all: true}}\n    words: It falls over.\n%s", i, sourced)
		if i < 8 {
			accepts += fmt.Sprintf("vela.stack.%d, ", i)
		}
	}
	accepting := func(ids string) string {
		return strings.Replace(velaAllow, "    purpose:", "    accepts: ["+ids+"]\n    purpose:", 1)
	}
	if got := decide(t, hazards+accepting(strings.TrimSuffix(accepts, ", ")), vela("1.2")); got.Reason != StackHazard {
		t.Errorf("eight of nine accepted: %s", got.Reason)
	}
	if got := decide(t, hazards+accepting(accepts+"vela.stack.8"), vela("1.2")); got.Reason != Allowed {
		t.Errorf("all accepted: %s", got.Reason)
	}
	both := ""
	for i := range 9 {
		both += strings.Replace(velaAllow, "vela.allow", fmt.Sprintf("vela.allow.%d", i), 1)
	}
	files := []*File{velaFile(t, both)}
	site := signedOffBy(files, Real, "M. Lindqvist")
	site.Tighten = []Tightening{{Statement: "vela.allow.8", Limits: Limits{Rest: 99 * time.Hour}}}
	if got := compile(t, files, site).Decide(vela("1.2"), ask(t), now()); !got.Allowed() || got.Limits.Rest != 99*time.Hour {
		t.Errorf("the ninth allowance is tightened: %s with rest %s", got.Reason, got.Limits.Rest)
	}
}

func TestAnAllowanceHoldsToItsConditions(t *testing.T) {
	with := func(line string) string {
		return strings.Replace(velaAllow, "    purpose:", "    "+line+"\n    purpose:", 1)
	}
	optioned := vela("1.2")
	optioned.Options = []string{"Remote  SERVICE"}
	free := vela("1.2")
	free.OutOfUse = &OutOfUse{By: "R. Okafor", Until: now().Add(time.Hour)}
	for _, c := range []struct {
		name, line string
		device     Device
		want       Reason
	}{
		{"an option that nobody confirmed", `options: ["Remote service"]`, vela("1.2"), OptionUnknown},
		{"an option that is there", `options: ["Remote service"]`, optioned, Allowed},
		{"one of two options", `options: ["Remote service", "Gateway"]`, optioned, OptionUnknown},
		{"out of use, not confirmed", "clinical_state: out_of_use", vela("1.2"), InUseUnknown},
		{"out of use, confirmed", "clinical_state: out_of_use", free, Allowed},
	} {
		if got := decide(t, with(c.line), c.device); got.Reason != c.want {
			t.Errorf("%s: %s, want %s", c.name, got.Reason, c.want)
		}
	}
	dec := decide(t, with("sources: [10.1.2.0/24]"), vela("1.2"))
	for from, want := range map[string]bool{"10.1.2.9": true, "::ffff:10.1.2.9": true, "10.1.3.9": false, "0.0.0.0": false} {
		if r := dec.From(netip.MustParseAddr(from)); (r == nil) != want {
			t.Errorf("from %s: %v", from, r)
		}
	}
	if r := dec.From(netip.Addr{}); r == nil || r.Reason != SourceNotPermitted {
		t.Errorf("from nowhere: %v", r)
	}
	two := with("sources: [10.1.0.0/16]") + strings.Replace(with("sources: [10.1.2.0/24, 10.9.0.0/16]"), "vela.allow", "vela.second", 1)
	both := decide(t, two, vela("1.2"))
	if got := fmt.Sprint(both.Sources); !both.Allowed() || got != "[10.1.2.0/24]" {
		t.Errorf("two allowances leave %s (%s)", got, both.Reason)
	}
	apart := with("sources: [10.1.0.0/16]") + strings.Replace(with("sources: [10.9.0.0/16]"), "vela.allow", "vela.second", 1)
	if dec := decide(t, apart, vela("1.2")); dec.From(netip.MustParseAddr("10.1.2.3")) == nil || dec.From(netip.MustParseAddr("10.9.2.3")) == nil {
		t.Errorf("two allowances that share no address leave %v", dec.Sources)
	}
}

func TestAnAllowanceWithAConditionThatMeansNothingDoesNotLoad(t *testing.T) {
	for name, line := range map[string]string{
		"a network that is none":      "sources: [10.1.2.3/24]",
		"a clinical state":            "clinical_state: asleep",
		"an ending of another kind":   "ending: release",
		"a stop that nobody makes":    "stop_on: [thunder]",
		"an empty option":             `options: [" "]`,
		"a hazard that is no id":      `accepts: ["Ripple 20"]`,
		"too few messages":            "limits: {messages: -1}",
		"more messages than a visit":  "limits: {messages: 13}",
		"a trigger":                   "trigger: {class: volume, words: w}",
		"an effect":                   "effect: {classes: [reboot], words: w}",
		"a document that ends before": `clinical_state: by_class`,
	} {
		text := velaHead + strings.Replace(velaAllow, "    purpose:", "    "+line+"\n    purpose:", 1)
		if name == "a document that ends before" {
			text = strings.Replace(text, "provenance: test", `provenance: test, until: "2027-01-01"`, 1)
		}
		if _, err := Load("vela.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), "vela.yaml: line ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string][2]string{
		"a trigger class": {"words: Leave", "trigger: {class: bad, words: w}\n    words: Leave"},
		"an effect":       {"words: Leave", "effect: {classes: [sad], words: w}\n    words: Leave"},
		"an acceptance":   {"words: Leave", "accepts: [vela.stack]\n    words: Leave"},
		"a fix of all":    {"opaque, all: true}", "opaque, all: true}, fixed_in: {compare: opaque, all: true}"},
	} {
		deny := "  - id: vela.deny\n    type: deny\n    product: {manufacturers: [Aldane], models: [Vela], versions: {compare: opaque, all: true}}\n    words: Leave it.\n" + sourced
		if _, err := Load("vela.yaml", []byte(velaHead+strings.Replace(deny, c[0], c[1], 1))); err == nil {
			t.Errorf("%s loads", name)
		}
	}
}

func TestABadFieldIsNamedWithItsLine(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`port: "161"`, `port: "53"`, "list vela.yaml: line 10: statement 1 (vela.allow): question: port 53 can never be allowed (G13)"},
		{`expires: "2027-06-01"`, `expires: "soon"`, `list vela.yaml: line 11: statement 1 (vela.allow): expires: "soon" is not a date such as 2027-11-24`},
		{"    purpose: identify\n", "    purpse: identify\n", "list vela.yaml: line 9: field purpse is not a field here"},
		{"    purpose: identify\n", "    purpose: [identify]\n", "list vela.yaml: line 9: purpose: a list does not fit: it is of another kind"},
		{"title: T", "title: \xe9", "list vela.yaml: line 12: octet E9 is not UTF-8 text; save the file as UTF-8"},
	} {
		text := strings.Replace(velaHead+velaAllow, c.old, c.new, 1)
		if _, err := Load("vela.yaml", []byte(text)); err == nil || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.new, err, c.want)
		}
	}
	if _, err := Load("vela.yaml", []byte("\xff\xfes\x00c\x00")); err == nil || !strings.Contains(err.Error(), "UTF-16") {
		t.Errorf("UTF-16: %v", err)
	}
}

func TestAFileWhoseExamplesDoNotComeOutDoesNotLoad(t *testing.T) {
	example := func(device, expect string) string {
		return velaHead + velaAllow + "examples:\n  - device: " + device + "\n    ask: {kind: snmp.get, oids: [1.3.6.1.2.1.1.1.0]}\n    expect: " + expect + "\n"
	}
	for _, c := range []struct{ device, expect, want string }{
		{"{maker: Aldane, model: Vela, version: \"1.2\"}", "ALLOWED", ""},
		{"{maker: Aldane, model: Vela, version: \"3.0\"}", "VERSION_OUTSIDE", ""},
		{"{maker: Aldane, model: Vela, version: \"3.0\"}", "ALLOWED", "line 16: example 1: expect: the decision is VERSION_OUTSIDE"},
		{"{maker: Corvus, model: Vela}", "NOT_APPROVED\n    by: [vela.allow]", "line 17: example 1: by:"},
		{"{maker: Aldane, model: Vela, version: \"1.2\"}", "FINE", `line 16: example 1: expect: "FINE" is no reason code`},
		{"{maker: Aldane, model: Vela, sources: [rumour]}", "ALLOWED", "line 14: example 1: device: source"},
	} {
		_, err := Load("vela.yaml", []byte(example(c.device, c.expect)))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.device, c.expect, err, c.want)
		}
	}
}

// siteText is a site file with two approvers, whose keys it returns by name.
func siteText(t interface {
	Helper()
	Fatal(...any)
}, more string) (string, map[string]ed25519.PrivateKey) {
	t.Helper()
	keys := map[string]ed25519.PrivateKey{}
	text := "schema: primum-site/1\nname: hospital\nfacility: HOSP\npolicy: real\nmin_approvers: 1\napprovers:\n"
	for _, name := range []string{"M. Lindqvist", "A. Mbeki"} {
		pub, priv, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = priv
		text += fmt.Sprintf("  - {name: %q, key: \"primum-public-key:%s\"}\n", name, base64.StdEncoding.EncodeToString(pub))
	}
	return text + more, keys
}

const siteAllow = `statements:
  - id: site.vela
    type: allow
    product: {manufacturers: [Aldane], models: [Vela], versions: {compare: dotted, from: "1.0", before: "2.0"}}
    purpose: identify
    question: {kind: snmp.get, port: "161", oids: [1.3.6.1.2.1.1.1.0]}
    expires: "2027-06-01"
` + sourced

func TestASitesOwnAllowanceTakesTwoSignaturesAndBeatsNoDenial(t *testing.T) {
	unsigned, keys := siteText(t, siteAllow)
	site, err := LoadSite([]byte(unsigned), nil)
	if err != nil {
		t.Fatal(err)
	}
	statement := site.Statements[0]
	on := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	signed := func(names ...string) string {
		text := unsigned + fmt.Sprintf("sign_offs:\n  - statement: site.vela\n    digest: %x\n    on: \"2026-11-24\"\n    by: [%q, %q]\n    signatures:\n", statement.Digest, "M. Lindqvist", "A. Mbeki")
		for _, n := range names {
			sig := ed25519.Sign(keys[n], SignOffText(statement.ID, statement.Digest, on))
			text += fmt.Sprintf("      %q: %s\n", n, base64.StdEncoding.EncodeToString(sig))
		}
		return text
	}
	deny := "  - id: vela.deny\n    type: deny\n    product: {manufacturers: [Aldane], models: [Vela], versions: {compare: opaque, all: true}}\n    words: Leave it.\n" + sourced
	for name, c := range map[string]struct {
		text  string
		files []*File
		want  Reason
	}{
		"nobody has signed":    {unsigned, nil, NotSignedOff},
		"one has signed":       {signed("A. Mbeki"), nil, NotSignedOff},
		"two have signed":      {signed("A. Mbeki", "M. Lindqvist"), nil, Allowed},
		"two against a denial": {signed("A. Mbeki", "M. Lindqvist"), []*File{velaFile(t, deny)}, Denied},
	} {
		site, err := LoadSite([]byte(c.text), c.files)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := compile(t, c.files, site).Decide(vela("1.2"), ask(t), now()); got.Reason != c.want {
			t.Errorf("%s: %s %s, want %s", name, got.Reason, got.Detail(), c.want)
		}
	}
	forged := strings.Replace(signed("A. Mbeki", "M. Lindqvist"), `on: "2026-11-24"`, `on: "2026-11-25"`, 1)
	if _, err := LoadSite([]byte(forged), nil); err == nil || !strings.Contains(err.Error(), "does not verify") {
		t.Errorf("a signature of another day: %v", err)
	}
}

// DESIGN 6.9: how long a wave is watched is the site's; seconds are for the laboratory.
func TestASiteSaysHowLongAWaveIsWatched(t *testing.T) {
	for _, c := range []struct {
		policy, watch string
		want          time.Duration // 0: refused
	}{
		{"real", "", time.Hour}, {"real", "10m", 10 * time.Minute}, {"real", "168h", 168 * time.Hour},
		{"real", "9m59s", 0}, {"real", "0s", 0}, {"real", "-1h", 0}, {"real", "169h", 0}, {"real", "soon", 0},
		{"lab", "", time.Second}, {"lab", "2s", 2 * time.Second}, {"lab", "999ms", 0},
	} {
		more := ""
		if c.watch != "" {
			more = fmt.Sprintf("wave_watch: %q\n", c.watch)
		}
		text, _ := siteText(t, more)
		s, err := LoadSite([]byte(strings.Replace(text, "policy: real", "policy: "+c.policy, 1)), nil)
		if (err != nil) != (c.want == 0) || err == nil && s.Watch() != c.want || err != nil && !strings.Contains(err.Error(), "wave_watch") {
			t.Errorf("%s %q: %s %v", c.policy, c.watch, s.Watch(), err)
		}
	}
}

func TestASiteTightensAndNeverLoosens(t *testing.T) {
	files := []*File{velaFile(t, velaAllow)}
	limits := func(more string) Limits {
		text, _ := siteText(t, more)
		site, err := LoadSite([]byte(text), files)
		if err != nil {
			t.Fatal(err)
		}
		site.SignOffs = signedOffBy(files, Real, "M. Lindqvist").SignOffs
		dec := compile(t, files, site).Decide(vela("1.2"), ask(t), now())
		if !dec.Allowed() || !dec.Limits.Valid(SNMPGet) {
			t.Fatalf("%s: %s with %+v", more, dec.Reason, dec.Limits)
		}
		return dec.Limits
	}
	was := DefaultLimits(SNMPGet)
	for more, want := range map[string]Limits{
		"": was,
		"tighten: [{limits: {rest: 1h, gap: 1s, cap: 30s}}]":               was,
		"tighten: [{limits: {rest: 72h, gap: 9s, cap: 2s, reply: 1s}}]":    {Rest: 72 * time.Hour, Gap: 9 * time.Second, Messages: 1, Cap: 2 * time.Second, Reply: time.Second},
		"tighten: [{kinds: [dicom.echo], limits: {rest: 72h}}]":            was,
		"tighten: [{statement: vela.allow, limits: {gap: 9s}}]":            {Rest: was.Rest, Gap: 9 * time.Second, Messages: 1, Cap: was.Cap, Reply: was.Reply},
		"tighten: [{limits: {gap: 9s}}, {limits: {gap: 7s, connect: 1s}}]": {Rest: was.Rest, Gap: 9 * time.Second, Messages: 1, Cap: was.Cap, Reply: was.Reply},
	} {
		if got := limits(more); got != want {
			t.Errorf("%s: %+v, want %+v", more, got, want)
		}
	}
	for name, more := range map[string]string{
		"a statement that is not there": "tighten: [{statement: nobody, limits: {gap: 9s}}]",
		"nothing":                       "tighten: [{kinds: [snmp.get]}]",
		"a kind":                        "tighten: [{kinds: [snmp.set], limits: {gap: 9s}}]",
		"a fingerprint":                 "statements:\n  - {id: site.f, type: fingerprint, product: {manufacturers: [A], models: [B], versions: {compare: opaque, all: true}}, identity: {object_ids: [1.3.6.1.4.1.1]}, evidence: []}",
		"an id of somebody else":        strings.Replace(siteAllow, "site.vela", "maker.vela", 1),
		"a foreign signature":           "sign_offs:\n  - {statement: vela.allow, digest: " + strings.Repeat("00", 32) + ", on: \"2026-11-24\", by: [X], signatures: {X: aGVsbG8=}}",
	} {
		text, _ := siteText(t, more)
		if _, err := LoadSite([]byte(text), files); err == nil {
			t.Errorf("%s loads", name)
		}
	}
}

// A network card is enough for a denial, however somebody has written its address; one that cannot be read
// could be any card (H-004). Who writes it may be a stolen controller (H-009).
func TestANetworkCardIsDeniedHoweverItIsWritten(t *testing.T) {
	deny := `  - id: corvus.deny
    type: deny
    product: {manufacturers: [Corvus], any_model: true, versions: {compare: opaque, all: true}, ouis: ["00:10:5D"]}
    words: Leave it.
` + sourced
	for _, mac := range []string{"00:10:5d:01:02:03", "00-10-5D-01-02-03", "0010.5d01.0203", "00105D010203", "00:10:5d:00:00:01:02:03",
		"0:10:5d:1:2:3", " 00:10:5d:01:02:03", "00:10:5d:01:02:03\n", "00 10 5d 01 02 03", "00:10-5d:01:02:03", "00:10:5d", "x", "00:1O:5d:01:02:03", "\u200b00:10:5d:01:02:03"} {
		d := vela("1.2")
		d.MAC = mac
		if got := decide(t, velaAllow+deny, d); got.Reason != Denied {
			t.Errorf("%q: %s", mac, got.Reason)
		}
	}
	d := vela("1.2")
	d.MAC = "00-10-5E-01-02-03"
	if got := decide(t, velaAllow+deny, d); !got.Allowed() {
		t.Errorf("another card: %s", got.Reason)
	}
}

// A denial with a network card that no card can have would deny nothing.
func TestANetworkCardInAListIsHexadecimal(t *testing.T) {
	for _, oui := range []string{"00:1O:5D", "00:10:5G", "٠٠:10"} {
		text := velaHead + `  - id: corvus.deny
    type: deny
    product: {manufacturers: [Corvus], any_model: true, versions: {compare: opaque, all: true}, ouis: ["` + oui + `"]}
    words: Leave it.
` + sourced
		if _, err := Load("vela.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), "OUI") {
			t.Errorf("%s: %v", oui, err)
		}
	}
}
