package letter

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	list "primum/safetylists"
)

var update = flag.Bool("update", false, "write the golden files anew")

func request(t *testing.T) Request {
	t.Helper()
	var queries []list.Query
	for _, s := range []list.QuerySpec{
		{Kind: list.SNMPGet, Port: 161, OIDs: list.DefaultOIDs()},
		{Kind: list.DICOMEcho, Port: 104, CalledAE: "LUMEN1", CallingAE: "PRIMUM"},
		{Kind: list.HL7Ack, Port: 2575, Facility: "HOSP", ReceivingApp: "LUMEN", ReceivingFac: "RAD", HL7Version: "2.5.1", Expect: "AA"},
	} {
		q, err := list.ParseQuery(s)
		if err != nil {
			t.Fatal(err)
		}
		queries = append(queries, q)
	}
	return Request{Hospital: "St. Roch Hospital", Contact: "biomed@example.org", Date: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC),
		Maker: "Ostrava Instruments", Model: "Hummingbird", Versions: []string{"0.9.4", "", "0.9.3", "0.9.4"}, Units: 3, Class: list.HighRisk,
		Queries: queries, Until: time.Date(2027, 11, 24, 0, 0, 0, 0, time.UTC)}
}

func TestTheLetterIsAsPrinted(t *testing.T) {
	l, err := Write(request(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"letter.md": l.Markdown, "letter.html": l.HTML, l.File: l.Statement} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What comes back signed must allow exactly what the letter showed, to exactly these versions.
func TestTheStatementFileAllowsWhatTheLetterAsksFor(t *testing.T) {
	r := request(t)
	l, err := Write(r)
	if err != nil {
		t.Fatal(err)
	}
	f, err := list.Load(l.File, l.Statement)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range f.Statements {
		limits := list.DefaultLimits(s.Question.Kind)
		for _, named := range []string{"rest: " + spelled(limits.Rest), "gap: " + spelled(limits.Gap), "cap: " + spelled(limits.Cap), "reply: " + spelled(limits.Reply)} {
			if !strings.Contains(string(l.Statement), named+"\n") {
				t.Errorf("%s: the pace that the letter names is not in the text that is signed: %s", s.ID, named)
			}
		}
		if s.Limits != limits {
			t.Errorf("%s: %+v, want the pace of the letter, %+v", s.ID, s.Limits, limits)
		}
	}
	site := list.Site{Name: "s", Policy: list.Real, Facility: "HOSP"}
	for _, s := range f.Statements {
		site.SignOffs = append(site.SignOffs, list.SignOff{Statement: s.ID, Digest: s.Digest, By: []string{"M. Lindqvist"}})
	}
	compiled, err := list.New([]*list.File{f}, site)
	if err != nil {
		t.Fatal(err)
	}
	d := list.Device{Class: list.HighRisk, OutOfUse: &list.OutOfUse{By: "R. Okafor", Until: r.Until},
		Claims:    []list.Claim{{Source: list.CMMS, Manufacturer: r.Maker, Model: r.Model, Version: "0.9.3"}},
		Endpoints: list.Endpoints{SNMPPort: 161, DICOMPort: 104, HL7Port: 2575, AETitle: "LUMEN1", HL7Application: "LUMEN", HL7Facility: "RAD", HL7Connections: 2}}
	for _, q := range r.Queries {
		if dec := compiled.Decide(d, q, r.Date); !dec.Allowed() {
			t.Errorf("%s: %s %s", q, dec.Reason, dec.Detail())
		}
	}
	d.Claims[0].Version = "0.9.5"
	if dec := compiled.Decide(d, r.Queries[0], r.Date); dec.Reason != list.VersionUnknown {
		t.Errorf("a version that the letter did not name: %s", dec.Reason)
	}
}

// What is registered as version 3, or over TLS, is asked for as such.
func TestALetterAsksForTheVersionAndTheTLSThatAreRegistered(t *testing.T) {
	r := request(t)
	for i, spec := range []list.QuerySpec{
		{Kind: list.SNMPGet, Port: 161, OIDs: list.DefaultOIDs(), SNMPVersion: list.SNMPv3, Auth: "SHA256", Privacy: "AES128"},
		{Kind: list.DICOMEcho, Port: 2762, CalledAE: "LUMEN1", CallingAE: "PRIMUM", TLSPin: strings.Repeat("5e", 32)},
	} {
		q, err := list.ParseQuery(spec)
		if err != nil {
			t.Fatal(err)
		}
		r.Queries = append(r.Queries[:i:i], q)
	}
	l, err := Write(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"snmp_version: \"3\"", "auth: SHA256", "privacy: AES128", "tls: true", "messages: 3"} {
		if !strings.Contains(string(l.Statement), want) {
			t.Errorf("the statement file lacks %s:\n%s", want, l.Statement)
		}
	}
	if !strings.Contains(string(l.Markdown), "discovery") || !strings.Contains(string(l.Markdown), "over TLS") {
		t.Errorf("the letter does not tell of discovery and TLS:\n%s", l.Markdown)
	}
}

func TestALetterNeedsAProductAndAQuestion(t *testing.T) {
	for name, change := range map[string]func(*Request){
		"no maker":         func(r *Request) { r.Maker = " " },
		"no model":         func(r *Request) { r.Model = "***" },
		"no question":      func(r *Request) { r.Queries = nil },
		"an empty one":     func(r *Request) { r.Queries = append(r.Queries, list.Query{}) },
		"nobody asks":      func(r *Request) { r.Hospital = "" },
		"an end before it": func(r *Request) { r.Until = r.Date },
	} {
		r := request(t)
		change(&r)
		if _, err := Write(r); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// Names come out of an inventory: they must not become markup.
func TestNamesStayNames(t *testing.T) {
	r := request(t)
	r.Model = "Humming<script>alert(1)</script>\n# bird [x](y)"
	l, err := Write(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(l.HTML), "<script>") || strings.Contains(string(l.Markdown), "<script>") || strings.Contains(string(l.Markdown), "\n# bird") || strings.Contains(string(l.Markdown), "[x](y)") {
		t.Errorf("markup in the letter:\n%s\n%s", l.Markdown, l.HTML)
	}
	if _, err := list.Load("x", l.Statement); err != nil {
		t.Error(err)
	}
}
