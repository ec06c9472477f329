package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
	"primum/safetylists/permit"
)

func opensAt() time.Time { return time.Date(2027, 1, 10, 3, 0, 0, 0, time.UTC) }

func testKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func keyFile(t *testing.T, seed byte) string {
	t.Helper()
	return put(t, filepath.Join(t.TempDir(), "key"), permit.FormatPrivate(testKey(seed))+"\n")
}

func document(t *testing.T, id string) []byte {
	t.Helper()
	q, err := list.ParseQuery(list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: list.DefaultOIDs()})
	if err != nil {
		t.Fatal(err)
	}
	b, err := permit.Plan{ID: id, Site: "demo", Origin: permit.FromWindow, Caller: "windows/night", Opens: opensAt(), Closes: opensAt().Add(time.Hour), Made: opensAt().Add(-time.Hour),
		Items: []permit.Item{{Device: list.Device{ID: "10-1001", Name: "Aldane Vela 3\x1b[2J", Place: "ICU", Address: netip.MustParseAddr("127.42.1.1"), Claims: []list.Claim{}},
			Query: q, Limits: list.DefaultLimits(list.SNMPGet), Purpose: list.Identify, Statements: []string{"a.allow"}}},
		Refusals: []permit.PlanRefusal{{Device: "10-8001", Name: "Delta", Reason: list.Denied}}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// lying is a plan whose rendering shows another device than its document.
func lying(t *testing.T, id string) *adminv1.Plan {
	t.Helper()
	doc := document(t, id)
	digest := sha256.Sum256(doc)
	return &adminv1.Plan{Name: id, Document: doc, Digest: digest[:], State: "DRAFT", Opens: timestamppb.New(opensAt().Add(-time.Hour)), ApproversNeeded: 2, Messages: 99, Octets: 9999,
		Items: []*adminv1.PlanItem{{Device: "devices/99-9999", DeviceName: "Rendering of the server", Question: "no question"}}}
}

func TestApproveShowsAndSignsExactlyTheDocument(t *testing.T) {
	for _, output := range []string{"text", "json"} {
		p := lying(t, "plans/1")
		s := serve(t, answers{"GetPlan": says(p), "ApprovePlan": says(&adminv1.Plan{Name: "plans/1", State: "APPROVED", ApprovedBy: []string{"head"}, ApproversNeeded: 1})})
		out, complaints, code := s.primum(nil, "--output", output, "approve", "1", "--key", keyFile(t, 7), "--by", "head")
		shown := out
		if output == "json" {
			shown = complaints
		}
		want(t, output, shown+complaints, code, exitDone, "10-1001", "Aldane Vela 3?[2J", "127.42.1.1", "snmp.get of 1.3.6.1", "purpose identify, allowed by a.allow",
			"SNMPv2c GetRequest", "30", "1 questions, 1 messages", "2027-01-10 03:00:00 UTC", "1 refused", permit.Digest(sha256.Sum256(p.Document)).String())
		if strings.Contains(shown, "99-9999") || strings.Contains(shown, "Rendering") || strings.Contains(shown, "99 messages") || strings.Contains(shown, "\x1b") {
			t.Errorf("%s: what the server renders is shown:\n%s", output, shown)
		}
		if output == "text" {
			want(t, output, out, code, exitDone, "Signed by head: 1 of 1. State APPROVED. The approved time opens at 2027-01-10 03:00:00 UTC", "primum watch plans/1")
		}
		r := one[*adminv1.ApprovePlanRequest](t, s)
		if r.GetName() != "plans/1" || r.GetBy() != "head" {
			t.Errorf("%s: %v", output, r)
		}
		if err := permit.Verify(permit.DomainPlan, testKey(7).Public().(ed25519.PublicKey), p.Document, r.GetSignature()); err != nil {
			t.Errorf("%s: the signature is not over the document: %v", output, err)
		}
	}
}

func TestWhoSignsIsToldThatTheApprovedTimeIsTooShort(t *testing.T) {
	p := lying(t, "plans/1")
	doc, _, err := permit.DecodePlan(p.Document)
	if err != nil {
		t.Fatal(err)
	}
	doc.Closes = doc.Opens.Add(time.Second)
	if p.Document, err = doc.Encode(); err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(p.Document)
	p.Digest = digest[:]
	s := serve(t, answers{"GetPlan": says(p), "ApprovePlan": says(p)})
	out, complaints, code := s.primum(nil, "approve", "1", "--key", keyFile(t, 7), "--by", "head")
	want(t, "approve", out+complaints, code, exitDone, "The approved time is 1 s: what does not come to its turn in it is not asked.")
}

func TestApproveSignsNothingForAControllerThatLies(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*adminv1.Plan)
		says   string
	}{
		"another digest":   {func(p *adminv1.Plan) { p.Digest[0] ^= 1 }, "not that of the plan document"},
		"no digest":        {func(p *adminv1.Plan) { p.Digest = nil }, "not that of the plan document"},
		"another document": {func(p *adminv1.Plan) { p.Document = document(t, "plans/2") }, "not that of the plan document"},
		"another plan": {func(p *adminv1.Plan) {
			p.Document = document(t, "plans/2")
			d := sha256.Sum256(p.Document)
			p.Digest = d[:]
		}, "the document of plans/2 for plans/1"},
		"a document with more after it": {func(p *adminv1.Plan) {
			p.Document = append(p.Document, ' ')
			d := sha256.Sum256(p.Document)
			p.Digest = d[:]
		}, "cannot be read"},
	} {
		p := lying(t, "plans/1")
		c.change(p)
		s := serve(t, answers{"GetPlan": says(p), "ApprovePlan": says(p)})
		_, complaints, code := s.primum(nil, "approve", "plans/1", "--key", keyFile(t, 7), "--by", "head")
		want(t, name, complaints, code, exitRefused, "nothing was signed", c.says)
		for _, m := range s.asked() {
			if _, ok := m.(*adminv1.ApprovePlanRequest); ok {
				t.Errorf("%s: a signature was sent", name)
			}
		}
	}
}

func TestAPlanIsShownWithWhatIsAskedWhatIsNotAndTheTotals(t *testing.T) {
	p := &adminv1.Plan{Name: "plans/1", Digest: []byte{0xab}, State: "DRAFT", Messages: 3, Octets: 210, Notes: []string{"Quiet hours of nowhere."}, Busy: durationpb.New(9 * time.Second),
		Opens: timestamppb.New(opensAt()), Closes: timestamppb.New(opensAt().Add(time.Hour)),
		Items: []*adminv1.PlanItem{{Device: "devices/10-1", DeviceName: "Vela", Place: "ICU", Question: "snmp.get of 1.3", Purpose: "identify",
			Messages: []*adminv1.PlannedMessage{{Hex: "30af", Words: "one GetRequest"}}}},
		Refusals: []*adminv1.PlanRefusal{{Device: "devices/10-2", DeviceName: "Delta", Place: "OR", Reason: "DENIED", What: "Not asked.", Why: "It was harmed.", Do: "Leave it.", Detail: "stmt-9"}}}
	s := serve(t, answers{"CreatePlan": says(p), "GetPlan": says(p)})
	all := []string{"10-1", "Vela", "ICU", "snmp.get of 1.3", "identify", "one GetRequest", "10-2", "Delta", "Not asked. It was harmed. Leave it.", "stmt-9",
		"1 questions, 3 messages, 210 octets, at most about 9 s; 1 refused", "Plan 1,", "Digest ab", "NOTE: Quiet hours of nowhere."}
	for _, args := range [][]string{{"plan", "night"}, {"plans", "show", "1"}} {
		out, _, code := s.primum(nil, args...)
		want(t, args[0], out, code, exitDone, append(all, "30af")...)
		out, _, code = s.primum(nil, append(args, "--summary")...)
		want(t, args[0], out, code, exitDone, all...)
		if strings.Contains(out, "30af") {
			t.Errorf("the summary has hex: %s", out)
		}
		if strings.Contains(out, "does not come to its turn") {
			t.Errorf("it fits: %s", out)
		}
	}
	p.Busy = nil
	none, _, code := serve(t, answers{"CreatePlan": says(p)}).primum(nil, "plan", "night")
	want(t, "a plan of nothing", none, code, exitDone, "at most about 0 s;")
	p.Busy = durationpb.New(9 * time.Second)
	p.Closes, p.Items = timestamppb.New(opensAt().Add(8*time.Second)), nil
	out, _, code := s.primum(nil, "plan", "night")
	want(t, "a time that is too short", out, code, exitDone, "WILL BE ASKED\n  nothing\n", "The approved time is 8 s: what does not come to its turn in it is not asked.")
}

func TestAStandingApprovalIsSignedOverTheReleaseInForceByEachApprover(t *testing.T) {
	digest := bytes.Repeat([]byte{5}, 32)
	s := serve(t, answers{"GetRelease": says(&adminv1.ListRelease{Site: "demo", Digest: digest}),
		"CreateStandingApproval": func(m proto.Message) (proto.Message, error) {
			return &adminv1.StandingApproval{Name: "standingApprovals/ehr", Caller: "ehr-tool"}, nil
		}})
	args := []string{"standing", "create", "--id", "ehr", "--caller", "ehr-tool", "--device", "devices/10-1", "--device", "a,b", "--statement", "s.1", "--per-day", "3",
		"--key", keyFile(t, 1), "--by", "one", "--key", keyFile(t, 2), "--by", "two"}
	_, complaints, code := s.primum(nil, append(args, "--site", "another")...)
	want(t, "another site", complaints, code, exitUsage, `"another"`, `"demo"`, "nothing was signed")
	_, complaints, code = s.primum(nil, append(args, "--days", "31")...)
	want(t, "too long", complaints, code, exitUsage, "1 to 30 days")
	out, complaints, code := s.primum(nil, append(args, "--site", "demo", "--days", "30")...)
	want(t, "good", out+complaints, code, exitDone, "ehr", "ehr-tool")
	r := one[*adminv1.CreateStandingApprovalRequest](t, s)
	d, _, err := permit.DecodeStanding(r.GetDocument())
	if err != nil {
		t.Fatal(err)
	}
	if d.ID != "ehr" || d.Site != "demo" || d.Caller != "ehr-tool" || d.PerDay != 3 || !bytes.Equal(d.List[:], digest) || strings.Join(d.Devices, " ") != "10-1 a,b" || strings.Join(d.Statements, " ") != "s.1" {
		t.Errorf("document %+v", d)
	}
	for i, g := range r.GetSignatures() {
		if err := permit.Verify(permit.DomainStanding, testKey(byte(i+1)).Public().(ed25519.PublicKey), r.GetDocument(), g.GetSignature()); err != nil || g.GetBy() != []string{"one", "two"}[i] {
			t.Errorf("signature %d by %s: %v", i, g.GetBy(), err)
		}
	}
	if len(r.GetSignatures()) != 2 {
		t.Errorf("%d signatures", len(r.GetSignatures()))
	}
}
