package api

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "primum/proto/admin/v1"
)

// notice is an advisory about products of one vendor, each a name and a version text.
func notice(id, vendor string, products ...[2]string) []byte {
	var branches, ids []string
	for i, p := range products {
		pid := `"P-` + string(rune('a'+i)) + `"`
		ids = append(ids, pid)
		branches = append(branches, `{"category":"product_name","name":"`+p[0]+`","branches":[{"category":"product_version_range","name":"`+p[1]+`","product":{"name":"x","product_id":`+pid+`}}]}`)
	}
	return []byte(`{"document":{"category":"csaf_security_advisory","csaf_version":"2.0","title":"Test","publisher":{"category":"coordinator","name":"Laboratory","namespace":"https://example.org"},
"references":[{"category":"self","summary":"this","url":"https://example.org/a"}],
"tracking":{"id":"` + id + `","status":"final","version":"1","initial_release_date":"2026-03-01T07:00:00Z","current_release_date":"2026-03-02T07:00:00Z","revision_history":[{"number":"1","date":"2026-03-01T07:00:00Z","summary":"first"}]}},
"product_tree":{"branches":[{"category":"vendor","name":"` + vendor + `","branches":[` + strings.Join(branches, ",") + `]}]},
"vulnerabilities":[{"cve":"CVE-2026-99999","notes":[{"category":"summary","text":"A message restarts it."}],"product_status":{"known_affected":[` + strings.Join(ids, ",") + `]}}]}`)
}

func findings(t *testing.T, a *API, tag string) []string {
	t.Helper()
	d, err := (&inventoryService{API: a}).GetDevice(t.Context(), &adminv1.GetDeviceRequest{Name: "devices/" + tag})
	if err != nil {
		t.Fatal(err)
	}
	return d.GetFindings()
}

// An advisory that matches becomes a proposal, shows on the device, and refuses nothing; what a person has
// decided stays decided when the advisory is read again.
func TestAnAdvisoryIsAProposalUntilAPersonDecides(t *testing.T) {
	a := office(t, "10-1", "10-2")
	s := &paperService{API: a}
	read := func(document []byte, only bool) *adminv1.ImportAdvisoryResponse {
		t.Helper()
		r, err := s.ImportAdvisory(t.Context(), &adminv1.ImportAdvisoryRequest{File: "a.json", Document: document, ValidateOnly: only})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	doc := notice("LAB-1", "Dräger", [2]string{"Delta 10-1", "< 2"}, [2]string{"Kappa", "< 2"})
	if r := read(doc, true); r.GetProducts() != 2 || r.GetMatches() != 1 || r.GetProposed() != 0 {
		t.Errorf("validated: %v", r)
	}
	if f := findings(t, a, "10-1"); len(f) != 1 || !strings.Contains(f[0], "no MDS2") {
		t.Errorf("validated only, and shown: %q", f)
	}
	if r := read(doc, false); r.GetMatches() != 1 || r.GetProposed() != 1 {
		t.Errorf("taken: %v", r)
	}
	if r := read(doc, false); r.GetProposed() != 0 {
		t.Errorf("taken again: %v", r)
	}
	if f := findings(t, a, "10-1"); len(f) != 2 || !strings.Contains(f[0], "proposed denial lab-1.delta-10-1, nobody has decided") {
		t.Errorf("on the device: %q", f)
	}
	if f := findings(t, a, "10-2"); len(f) != 1 {
		t.Errorf("on another device: %q", f)
	}
	list, err := s.ListProposals(t.Context(), &adminv1.ListProposalsRequest{State: "PROPOSED"})
	if err != nil || len(list.GetProposals()) != 1 || !slices.Equal(list.GetProposals()[0].GetDevices(), []string{"10-1"}) {
		t.Fatalf("%v %v", list, err)
	}
	name := list.GetProposals()[0].GetName()
	decide := func(accept bool, reason string) error {
		_, err := s.DecideProposal(t.Context(), &adminv1.DecideProposalRequest{Name: name, Accept: accept, Reason: reason})
		return err
	}
	if err := decide(true, " "); status.Code(err) != codes.InvalidArgument {
		t.Errorf("without a reason: %v", err)
	}
	if err := decide(true, "we have three of them"); err != nil {
		t.Error(err)
	}
	if err := decide(false, "on second thought"); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("decided twice: %v", err)
	}
	read(doc, false)
	if f := findings(t, a, "10-1"); !strings.Contains(f[0], "accepted denial lab-1.delta-10-1") {
		t.Errorf("read again after it was accepted: %q", f)
	}
	// The advisory does not name the product any more: what was accepted stays, what was open goes.
	read(notice("LAB-1", "Dräger", [2]string{"Delta 10-2", "< 2"}), false)
	if f := findings(t, a, "10-2"); !strings.Contains(f[0], "proposed denial lab-1.delta-10-2") {
		t.Errorf("a later version of the advisory: %q", f)
	}
	read(notice("LAB-1", "Dräger", [2]string{"Kappa", "< 2"}), false)
	if f := findings(t, a, "10-2"); len(f) != 1 {
		t.Errorf("no longer named: %q", f)
	}
	if _, err := s.ImportAdvisory(t.Context(), &adminv1.ImportAdvisoryRequest{File: "bad.json", Document: []byte("{")}); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "bad.json") {
		t.Errorf("no advisory: %v", err)
	}
}

func TestAnMDS2StandsBesideTheDevice(t *testing.T) {
	a := office(t, "10-1")
	s := &paperService{API: a}
	form := "DOC-1,Maker,Drager\nDOC-2,x,y\nDOC-3,Model,delta  10-1\nDOC-4,Number,M-7\nDOC-7,Date,2026\nCONN-2,Ports?,Yes\nSAHD-8,Closed?,No\nSAHD-13,Scanning?,No\nNAUT-1,Nodes?,N/A\nNAUT-2,White list?,Yes\n"
	d, err := s.ImportDisclosure(t.Context(), &adminv1.ImportDisclosureRequest{File: "m.csv", Form: []byte(form)})
	if err != nil || d.GetDevices() != 1 || d.GetAnswers() != 10 {
		t.Fatalf("%v %v", d, err)
	}
	if f := findings(t, a, "10-1"); len(f) != 5 || !strings.HasSuffix(f[0], ": No") || !strings.Contains(f[0], "SAHD-13") {
		t.Errorf("on the device: %q", f)
	}
	if _, err := s.ImportDisclosure(t.Context(), &adminv1.ImportDisclosureRequest{File: "m.csv", Form: []byte("a,b\n")}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("no form: %v", err)
	}
	if f := findings(t, a, "10-1"); len(f) != 5 {
		t.Errorf("after a form that was not taken: %q", f)
	}
}
