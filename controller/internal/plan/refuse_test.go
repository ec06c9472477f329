package plan

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	list "primum/safetylists"
	"primum/safetylists/permit"
)

const against = `schema: primum-list/1
name: lab-against
maker: Maker
dated: "2026-11-24"
lab: true
statements:
  - id: lab.against.deny
    type: deny
    product: {manufacturers: [Maker], models: [Frail], versions: {compare: opaque, all: true}}
    words: It restarts.
    evidence: [{kind: letter, title: T, publisher: P, date: "2026-11-24", says: S, seen: full, provenance: written for a test}]
  - id: lab.against.echo
    type: deny
    product: {manufacturers: [Maker], models: [Half], versions: {compare: opaque, all: true}}
    kinds: [dicom.echo]
    words: Its archive stops.
    evidence: [{kind: letter, title: T, publisher: P, date: "2026-11-24", says: S, seen: full, provenance: written for a test}]
  - id: lab.against.note
    type: note
    product: {manufacturers: [Maker], models: [Shy], versions: {compare: opaque, all: true}}
    words: Look before you ask.
    evidence: [{kind: letter, title: T, publisher: P, date: "2026-11-24", says: S, seen: full, provenance: written for a test}]
`

// What the list has against a product is told whatever the inventory lacks, and the port of a printer
// is named before what is missing (G13).
func TestWhatSpeaksAgainstADeviceIsToldWhateverTheInventoryLacks(t *testing.T) {
	f, err := list.Load("against", []byte(against))
	if err != nil {
		t.Fatal(err)
	}
	l, err := list.New([]*list.File{f}, list.Site{Name: "demo", Policy: list.Lab})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		model string
		ends  list.Endpoints
		kind  list.Kind
		want  list.Reason
		by    string
	}{
		"denied, and nothing registered":          {"Frail", list.Endpoints{}, "", list.Denied, "lab.against.deny"},
		"denied, and no AE title":                 {"Frail", list.Endpoints{DICOMPort: 11112}, "", list.Denied, "lab.against.deny"},
		"denied, and another kind asked for":      {"Frail", list.Endpoints{}, list.HL7Ack, list.Denied, "lab.against.deny"},
		"denied, at a printer's port":             {"Frail", list.Endpoints{HL7Port: 9100}, "", list.Denied, "lab.against.deny"},
		"denied for this kind":                    {"Half", list.Endpoints{}, list.DICOMEcho, list.Denied, "lab.against.echo"},
		"denied for another kind":                 {"Half", list.Endpoints{}, list.SNMPGet, list.NotApproved, ""},
		"with a caution":                          {"Shy", list.Endpoints{}, "", list.CautionOnly, "lab.against.note"},
		"a printer's port without an application": {"Two", list.Endpoints{HL7Port: 9100}, "", list.PortForbidden, ""},
		"a port without an application":           {"Two", list.Endpoints{HL7Port: 2575}, "", list.NotRegistered, ""},
		"nothing known":                           {"Two", list.Endpoints{}, "", list.NotApproved, ""},
	} {
		t.Run(name, func(t *testing.T) {
			i := in(t, device("A", func(d *list.Device) { d.Claims[0].Model, d.Endpoints = c.model, c.ends }))
			i.List, i.Kind = l, c.kind
			p := Make(i)
			if len(p.Items) != 0 || len(p.Refusals) != 1 {
				t.Fatalf("%d items, refused %v", len(p.Items), p.Refusals)
			}
			r := p.Refusals[0]
			if r.Reason != c.want || r.Detail == "" || (c.by != "") != (len(r.Statements) == 1 && r.Statements[0] == c.by) {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestAPlanComesBackAsItWas(t *testing.T) {
	want := Make(in(t, device("A", nil), device("B", func(d *list.Device) { d.AETitle = "" })))
	doc, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, digest, err := permit.DecodePlan(doc)
	if err != nil || digest.IsZero() {
		t.Fatalf("digest %s: %v", digest, err)
	}
	again, err := got.Encode()
	if err != nil || !bytes.Equal(doc, again) {
		t.Errorf("other bytes: %v", err)
	}
	if len(got.Items) != 3 || got.Items[0].Limits != want.Items[0].Limits || !got.Items[2].Query.Equal(want.Items[2].Query) {
		t.Errorf("%+v", got.Items)
	}
	if diff := cmp.Diff(want.Refusals, got.Refusals); diff != "" {
		t.Error(diff)
	}
}
