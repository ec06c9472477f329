package agent

import (
	"bytes"
	"encoding/csv"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	"primum/plugins/lab"
	"primum/plugins/lab/hospital"
	"primum/plugins/lab/lists"
	controlv1 "primum/proto/control/v1"
	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// inventory reads the laboratory's CMMS export as the controller would.
func inventory(t *testing.T, text []byte) []list.Device {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []list.Device
	for _, row := range rows[1:] {
		f := map[string]string{}
		for i, name := range rows[0] {
			f[name] = row[i]
		}
		port := func(name string) uint16 {
			n, err := strconv.ParseUint(f[name], 10, 16)
			if err != nil && f[name] != "" {
				t.Fatal(err)
			}
			return uint16(n)
		}
		d := list.Device{ID: f["asset_tag"], Name: f["manufacturer"] + " " + f["model"], Class: list.Class(f["risk_class"]), MAC: f["mac"], Address: netip.MustParseAddr(f["ip"]),
			Claims: []list.Claim{{Source: list.CMMS, Manufacturer: f["manufacturer"], Model: f["model"], Version: f["firmware"], By: "import", At: time.Now().UTC().Truncate(time.Second)}},
			Endpoints: list.Endpoints{SNMPPort: port("snmp_port"), DICOMPort: port("dicom_port"), HL7Port: port("hl7_port"), AETitle: f["ae_title"],
				HL7Application: f["hl7_application"], HL7Facility: f["hl7_facility"], HL7Connections: port("hl7_connections")}}
		if by := f["out_of_use_confirmed_by"]; by != "" {
			until, err := time.Parse(time.RFC3339, f["out_of_use_confirmed_until"])
			if err != nil {
				t.Fatal(err)
			}
			d.OutOfUse = &list.OutOfUse{By: by, Until: until}
		}
		out = append(out, d)
	}
	return out
}

// labLists reads what the demo makers allow.
func labLists(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := fs.WalkDir(lists.Files(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[path], err = fs.ReadFile(lists.Files(), path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// labRun asks the whole laboratory once, in an approved time that the judge knows, and returns the judge's report and the outcomes by device.
func labRun(t *testing.T, approved time.Duration) (lab.Report, map[string][]evidence.Result, *papertest.Papers) {
	t.Helper()
	demo, err := hospital.Demo()
	if err != nil {
		t.Fatal(err)
	}
	h, err := lab.Start(t.Context(), demo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	var sheet, leaseText bytes.Buffer
	if err := h.WriteInventory(&sheet, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := h.WriteLeases(&leaseText, time.Now()); err != nil {
		t.Fatal(err)
	}
	p := papertest.Hospital(t, time.Now(), "demo", "DEMOSITE", labLists(t), inventory(t, sheet.Bytes()))
	p.Plan.Closes = p.Now.Add(approved)
	p.Approve(t)
	if err := h.SetWindow(lab.Window{From: p.Plan.Opens, To: p.Plan.Closes, Slack: time.Second}); err != nil {
		t.Fatal(err)
	}
	a := newAgent(t, p, func(a *testAgent) {
		if err := os.WriteFile(a.places.Leases.Path, leaseText.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	a.hand()
	permits := p.Permits(t)
	o := &controlv1.WorkOrder{Order: "o1", Epoch: 1, Plan: p.Digest[:], Permits: permits, Secrets: []*controlv1.Secret{forAll(t, a.Agent.secrets.PublicKey(), h.Community())}}
	if _, err := (*local)(a.Agent).Order(o); err != nil {
		t.Fatal(err)
	}
	results := map[string][]evidence.Result{}
	deadline := time.Now().Add(60 * time.Second)
	for n := 0; n < len(permits) && time.Now().Before(deadline); {
		grown := a.journal.Grown()
		n = 0
		clear(results)
		for _, r := range a.records() {
			if r.Kind == evidence.Outcome {
				n++
				results[r.Device] = append(results[r.Device], *r.Result)
			}
		}
		select {
		case <-grown:
		case <-time.After(500 * time.Millisecond):
		}
	}
	a.stop()
	return h.Report(), results, p
}

// The judge of the whole way: real plugins, guard and wire put every approved question to the glass
// devices of the demo hospital, and none is harmed, none receives an unapproved byte, and those that
// must receive nothing receive nothing.
func TestTheLaboratoryIsAskedWithoutHarm(t *testing.T) {
	report, results, p := labRun(t, 5*time.Minute)
	if report.Totals.Harmed != 0 || report.Totals.UnapprovedBytes != 0 || report.Totals.Conversations == 0 {
		var table bytes.Buffer
		if err := report.WriteTable(&table); err != nil {
			t.Error(err)
		}
		t.Fatalf("devices harmed %d, unapproved bytes %d, conversations %d\n%s", report.Totals.Harmed, report.Totals.UnapprovedBytes, report.Totals.Conversations, table.String())
	}
	states := map[evidence.State]int{}
	for device, all := range results {
		for _, r := range all {
			states[r.State]++
			if r.State == evidence.Distress || r.State == evidence.Incident || r.State == evidence.Unknown {
				t.Errorf("%s: %+v", device, r)
			}
		}
	}
	if len(p.Plan.Items) != states[evidence.Answered]+states[evidence.Absent]+states[evidence.Refused] {
		t.Errorf("%d questions, outcomes %v", len(p.Plan.Items), states)
	}
	if states[evidence.Absent] != 1 || len(results["10-1006"]) != 1 || results["10-1006"][0].State != evidence.Absent {
		t.Errorf("10-1006 is switched off, and alone is: %v, %v", states, results["10-1006"])
	}
	if r := results["10-1005"]; len(r) != 1 || r[0].Reason != list.AddressMoved {
		t.Errorf("10-1005 has moved: %+v", r)
	}
	t.Logf("%d questions, %d refusals in the plan, %v", len(p.Plan.Items), len(p.Plan.Refusals), states)
}
