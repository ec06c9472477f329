package guard_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"primum/agent/internal/guard"
	"primum/agent/internal/papertest"
	list "primum/safetylists"
	"primum/safetylists/evidence"
	"primum/safetylists/permit"
)

// The items of a stranger's plan, in their order.
const (
	withCredential = iota
	plainEcho
	ackOverTLS
	echoOverTLS
	routine
)

// stranger is a guard whose plan has five questions to one device, at an address that nothing proves.
func stranger(t *testing.T, answer bool) *house {
	t.Helper()
	const product = "product: {manufacturers: [" + papertest.Maker + "], models: [" + papertest.Model + "], versions: {compare: listed, is: [\"1.0\"]}}"
	var extra strings.Builder
	for id, question := range map[string]string{
		"test-echo":     `{kind: dicom.echo, port: "10170", calling_ae: PRIMUM}`,
		"test-ack-tls":  `{kind: hl7.ack, port: "10170", hl7_version: 2.5.1, expect: AA, tls: true}`,
		"test-echo-tls": `{kind: dicom.echo, port: "10170", calling_ae: PRIMUM, tls: true}`,
	} {
		fmt.Fprintf(&extra, "- id: %s\n  type: allow\n  purpose: identify\n  %s\n  question: %s\n  expires: %s\n  evidence: [{kind: laboratory, title: made for a test, publisher: test, date: 2026-11-24, says: nothing, seen: full, provenance: made for a test}]\n",
			id, product, question, time.Now().AddDate(1, 0, 0).Format(time.DateOnly))
	}
	h := &house{t: t, policy: list.Lab, answer: answer, prove: list.Refuse(list.AddressUnproven, "the agent watches no lease file"), boot: time.Hour,
		papers: papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:10170"), Closes: 48 * time.Hour, Expires: 72 * time.Hour,
			Extra: extra.String(), Device: func(d *list.Device) { d.TLSPin = strings.Repeat("ab", 32) }})}
	first := h.papers.Plan.Items[0]
	for _, id := range []string{"test-echo", "test-ack-tls", "test-echo-tls", "test-echo-tls"} {
		s := h.papers.Release.List.Statement(id)
		q, err := s.Question.Fill(first.Device.Endpoints, "SITE")
		if err != nil {
			t.Fatal(err)
		}
		h.papers.Plan.Items = append(h.papers.Plan.Items, permit.Item{Device: first.Device, Query: q, Limits: s.Limits, Purpose: s.Purpose, Statements: []string{id}})
	}
	h.papers.Plan.Items[routine].Purpose = list.Routine
	h.papers.Approve(t)
	h.start()
	return h
}

// end ends a conversation that went first, and what it has told; the device rests for its gap.
func (h *house) end(v guard.Verdict, same bool, at time.Time) time.Time {
	h.t.Helper()
	if v.Ticket == nil || !v.Ticket.First() {
		h.t.Fatalf("it does not go first: %+v", v)
	}
	v.Ticket.Told(same, at)
	h.Note(evidence.Record{At: at, Kind: evidence.Outcome, Permit: v.Ticket.Task().ID().String(), Device: v.Ticket.Task().Device().ID, Result: &evidence.Result{State: evidence.Answered}})
	v.Ticket.Done()
	h.boot += 2 * time.Minute
	at = at.Add(2 * time.Minute)
	h.lease(at)
	return at
}

// H-045, S4: where nothing else proves an address and the site takes an answer, the cheapest question that shows who is
// there goes first, others wait for it, and no credential ever goes.
func TestTheQuestionThatShowsWhoIsThereGoesFirstAndNoCredentialFollows(t *testing.T) {
	h := stranger(t, true)
	now := h.papers.Now
	says := func(item uint32, at time.Time, words string) {
		t.Helper()
		if v := h.admit(item, at); reason(v) != list.AddressUnproven || !strings.Contains(v.Refusal.Detail, words) {
			t.Errorf("item %d: %+v, want %q", item, v.Refusal, words)
		}
	}
	waits := func(item uint32, at time.Time) {
		t.Helper()
		if v := h.admit(item, at); v.Ticket != nil || v.Refusal != nil || !v.Again.After(at) {
			t.Errorf("item %d does not wait: %+v %+v", item, v, v.Refusal)
		}
	}
	says(withCredential, now, "a credential goes to no address that an answer alone proves")
	waits(plainEcho, now)
	waits(echoOverTLS, now)
	if v := h.admitUntil(plainEcho, now, now.Add(time.Second)); reason(v) != list.AddressUnproven || !strings.Contains(v.Refusal.Detail, "not asked in time") {
		t.Errorf("at the end of its permit: %+v", v)
	}
	at := h.end(h.admit(ackOverTLS, now), true, now)
	says(withCredential, at, "a credential goes to no address")
	v := h.admit(plainEcho, at)
	if v.Ticket == nil || v.Ticket.First() {
		t.Fatalf("after an answer that is the device's: %+v", v.Refusal)
	}
	v.Ticket.Done()
	h.boot += 10 * time.Minute
	h.lease(at.Add(10 * time.Minute))
	says(echoOverTLS, at.Add(10*time.Minute), "more than 5 minutes ago")
	h.start()
	h.boot += 10 * time.Minute
	h.lease(at.Add(10 * time.Minute))
	waits(echoOverTLS, at.Add(10*time.Minute)) // a restart has forgotten the answer
}

// H-045: an answer that tells nothing, or of another, proves nothing for the rest of the plan.
func TestAnAnswerThatIsNotTheDevicesProvesNothing(t *testing.T) {
	h := stranger(t, true)
	at := h.end(h.admit(ackOverTLS, h.papers.Now), false, h.papers.Now)
	for item := range uint32(5) {
		if v := h.admit(item, at); item != ackOverTLS && reason(v) != list.AddressUnproven && reason(v) != list.IdentityUncertain {
			t.Errorf("item %d: %+v %+v", item, v.Ticket, v.Refusal)
		}
	}
}

// An answer proves only where the site says so, where nothing contradicts, and where there is a question for it.
func TestAnAnswerProvesOnlyWhereTheSiteTakesIt(t *testing.T) {
	for name, bend := range map[string]func(*house){
		"the site takes no answer": func(h *house) { h.answer = false },
		"the address is another's": func(h *house) { h.prove = list.Refuse(list.AddressMoved, "") },
		"the question is not for identity": func(h *house) {
			h.papers.Plan.Items[ackOverTLS].Purpose, h.papers.Plan.Items[echoOverTLS].Purpose = list.Routine, list.Routine
		},
		"the plan has the plain ones alone": func(h *house) { h.papers.Plan.Items = h.papers.Plan.Items[:ackOverTLS] },
		"the question is of another's device": func(h *house) {
			h.papers.Plan.Items[ackOverTLS].Device.ID, h.papers.Plan.Items[echoOverTLS].Device.ID = "1", "2"
		},
	} {
		h := stranger(t, true)
		bend(h)
		h.papers.Approve(t)
		h.start()
		if v := h.admit(plainEcho, h.papers.Now); v.Refusal == nil || v.Refusal.Reason != list.AddressUnproven && v.Refusal.Reason != list.AddressMoved {
			t.Errorf("%s: %+v", name, v)
		}
	}
}
