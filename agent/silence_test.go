package agent

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	controlv1 "primum/proto/control/v1"
	list "primum/safetylists"
	"primum/safetylists/evidence"
	"primum/safetylists/permit"
)

const denyTestmodel = `- id: test-deny
  type: deny
  product: {manufacturers: [Testmaker], models: [Testmodel], versions: {compare: opaque, all: true}}
  words: made for a test
  evidence: [{kind: laboratory, title: made for a test, publisher: test, date: 2026-11-24, says: nothing, seen: full, provenance: made for a test}]
`

// Not a byte, not even a SYN, goes out when any one lock says no: each case takes away one thing from
// a task that is asked when everything is there (see the Real tests). The capture is the witness.
func TestNothingIsSentWhenOneLockSaysNo(t *testing.T) {
	address := netip.MustParseAddrPort("127.0.0.1:11113")
	echo := `{kind: dicom.echo, port: "11113", calling_ae: PRIMUM}`
	hold := func(kind controlv1.HoldScope_Kind, value string) func(*testAgent) {
		return func(h *testAgent) {
			h.hold(1, &controlv1.HoldScope{Name: "holds/1", Kind: kind, Value: value, Reason: "made for a test"})
			h.lease(time.Minute)
		}
	}
	for name, c := range map[string]struct {
		options papertest.Options
		papers  func(*testing.T, *papertest.Papers) // before anything is handed over
		before  func(*testAgent)                    // before the agent works
		after   func(*testAgent)                    // after list and plan were handed over
		permit  func(*permit.Permit)
		raw     func([]byte) []byte
		want    list.Reason
		state   evidence.State
	}{
		"refused by a deny of the agent's own list": {options: papertest.Options{Extra: denyTestmodel}, want: list.Denied},
		"unknown version": {options: papertest.Options{Device: func(d *list.Device) { d.Claims[0].Version = "" }}, want: list.VersionUnknown},
		"asked from an address that the allowance does not name": {options: papertest.Options{Condition: "  sources: [10.1.2.0/24]\n"}, want: list.SourceNotPermitted},
		"unknown product":            {options: papertest.Options{Device: func(d *list.Device) { d.Claims[0].Model = "Other" }}, want: list.NotApproved},
		"not known to be out of use": {options: papertest.Options{Device: func(d *list.Device) { d.Class = list.LifeSupport }}, want: list.InUseUnknown},
		"a CMMS status that is too old": {options: papertest.Options{Site: "use_status: {not_in_use: [in storage]}\n", Device: func(d *list.Device) {
			d.Class, d.Status = list.LifeSupport, &list.CMMSStatus{Text: "in storage", At: time.Now().UTC().Add(-24*time.Hour - time.Second).Truncate(time.Second)}
		}}, want: list.InUseUnknown},
		"the hours of its ward":     {options: papertest.Options{Site: "zone: UTC\nquiet: [{place: ICU, from: \"00:00\", to: \"24:00\"}]\n", Device: func(d *list.Device) { d.Place = "ICU, bed 1" }}, want: list.QuietHours},
		"held: device":              {after: hold(controlv1.HoldScope_KIND_DEVICE, "10-1"), want: list.Held},
		"held: model":               {after: hold(controlv1.HoldScope_KIND_MODEL, "Testmaker/Testmodel"), want: list.Held},
		"held: site":                {after: hold(controlv1.HoldScope_KIND_SITE, papertest.SiteName), want: list.Held},
		"held: everything":          {after: hold(controlv1.HoldScope_KIND_ALL, ""), want: list.Held},
		"held: a kind nobody knows": {after: hold(99, ""), want: list.Held},
		"out of the window":         {options: papertest.Options{Opens: -2 * time.Hour, Closes: time.Second}, want: list.OutsideWindow},
		"before the window":         {options: papertest.Options{Opens: time.Minute}, want: list.OutsideWindow},
		"expired permit":            {permit: func(p *permit.Permit) { p.From, p.Until = p.From.Add(-time.Minute), p.From }, want: list.PermitExpired},
		"permit of another agent":   {permit: func(p *permit.Permit) { p.Agent = "other" }, want: list.PermitInvalid},
		"permit of another session": {permit: func(p *permit.Permit) { p.Epoch = 2 }, want: list.PermitInvalid},
		"permit of another address": {permit: func(p *permit.Permit) { p.Address = netip.MustParseAddrPort("127.0.0.2:11113") }, want: list.PermitInvalid},
		"tampered permit":           {raw: func(b []byte) []byte { b[30] ^= 1; return b }, want: list.PermitInvalid},
		"unsigned permit":           {raw: func(b []byte) []byte { clear(b[len(b)-64:]); return b }, want: list.PermitInvalid},
		"unsigned list":             {papers: func(t *testing.T, p *papertest.Papers) { p.Bundle = p.Unsigned(t) }, want: list.PlanNotApproved},
		"list signed by somebody else": {papers: func(t *testing.T, p *papertest.Papers) {
			p.Bundle = papertest.Make(t, p.Now, papertest.Options{Address: address, Question: echo}).Bundle
		}, want: list.PlanNotApproved},
		"plan nobody approved": {papers: func(_ *testing.T, p *papertest.Papers) { p.Signature = make([]byte, 64) }, want: list.PlanNotApproved},
		"plan changed after it was approved": {papers: func(t *testing.T, p *papertest.Papers) {
			signature := p.Signature
			p.Plan.Closes = p.Plan.Closes.Add(time.Minute)
			p.Approve(t)
			p.Signature = signature
		}, want: list.PlanNotApproved},
		"address that belongs to something else": {before: func(h *testAgent) {
			rewrite(h, "02:00:00:00:00:01", "02:00:00:00:00:99")
		}, want: list.AddressMoved},
		"address that nothing proves": {before: func(h *testAgent) {
			if err := os.Remove(h.places.Leases.Path); err != nil {
				h.t.Fatal(err)
			}
		}, want: list.AddressUnproven},
		"address that a person attests, and the site takes nobody's word": {options: papertest.Options{Device: fixed}, before: unleased, want: list.AddressUnproven},
		"address that was attested until yesterday": {options: papertest.Options{Site: "address_proof: attested\n", Device: func(d *list.Device) {
			fixed(d)
			d.Fixed.Until = time.Now().UTC().Add(-time.Second).Truncate(time.Second)
		}}, before: unleased, want: list.AddressUnproven},
		"address that a person attests, and another's lease": {options: papertest.Options{Site: "address_proof: attested\n", Device: fixed}, before: func(h *testAgent) {
			rewrite(h, "02:00:00:00:00:01", "02:00:00:00:00:99")
		}, want: list.AddressMoved},
		"lease file that is stale": {before: func(h *testAgent) {
			old := time.Now().Add(-6 * time.Minute)
			if err := os.Chtimes(h.places.Leases.Path, old, old); err != nil {
				h.t.Fatal(err)
			}
		}, want: list.AddressUnproven},
		"address outside the lab": {options: papertest.Options{Address: netip.MustParseAddrPort("10.1.2.3:11113")}, want: list.AddressOutside},
		"journal that takes nothing more": {after: func(h *testAgent) {
			if err := h.journal.Close(); err != nil {
				h.t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if !c.options.Address.IsValid() {
				c.options.Address = address
			}
			c.options.Question = echo
			wire := startCapture(t, "host 127.0.0.1 and port 11113 or host 127.0.0.2 or net 10.0.0.0/8 or icmp")
			p := papertest.Make(t, time.Now(), c.options)
			if c.papers != nil {
				c.papers(t, p)
			}
			h := newAgent(t, p, c.before)
			h.hand()
			if c.after != nil {
				c.after(h)
			}
			raw := p.Permit(t, c.permit)
			if c.raw != nil {
				raw = c.raw(raw)
			}
			if c.want == "" { // the journal is gone: the order itself is not taken
				o := &controlv1.WorkOrder{Order: "o1", Epoch: 1, Plan: p.Digest[:], Permits: [][]byte{raw}, Secrets: h.secrets}
				if _, err := (*local)(h.Agent).Order(o); err == nil {
					t.Error("an order was taken without a record")
				}
			} else {
				h.order(raw)
				if got := h.outcome(); got.State != evidence.Refused || got.Reason != c.want || got.Messages != 0 {
					t.Errorf("outcome %+v, want REFUSED %s", got, c.want)
				}
			}
			if lines := wire.lines(); len(lines) != 0 {
				t.Errorf("%d packets:\n%s", len(lines), strings.Join(lines, "\n"))
			}
		})
	}
}

// H-018: an agent whose clock is a little behind the controller's gets permits that are not valid yet by its
// own time. It waits, and asks no moment too early.
func TestAPermitThatIsNotValidYetIsWaitedForAndNotUsedEarly(t *testing.T) {
	address := netip.MustParseAddrPort("127.0.0.1:11115")
	for name, c := range map[string]struct {
		opens  time.Duration
		permit func(*permit.Permit)
		start  func(*papertest.Papers) time.Time
	}{
		"the approved time": {1500 * time.Millisecond, nil, func(p *papertest.Papers) time.Time { return p.Plan.Opens }},
		"the permit": {-time.Second, func(p *permit.Permit) { p.From = p.From.Add(2500 * time.Millisecond) },
			func(p *papertest.Papers) time.Time { return p.Now.Add(1500 * time.Millisecond) }},
	} {
		t.Run(name, func(t *testing.T) {
			p := papertest.Make(t, time.Now(), papertest.Options{Address: address, Question: `{kind: dicom.echo, port: "11115", calling_ae: PRIMUM}`, Opens: c.opens})
			h := newAgent(t, p, nil)
			h.hand()
			h.order(p.Permit(t, c.permit))
			// nobody listens there: asked, and absent
			if got := h.outcome(); got.State != evidence.Absent {
				t.Fatalf("%+v", got)
			}
			for _, r := range h.records() {
				if r.Kind == evidence.Started && r.At.Before(c.start(p)) {
					t.Errorf("begun at %s, and valid from %s", r.At, c.start(p))
				}
			}
		})
	}
}

// H-035: without a live lease nothing is sent; with one the same task is asked, so it was the lease
// that kept it back.
func TestNothingIsSentWithoutALease(t *testing.T) {
	wire := startCapture(t, "udp port 10162")
	p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:10162")})
	h := newAgent(t, p, nil)
	h.hand()
	h.guard.DropLease()
	h.order(p.Permit(t, nil))
	time.Sleep(1500 * time.Millisecond) // several looks of the worker
	for _, r := range h.records() {
		if r.Kind == evidence.Started {
			t.Fatal("the permit was spent without a lease")
		}
	}
	if lines := wire.lines(); len(lines) != 0 {
		t.Fatalf("%d packets without a lease:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	h.hold(0)
	h.lease(time.Minute)
	if got := h.outcome(); got.State != evidence.Absent || got.Messages != 1 {
		t.Errorf("with a lease: %+v", got)
	}
}

// H-012, H-013: a permit that came twice is used once, also by an agent that was started anew.
func TestAPermitIsUsedOnce(t *testing.T) {
	p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:10163")})
	h := newAgent(t, p, nil)
	h.hand()
	raw := p.Permit(t, nil)
	h.order(raw)
	h.outcome()
	h.order(raw)
	deadline := time.Now().Add(10 * time.Second)
	var reasons []list.Reason
	for len(reasons) < 2 && time.Now().Before(deadline) {
		reasons = nil
		for _, r := range h.records() {
			if r.Kind == evidence.Outcome {
				reasons = append(reasons, r.Result.Reason)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	if len(reasons) != 2 || reasons[1] != list.PermitUsed {
		t.Fatalf("reasons %v", reasons)
	}
	started := 0
	for _, r := range h.records() {
		if r.Kind == evidence.Started {
			started++
		}
	}
	if started != 1 {
		t.Errorf("the permit was spent %d times", started)
	}
	journal := filepath.Join(h.cfg.Data, "journal")
	h.stop()
	again := &Agent{cfg: Config{Data: filepath.Dir(journal)}}
	if err := again.openJournal(); err != nil {
		t.Fatal(err)
	}
	defer again.journal.Close()
	if open := again.guard.Open(); len(open) != 0 {
		t.Errorf("open tasks after a clean end: %v", open)
	}
}

func rewrite(h *testAgent, from, to string) {
	b, err := os.ReadFile(h.places.Leases.Path)
	if err == nil {
		err = os.WriteFile(h.places.Leases.Path, []byte(strings.ReplaceAll(string(b), from, to)), 0o600)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// H-013: a journal that was put aside still counts. After a reset and a restart the device that was
// asked is at rest, and its permit is spent.
func TestAResetAndARestartForgetNoDevice(t *testing.T) {
	p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:10165")})
	h := newAgent(t, p, nil)
	h.hand()
	h.order(p.Permit(t, nil))
	if got := h.outcome(); got.Messages != 1 {
		t.Fatalf("the first question: %+v", got)
	}
	if err := h.reset(); err != nil {
		t.Fatal(err)
	}
	data := h.cfg.Data
	h.stop()
	again := newAgent(t, p, func(a *testAgent) {
		if err := a.journal.Close(); err != nil {
			t.Fatal(err)
		}
		a.cfg.Data = data
		if err := a.openJournal(); err != nil {
			t.Fatal(err)
		}
	})
	again.papers = p
	if _, err := (*local)(again.Agent).Begin(2); err != nil {
		t.Fatal(err)
	}
	(*local)(again.Agent).Release(p.Bundle)
	approval := &controlv1.Approval{PlanSignatures: []*controlv1.Signature{{By: papertest.Approver, Sig: p.Signature}}}
	(*local)(again.Agent).Plan(p.Document, approval)
	again.hold(0)
	again.lease(time.Minute)
	o := &controlv1.WorkOrder{Order: "o1", Epoch: 2, Plan: p.Digest[:], Permits: [][]byte{p.Permit(t, func(pm *permit.Permit) { pm.Epoch = 2 })}, Secrets: again.secrets}
	if _, err := (*local)(again.Agent).Order(o); err != nil {
		t.Fatal(err)
	}
	if got := again.outcome(); got.State != evidence.Refused || got.Reason != list.MinInterval {
		t.Errorf("asked again after a reset and a restart: %+v", got)
	}
}

// An allowance that names the addresses that may ask is asked from the one that was held against it.
func TestADeviceIsAskedFromAnAddressThatTheAllowanceNames(t *testing.T) {
	from := make(chan string, 1)
	peer(t, "127.0.0.1:12578", func(conn net.Conn) { from <- conn.RemoteAddr().String() })
	p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:12578"), Question: `{kind: dicom.echo, port: "12578", calling_ae: PRIMUM}`,
		Condition: "  sources: [127.0.0.0/8]\n"})
	h := newAgent(t, p, nil)
	h.hand()
	h.order(p.Permit(t, nil))
	if got := h.outcome(); got.Messages != 1 {
		t.Errorf("%+v", got)
	}
	select {
	case got := <-from:
		if !strings.HasPrefix(got, "127.0.0.1:") {
			t.Errorf("asked from %s", got)
		}
	case <-time.After(time.Second):
		t.Error("nobody came")
	}
}
