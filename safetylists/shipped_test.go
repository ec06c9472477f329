package safetylists_test

import (
	"embed"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	lablists "primum/plugins/lab/lists"
	. "primum/safetylists"
	"primum/safetylists/lists"
)

func now() time.Time { return time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC) }

func loadAll(t *testing.T, from embed.FS) []*File {
	t.Helper()
	names, err := fs.Glob(from, "*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no list files: %v", err)
	}
	var files []*File
	for _, name := range names {
		text, err := from.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Load(name, text)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// signedOffBy makes a site where the persons have signed off every allowance.
func signedOffBy(files []*File, policy Policy, by ...string) Site {
	s := Site{Name: "demo", Facility: "DEMOSITE", Policy: policy, MinApprovers: 1}
	for _, f := range files {
		for _, st := range f.Statements {
			if st.Type == Allow {
				s.SignOffs = append(s.SignOffs, SignOff{Statement: st.ID, Digest: st.Digest, By: by, On: now()})
			}
		}
	}
	return s
}

func compile(t *testing.T, files []*File, site Site) *List {
	t.Helper()
	l, err := New(files, site)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// labDevice is a device as the demo hospital's maintenance system describes it.
func labDevice(maker, model, version string, class Class, e Endpoints) Device {
	d := Device{ID: "10-0000", Class: class, Endpoints: e,
		Claims: []Claim{{Source: CMMS, Manufacturer: maker, Model: model, Version: version, At: now()}}}
	if class != OtherClass {
		d.OutOfUse = &OutOfUse{By: "R. Okafor", Until: now().Add(8 * time.Hour)}
	}
	return d
}

func answering(d Device, c Claim) Device {
	d.Claims = append(slices.Clone(d.Claims), c)
	return d
}

// TestDemoHospitalIsDecidedAsItsListsSay goes through the models of the demo hospital (plugins/lab).
func TestDemoHospitalIsDecidedAsItsListsSay(t *testing.T) {
	files := append(loadAll(t, lists.Files()), loadAll(t, lablists.Files())...)
	l := compile(t, files, signedOffBy(files, Lab, "M. Lindqvist"))
	snmp, ct := Endpoints{SNMPPort: 10161}, Endpoints{DICOMPort: 11112, AETitle: "LUMENCT1"}
	archive := Endpoints{SNMPPort: 10161, DICOMPort: 11112, AETitle: "LUMENARC1"}
	link := func(app, facility string) Endpoints {
		return Endpoints{HL7Port: 12575, HL7Application: app, HL7Facility: facility, HL7Connections: 2}
	}
	assay := link("ASSAY9", "DEMOLAB")
	assay.SNMPPort = 10161
	type reasons map[Kind]Reason
	for _, c := range []struct {
		name   string
		device Device
		want   reasons
	}{
		{"a Vela 3", labDevice("Aldane Medical", "Vela 3", "3.2.1", HighRisk, snmp), reasons{SNMPGet: Allowed}},
		{"a Vela Gateway", labDevice("Aldane Medical", "Vela Gateway", "5.1.0", OtherClass, link("VELAGW", "DEMOHOSP")), reasons{HL7Ack: Allowed}},
		{"a Lumen CT 64", labDevice("Corvus Imaging", "Lumen CT 64", "VL40.2", HighRisk, ct), reasons{DICOMEcho: Allowed}},
		{"a Lumen Archive", labDevice("Corvus Imaging", "Lumen Archive", "2.8.0", OtherClass, archive), reasons{SNMPGet: Allowed, DICOMEcho: Allowed}},
		{"a Lumen Archive that says 2.8.1 itself",
			answering(labDevice("Corvus Imaging", "Lumen Archive", "2.8.0", OtherClass, archive), Claim{Source: Answer, Manufacturer: "Corvus Imaging", Model: "Lumen Archive", Version: "2.8.1"}),
			reasons{SNMPGet: VersionOutside, DICOMEcho: VersionOutside}},
		{"a Drift 200", labDevice("Tessaly Infusion", "Drift 200", "7.4.2", LifeSupport, snmp), reasons{SNMPGet: Allowed}},
		{"a Drift 200 with firmware before 7.0", labDevice("Tessaly Infusion", "Drift 200", "6.9.0", LifeSupport, snmp), reasons{SNMPGet: VersionOutside}},
		{"an Assay 9", labDevice("Brightwell Diagnostics", "Assay 9", "1.12.3", OtherClass, assay), reasons{SNMPGet: Allowed, HL7Ack: Allowed}},
		{"a Wardprint 20 registered at a raw printing port",
			labDevice("Harrow Systems", "WARDPRINT 20", "N.04", OtherClass, Endpoints{SNMPPort: 10161, HL7Port: 9100}),
			reasons{SNMPGet: Allowed, HL7Ack: PortForbidden}},
		{"an Infinity Delta", labDevice("Dräger", "Infinity Delta", "VF8.1", HighRisk, snmp), reasons{SNMPGet: Denied}},
		{"a Hummingbird that nobody speaks for", labDevice("Ostrava Instruments", "Hummingbird", "0.9.4", HighRisk, snmp), reasons{SNMPGet: NotApproved}},
		{"an EDS2100 registered at its serial line", labDevice("Lantronix", "EDS2100", "5.4.0.0", OtherClass, Endpoints{HL7Port: 10001}), reasons{HL7Ack: PortForbidden}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := reasons{}
			for _, candidate := range l.Candidates(c.device) {
				dec := l.DecideCandidate(c.device, candidate, now())
				got[candidate.Kind] = dec.Reason
				if dec.Allowed() && !dec.Limits.Valid(candidate.Kind) {
					t.Errorf("%s: allowed with limits %+v", candidate.Kind, dec.Limits)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("decisions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLabAllowancesPaceAsDefaultsSay(t *testing.T) {
	for _, f := range loadAll(t, lablists.Files()) {
		if !f.Lab {
			t.Errorf("%s is not marked lab", f.Name)
		}
		for _, finding := range f.Lint() {
			t.Errorf("%s: %s", f.Name, finding)
		}
		for _, s := range f.Statements {
			if s.Type != Allow {
				continue
			}
			want := DefaultLimits(s.Question.Kind)
			if s.Question.Kind == SNMPGet {
				want.Reply = time.Second
			}
			if s.Question.Kind.Vendor() { // as many as its templates have
				want.Messages = 0
				for _, m := range s.Question.Messages {
					_, most := m.Times()
					want.Messages += most
				}
			}
			if diff := cmp.Diff(want, s.Limits); diff != "" {
				t.Errorf("%s limits (-want +got):\n%s", s.ID, diff)
			}
			if got := s.Expires.Format(time.DateOnly); s.Purpose != Identify || got != "2027-11-24" {
				t.Errorf("%s: %s until %s", s.ID, s.Purpose, got)
			}
		}
	}
}

func TestFingerprintsRecogniseWhatTheDemoDevicesAnswer(t *testing.T) {
	files := loadAll(t, lablists.Files())
	l := compile(t, files, Site{Name: "demo", Policy: Lab})
	for _, c := range []struct{ oid, descr, maker, model, version string }{
		{"1.3.6.1.4.1.99991.1.3", "Aldane Medical Vela 3 patient monitor, software 3.2.1", "Aldane Medical", "Vela 3", "3.2.1"},
		{"1.3.6.1.4.1.99992.7.1", "Corvus Imaging Lumen Archive 2.8.1 (image archive)", "Corvus Imaging", "Lumen Archive", "2.8.1"},
		{"1.3.6.1.4.1.99993.200", "Tessaly Infusion Drift 200 volumetric pump, firmware 7.4.2", "Tessaly Infusion", "Drift 200", "7.4.2"},
		{"1.3.6.1.4.1.99994.9", "Brightwell Diagnostics Assay 9 analyser V1.12.3", "Brightwell Diagnostics", "Assay 9", "1.12.3"},
		{"1.3.6.1.4.1.99995.20.1", "Harrow Systems Wardprint 20, firmware N.04", "Harrow Systems", "Wardprint 20", "N.04"},
	} {
		got, ok := l.Recognise(Observed{ObjectID: c.oid, Description: c.descr})
		want := Claim{Source: Answer, Manufacturer: c.maker, Model: c.model, Version: c.version}
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("%s: recognised %v (-want +got):\n%s", c.descr, ok, diff)
		}
	}
	if c, ok := l.Recognise(Observed{ObjectID: "1.3.6.1.4.1.99991.1.3", Description: "Another maker's unit"}); ok {
		t.Errorf("a foreign description was recognised as %+v", c)
	}
}

func TestShippedListsRefuseFictionalMakersUnderRealPolicy(t *testing.T) {
	if _, err := New(loadAll(t, lablists.Files()), Site{Name: "real", Policy: Real}); err == nil {
		t.Error("lists of fictional makers loaded under real policy")
	}
	if _, err := New(loadAll(t, lists.Files()), Site{Name: "real", Policy: Real}); err != nil {
		t.Error(err)
	}
}

func TestShippedListsHoldTheEvidenceAndNameTheirSources(t *testing.T) {
	count := map[Type]int{}
	for _, f := range loadAll(t, lists.Files()) {
		for _, s := range f.Statements {
			count[s.Type]++
			for _, e := range s.Evidence {
				if e.Address == "" {
					t.Errorf("%s: evidence %q has no address", s.ID, e.Title)
				}
			}
		}
	}
	if diff := cmp.Diff(map[Type]int{Deny: 28, ForbidPort: 5, StackHazardType: 6, Note: 23, Fingerprint: 17, Allow: 14}, count); diff != "" {
		t.Errorf("statements (-want +got):\n%s", diff)
	}
}

// Each file's examples hold for it alone, which loading tries. Together with all the others a refusal
// must still be a refusal, and what the documents name must not be shadowed by somebody else's denial.
func TestExamplesHoldAmongAllShippedLists(t *testing.T) {
	files := loadAll(t, lists.Files())
	site := signedOffBy(files, Real, "M. Lindqvist", "A. Mbeki")
	site.Facility = "SITE"
	l := compile(t, files, site)
	named := map[string]bool{}
	for _, f := range files {
		for _, e := range f.Examples {
			dec := l.Decide(e.Device, e.Query, now())
			if (e.Expect == Allowed) != dec.Allowed() {
				t.Errorf("%s: %+v: %s by %v, and alone %s", f.Name, e.Device.Claims, dec.Reason, dec.Statements, e.Expect)
			}
			for _, id := range e.By {
				named[id] = true
			}
		}
		for _, finding := range f.Lint() {
			t.Errorf("%s: %s", f.Name, finding)
		}
	}
}

// DESIGN 6.3: what the shipped lists allow is what public documents name, and nobody may be asked
// without a site's own persons: one where the document was read in full, two where in excerpt.
func TestShippedAllowancesNeedTheSitesSignOff(t *testing.T) {
	files := loadAll(t, lists.Files())
	one := map[string]bool{}
	for persons := range 3 {
		site := signedOffBy(files, Real, []string{"M. Lindqvist", "A. Mbeki"}[:persons]...)
		site.Facility = "SITE"
		l := compile(t, files, site)
		for _, f := range files {
			for _, e := range f.Examples {
				if e.Expect != Allowed {
					continue
				}
				dec := l.Decide(e.Device, e.Query, now())
				switch {
				case dec.Allowed() && persons == 0, !dec.Allowed() && persons == 2, !dec.Allowed() && dec.Reason != NotSignedOff:
					t.Errorf("%s: %s with %d persons", e.By, dec.Reason, persons)
				case dec.Allowed() && persons == 1:
					one[dec.Statements[0]] = true
				}
			}
		}
	}
	if diff := cmp.Diff(map[string]bool{"orthanc": true}, one); diff != "" {
		t.Errorf("allowed by one person (-want +got):\n%s", diff)
	}
}

func TestHintsPointToMakersAndClaimNothing(t *testing.T) {
	l := compile(t, loadAll(t, lists.Files()), Site{Name: "real", Policy: Real})
	for _, c := range []struct {
		seen Observed
		want []string
	}{
		{Observed{ObjectID: "1.3.6.1.4.1.3592.1.2"}, []string{"fp-draeger"}},
		{Observed{ObjectID: "1.3.6.1.4.1.35920"}, nil},
		{Observed{MAC: "00:09:fb:01:02:03"}, []string{"fp-philips"}},
		{Observed{MAC: "50:a0:30:8f:02:03"}, []string{"fp-ge"}},
		{Observed{MAC: "50:a0:30:9f:02:03"}, nil},
		{Observed{MAC: "00:40:9d:01:02:03", ObjectID: "1.3.6.1.4.1.10096"}, []string{"fp-baxter-hillrom-welchallyn", "fp-connectivity-modules"}},
		{Observed{ImplementationClass: "1.2.276.0.7230010.3.0.3.6.7", ImplementationVersion: "OFFIS_DCMTK_367"}, []string{"fp-dicom-toolkits"}},
		{Observed{ImplementationVersion: "GODICOM_1_11"}, nil},
	} {
		var got []string
		for _, s := range l.Hints(c.seen) {
			got = append(got, s.ID)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.seen, got, c.want)
		}
		if claim, ok := l.Recognise(c.seen); ok {
			t.Errorf("%+v: claimed %+v", c.seen, claim)
		}
	}
}

func TestShippedListsDenyWhatTheyNameForEveryQuestion(t *testing.T) {
	l := compile(t, loadAll(t, lists.Files()), Site{Name: "real", Facility: "SITE", Policy: Real})
	all := Endpoints{SNMPPort: 161, DICOMPort: 104, HL7Port: 2575, AETitle: "ANY", HL7Application: "APP", HL7Facility: "FAC", HL7Connections: 2}
	every := []Kind{SNMPGet, DICOMEcho, HL7Ack}
	for _, c := range []struct {
		maker, model, version, statement string
		kinds                            []Kind
	}{
		{"Dräger", "Infinity Delta", "VF8.1", "draeger-infinity-delta", every},
		{"Draeger Medical", "Infinity Delta XL", "", "draeger-infinity-delta", every},
		{"DRÄGERWERK AG & Co. KGaA", "infinity  delta", "VF10.1", "draeger-infinity-delta", every},
		{"Drägerwerk", "Infinity M540", "VG4.1.1", "draeger-iacs-m540", every},
		{"Drager", "Perseus A500", "SW 2.01", "draeger-perseus-a500-medibus", every},
		{"Contec Medical Systems", "CMS8000", "", "contec-cms8000", every},
		{"Philips", "IntelliVue MX450", "M.00", "philips-intellivue-n", every},
		{"Philips Healthcare", "PIC iX", "C.02", "philips-piix-c02-c03", every},
		{"Becton Dickinson", "Alaris PC Unit", "9.33.1", "bd-alaris-8015-pcu", every},
		{"Siemens", "SCALANCE X308-2M", "V4.1.3", "siemens-scalance-x300-snmp", []Kind{SNMPGet}},
		{"Moxa", "NPort 5110", "2.7", "moxa-nport-syn", []Kind{DICOMEcho, HL7Ack}},
	} {
		d := Device{ID: "1", Class: OtherClass, Endpoints: all, Claims: []Claim{{Source: CMMS, Manufacturer: c.maker, Model: c.model, Version: c.version}}}
		denied := map[Kind]bool{}
		for _, candidate := range l.Candidates(d) {
			dec := l.DecideCandidate(d, candidate, now())
			denied[candidate.Kind] = dec.Reason == Denied && slices.Contains(dec.Statements, c.statement)
			if dec.Allowed() {
				t.Errorf("%s %s: %s is allowed", c.maker, c.model, candidate.Kind)
			}
		}
		for _, k := range every {
			if denied[k] != slices.Contains(c.kinds, k) {
				t.Errorf("%s %s %q: %s denied by %s is %v", c.maker, c.model, c.version, k, c.statement, denied[k])
			}
		}
	}
}

func TestShippedListsForbidPortsOfAnyMaker(t *testing.T) {
	l := compile(t, loadAll(t, lists.Files()), Site{Name: "real", Facility: "SITE", Policy: Real})
	for _, c := range []struct {
		maker     string
		port      uint16
		statement string
	}{
		{"Lantronix", 10001, "forbid-serial-over-tcp"}, {"", 10032, "forbid-serial-over-tcp"},
		{"Nobody in particular", 9999, "forbid-serial-over-tcp"}, {"Aldane Medical", 9100, "forbid-9100-jetdirect"},
		{"", 9107, "forbid-9100-jetdirect"}, {"Someone", 502, "forbid-fragile-ot"},
	} {
		d := Device{ID: "1", Class: OtherClass, Claims: []Claim{{Source: CMMS, Manufacturer: c.maker, Model: "Anything"}}}
		q, err := ParseQuery(QuerySpec{Kind: DICOMEcho, Port: c.port, CalledAE: "A", CallingAE: "B"})
		if err != nil {
			t.Fatal(err)
		}
		if c.maker == "" {
			d.Claims = nil
		}
		dec := l.Decide(d, q, now())
		if dec.Reason != PortForbidden || !slices.Contains(dec.Statements, c.statement) {
			t.Errorf("%q port %d: %s by %v; want PORT_FORBIDDEN by %s", c.maker, c.port, dec.Reason, dec.Statements, c.statement)
		}
	}
}

// What we say ourselves is shown to technicians: we check and ask. Titles and what documents say stay as they are.
func TestOurOwnWordsSpeakOfChecksAndQuestions(t *testing.T) {
	said := map[string]string{}
	for _, f := range loadAll(t, lists.Files()) {
		for _, s := range f.Statements {
			said[s.ID] = s.Words
		}
	}
	for _, r := range Reasons() {
		said[string(r)] = r.Words().String()
	}
	for who, words := range said {
		for _, never := range []string{"scan", "target", "attack", "exploit"} {
			if strings.Contains(strings.ToLower(words), never) {
				t.Errorf("%s says %q: %s", who, never, words)
			}
		}
	}
}
