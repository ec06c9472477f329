package plan

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	list "primum/safetylists"
	"primum/safetylists/permit"
)

var opens = time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)

const files = `schema: primum-list/1
name: lab-maker
maker: Maker
dated: "2026-11-24"
lab: true
statements:
  - id: lab.maker.snmp
    type: allow
    product: {manufacturers: [Maker], models: [One], versions: {compare: opaque, all: true}}
    purpose: identify
    question: {kind: snmp.get, port: "10161", oids: [1.3.6.1.2.1.1.1.0]}
    expires: "2026-12-24"
    evidence: [{kind: laboratory, title: T, publisher: Maker, date: "2026-11-24", says: It can take it., seen: full, provenance: written for a test}]
  - id: lab.maker.echo
    type: allow
    product: {manufacturers: [Maker], models: [One], versions: {compare: opaque, all: true}}
    purpose: identify
    question: {kind: dicom.echo, port: "11112", calling_ae: PRIMUM}
    expires: "2026-12-24"
    evidence: [{kind: laboratory, title: T, publisher: Maker, date: "2026-11-24", says: It can take it., seen: full, provenance: written for a test}]
`

func load(t *testing.T) *list.List { return loadWith(t, "") }

// loadWith is load at a site whose file has more fields.
func loadWith(t *testing.T, more string) *list.List {
	t.Helper()
	f, err := list.Load("maker", []byte(files))
	if err != nil {
		t.Fatal(err)
	}
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)).Public().(ed25519.PublicKey)
	var doc strings.Builder
	fmt.Fprintf(&doc, "schema: primum-site/1\nname: demo\nfacility: F\npolicy: lab\nmin_approvers: 1\napprovers:\n- {name: a, key: %q}\n%ssign_offs:\n", permit.FormatPublic(key), more)
	for _, s := range f.Statements {
		fmt.Fprintf(&doc, "- {statement: %s, digest: %x, by: [a], on: 2026-11-24}\n", s.ID, s.Digest)
	}
	site, err := list.LoadSite([]byte(doc.String()), []*list.File{f})
	if err != nil {
		t.Fatal(err)
	}
	l, err := list.New([]*list.File{f}, site)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func device(id string, change func(*list.Device)) list.Device {
	d := list.Device{ID: id, Name: "Maker One", Class: list.OtherClass, MAC: fmt.Sprintf("02:00:00:00:00:%02x", id[0]), Address: addr(fmt.Sprintf("127.42.1.%d", id[0])),
		Claims:    []list.Claim{{Source: list.CMMS, Manufacturer: "Maker", Model: "One", Version: "1"}},
		Endpoints: list.Endpoints{SNMPPort: 10161, DICOMPort: 11112, AETitle: "ONE"}}
	if change != nil {
		change(&d)
	}
	return d
}

func in(t *testing.T, devices ...list.Device) Input {
	return Input{ID: "plans/1", Site: "demo", Origin: permit.FromWindow, Caller: "windows/w", Opens: opens, Closes: opens.Add(time.Hour), Made: opens,
		List: load(t), Release: permit.Digest{4}, Devices: devices, Last: map[Asked]time.Time{}}
}

func TestDatagramsComeFirstAndGoRoundTheDevices(t *testing.T) {
	p := Make(in(t, device("B", nil), device("A", nil)))
	var order []string
	for _, it := range p.Items {
		order = append(order, it.Device.ID+" "+string(it.Query.Kind()))
	}
	if want := []string{"A snmp.get", "B snmp.get", "A dicom.echo", "B dicom.echo"}; !slices.Equal(order, want) {
		t.Errorf("%v (refused %v)", order, p.Refusals)
	}
}

func TestTheSameInputIsTheSameDocumentWhateverTheOrderOfDevices(t *testing.T) {
	one, err := Make(in(t, device("A", nil), device("B", nil), device("C", nil))).Encode()
	if err != nil {
		t.Fatal(err)
	}
	two, err := Make(in(t, device("C", nil), device("A", nil), device("B", nil))).Encode()
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("two documents: %v", err)
	}
	if _, _, err := permit.DecodePlan(one); err != nil {
		t.Error(err)
	}
}

// A plan is made for a time to come: what is good today and does not reach to then has not ended.
func TestAConfirmationThatDoesNotReachIsNotSaidToHaveEnded(t *testing.T) {
	p := Make(in(t, device("A", func(d *list.Device) {
		d.Class, d.OutOfUse = list.LifeSupport, &list.OutOfUse{By: "R. Okafor", Until: opens.Add(-time.Minute)}
	})))
	if len(p.Refusals) != 2 || p.Refusals[0].Detail != "the confirmation by R. Okafor does not cover that time" {
		t.Errorf("%+v", p.Refusals)
	}
}

func TestEveryDeviceIsAskedOrRefusedWithAReason(t *testing.T) {
	question := Make(in(t, device("A", nil))).Items[0].Query.String()
	for name, c := range map[string]struct {
		device func(*list.Device)
		input  func(*Input)
		want   []list.Reason // of the refusals
		items  int
	}{
		"allowed":                    {items: 2},
		"another product":            {device: func(d *list.Device) { d.Claims[0].Model = "Two"; d.Endpoints = list.Endpoints{} }, want: []list.Reason{list.NotApproved}},
		"a printer's port":           {device: func(d *list.Device) { d.Claims[0].Model = "Two"; d.Endpoints = list.Endpoints{HL7Port: 9100} }, want: []list.Reason{list.PortForbidden}},
		"no AE title":                {device: func(d *list.Device) { d.AETitle = "" }, items: 1, want: []list.Reason{list.NotRegistered}},
		"no address":                 {device: func(d *list.Device) { d.Address = netip.Addr{} }, want: []list.Reason{list.NotRegistered, list.NotRegistered}},
		"it is not known to be idle": {device: func(d *list.Device) { d.Class = list.LifeSupport }, want: []list.Reason{list.InUseUnknown, list.InUseUnknown}},
		"idle until in mid-time": {device: func(d *list.Device) {
			d.Class = list.LifeSupport
			d.OutOfUse = &list.OutOfUse{By: "n", Until: opens.Add(time.Minute)}
		}, want: []list.Reason{list.InUseUnknown, list.InUseUnknown}},
		"in the store, says a CMMS that the site takes at its word": {device: func(d *list.Device) {
			d.Class, d.Status = list.LifeSupport, &list.CMMSStatus{Text: "In storage", At: opens.Add(-22 * time.Hour)}
		}, input: func(i *Input) { i.List = loadWith(t, "use_status: {not_in_use: [in storage]}\n") }, items: 2},
		"in the store, but too long ago at the close": {device: func(d *list.Device) {
			d.Class, d.Status = list.LifeSupport, &list.CMMSStatus{Text: "In storage", At: opens.Add(-23*time.Hour - 30*time.Minute)}
		}, input: func(i *Input) { i.List = loadWith(t, "use_status: {not_in_use: [in storage]}\n") }, want: []list.Reason{list.InUseUnknown, list.InUseUnknown}},
		"in the store, and the site takes nobody's word": {device: func(d *list.Device) {
			d.Class, d.Status = list.LifeSupport, &list.CMMSStatus{Text: "In storage", At: opens}
		}, want: []list.Reason{list.InUseUnknown, list.InUseUnknown}},
		"idle all the time": {device: func(d *list.Device) {
			d.Class = list.LifeSupport
			d.OutOfUse = &list.OutOfUse{By: "n", Until: opens.Add(2 * time.Hour)}
		}, items: 2},
		"asked an hour ago":                   {input: func(i *Input) { i.Last[Asked{"id A", question}] = opens.Add(-time.Hour) }, items: 1, want: []list.Reason{list.MinInterval}},
		"asked an hour ago under another tag": {input: func(i *Input) { i.Last[Asked{"mac 02:00:00:00:00:41", question}] = opens.Add(-time.Hour) }, items: 1, want: []list.Reason{list.MinInterval}},
		"asked an hour ago at its address":    {input: func(i *Input) { i.Last[Asked{"ip 127.42.1.65", question}] = opens.Add(-time.Hour) }, items: 1, want: []list.Reason{list.MinInterval}},
		"asked two days ago":                  {input: func(i *Input) { i.Last[Asked{"id A", question}] = opens.Add(-48 * time.Hour) }, items: 2},
		"one kind alone":                      {input: func(i *Input) { i.Kind = list.DICOMEcho }, items: 1},
		"the allowance will have ended": {input: func(i *Input) {
			i.Opens = time.Date(2026, 12, 23, 23, 30, 0, 0, time.UTC)
			i.Closes = time.Date(2026, 12, 25, 1, 0, 0, 0, time.UTC)
		},
			want: []list.Reason{list.ApprovalExpired, list.ApprovalExpired}},
	} {
		t.Run(name, func(t *testing.T) {
			i := in(t, device("A", c.device))
			if c.input != nil {
				c.input(&i)
			}
			p := Make(i)
			var got []list.Reason
			for _, r := range p.Refusals {
				if r.Device != "A" {
					t.Errorf("refusal of %q", r.Device)
				}
				got = append(got, r.Reason)
			}
			if len(p.Items) != c.items || !slices.Equal(got, c.want) {
				t.Errorf("%d items, refused %v %v", len(p.Items), got, p.Refusals)
			}
		})
	}
}

// H-047: a plan puts no question into an approved time that has a part in the hours of its device's ward.
func TestNothingIsPlannedIntoTheHoursOfAWard(t *testing.T) {
	for name, c := range map[string]struct {
		hours, place string
		quiet        bool
	}{
		"all of it":                {`from: "00:00", to: "24:00"`, "ICU, bed 1", true},
		"its middle":               {`from: "02:20", to: "02:21"`, "ICU, bed 1", true},
		"its last minute":          {`from: "02:59", to: "05:00"`, "ICU, bed 1", true},
		"from its end on":          {`from: "03:00", to: "05:00"`, "ICU, bed 1", false},
		"up to its beginning":      {`from: "22:00", to: "02:00"`, "ICU, bed 1", false},
		"another ward":             {`from: "00:00", to: "24:00"`, "Recovery", false},
		"a place that is not told": {`from: "02:20", to: "02:21"`, "", true},
	} {
		i := in(t, device("A", func(d *list.Device) { d.Place = c.place }))
		i.List = loadWith(t, "zone: Etc/GMT-1\nquiet: [{place: ICU, "+c.hours+"}]\n")
		i.Opens = time.Date(2026, 11, 24, 1, 0, 0, 0, time.UTC) // 02:00 to 03:00 on the wall
		i.Closes = i.Opens.Add(time.Hour)
		p := Make(i)
		if c.quiet != (len(p.Items) == 0) || c.quiet && (len(p.Refusals) != 2 || p.Refusals[0].Reason != list.QuietHours || !strings.HasPrefix(p.Refusals[0].Detail, "ICU, from ")) {
			t.Errorf("%s: %d items, refused %v", name, len(p.Items), p.Refusals)
		}
	}
}

func TestAStandingApprovalNarrowsThePlanAndItsBudgetEndsIt(t *testing.T) {
	i := in(t, device("A", nil), device("B", nil))
	i.Leave = &permit.Standing{Site: "demo", Caller: "windows/w", Devices: []string{"A"}, Statements: []string{"lab.maker.snmp", "lab.maker.echo"},
		List: permit.Digest{4}, From: opens.Add(-time.Hour), Until: opens.Add(48 * time.Hour), PerDay: 5}
	i.Left = 1
	p := Make(i)
	if len(p.Items) != 1 || p.Items[0].Device.ID != "A" {
		t.Fatalf("items %v", p.Items)
	}
	count := map[list.Reason]int{}
	for _, r := range p.Refusals {
		count[r.Reason]++
	}
	if count[list.PlanNotApproved] != 2 || count[list.BudgetSpent] != 1 {
		t.Errorf("refused %v", count)
	}
	if no := i.Leave.Covers(p, opens); no != nil {
		t.Errorf("the plan is wider than its approval: %s", no)
	}
}

// G9: two asset tags with one address or one network card are one device, which is asked a question once.
func TestOneDeviceUnderTwoTagsIsPlannedOnce(t *testing.T) {
	for name, bend := range map[string]func(a, b *list.Device){
		"one address": func(a, b *list.Device) { a.Address, b.Address = addr("10.1.2.3"), addr("10.1.2.3") },
		"one card":    func(a, b *list.Device) { a.MAC, b.MAC = "02:00:00:00:00:01", "02:00:00:00:00:01" },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := device("A", func(d *list.Device) { d.Address = addr("10.1.2.1") }), device("B", func(d *list.Device) { d.Address = addr("10.1.2.2") })
			bend(&a, &b)
			p := Make(in(t, b, a))
			asked := map[string][]string{}
			for _, it := range p.Items {
				asked[it.Query.String()] = append(asked[it.Query.String()], it.Device.ID)
			}
			for question, tags := range asked {
				if len(tags) != 1 || tags[0] != "A" {
					t.Errorf("%s is asked of %v", question, tags)
				}
			}
			for _, no := range p.Refusals {
				if no.Device != "B" || no.Reason != list.MinInterval || !strings.Contains(no.Detail, "A") {
					t.Errorf("%+v", no)
				}
			}
			if len(p.Items) == 0 || len(p.Refusals) != len(p.Items) {
				t.Errorf("%d questions and %d refusals", len(p.Items), len(p.Refusals))
			}
		})
	}
}
