package guard_test

import (
	"net/netip"
	"testing"
	"time"

	"primum/agent/internal/guard"
	"primum/agent/internal/papertest"
	"primum/agent/internal/task"
	list "primum/safetylists"
	"primum/safetylists/evidence"
	"primum/safetylists/permit"
	"primum/safetylists/release"
)

// house is a guard with papers of two items, a clock on the wall and one that runs on in suspend.
type house struct {
	*guard.Guard
	t      *testing.T
	papers *papertest.Papers
	stand  *permit.Standing
	policy list.Policy
	boot   time.Duration
	past   []evidence.Record
	prove  *list.Refusal // of every address; nil: proven
	answer bool          // an answer proves an address
}

// newHouse makes one whose second item is a device of another asset tag, after bend has changed it.
func newHouse(t *testing.T, bend func(*list.Device)) *house {
	t.Helper()
	h := &house{t: t, policy: list.Lab, papers: papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:10170"), Closes: 48 * time.Hour, Expires: 72 * time.Hour}), boot: time.Hour}
	second := h.papers.Plan.Items[0]
	second.Device.ID = "20-2"
	if bend != nil {
		bend(&second.Device)
	}
	h.papers.Plan.Items = append(h.papers.Plan.Items, second)
	h.papers.Approve(t)
	h.start()
	return h
}

// start starts the guard anew, from what its journal holds.
func (h *house) start() {
	h.Guard = guard.New(guard.Config{Policy: h.policy, Boot: func() time.Duration { return h.boot },
		Append: func(r ...evidence.Record) (uint64, error) {
			h.past = append(h.past, r...)
			return uint64(len(h.past)), nil
		},
		Release: func() *release.Release { return h.papers.Release },
		Prove:   func(list.Device, time.Time) *list.Refusal { return h.prove },
		Answers: func() bool { return h.answer }})
	for _, r := range h.past {
		h.Replay(r)
	}
	h.SetHolds(0, nil)
	h.lease(h.papers.Now)
}

// lease is a lease of 15 s, taken at a moment of the wall clock.
func (h *house) lease(wall time.Time) {
	h.SetLease(guard.Lease{Wall: wall, Boot: h.boot, Until: h.boot + 15*time.Second, DurableLSN: 1 << 60})
}

// admit asks for an item of the plan at a moment of the wall clock.
func (h *house) admit(item uint32, at time.Time) guard.Verdict {
	h.t.Helper()
	return h.admitUntil(item, at, at.Add(time.Minute))
}

// admitUntil asks for an item with a permit that ends at a moment.
func (h *house) admitUntil(item uint32, at, until time.Time) guard.Verdict {
	h.t.Helper()
	d := h.papers.Plan.Items[item]
	raw := h.papers.Permit(h.t, func(p *permit.Permit) {
		p.Item, p.Device, p.Address = item, d.Device.ID, netip.AddrPortFrom(d.Device.Address, d.Query.Port())
		p.From, p.Until = at.Add(-time.Minute).Truncate(time.Millisecond), until.Truncate(time.Millisecond)
	})
	tk, no := task.Verify(raw, task.Self{Name: papertest.Agent, Epoch: 1, PermitKey: h.papers.PermitKey}, func(permit.Digest) (task.Approved, bool) {
		return task.Approved{Plan: h.papers.Plan, Digest: h.papers.Digest, Standing: h.stand}, true
	})
	if no != nil {
		h.t.Fatal(no)
	}
	return h.Admit(tk, 0, at)
}

// ask has an item asked, and ends it in a state.
func (h *house) ask(item uint32, at time.Time, end evidence.State) {
	h.t.Helper()
	v := h.admit(item, at)
	if v.Ticket == nil {
		h.t.Fatalf("%+v", v)
	}
	r := evidence.Record{At: at, Kind: evidence.Outcome, Permit: v.Ticket.Task().ID().String(), Device: v.Ticket.Task().Device().ID,
		Result: &evidence.Result{State: end, Detail: "made for a test"}}
	h.past = append(h.past, r)
	h.Note(r)
	v.Ticket.Done()
}

func reason(v guard.Verdict) list.Reason {
	if v.Refusal == nil {
		return ""
	}
	return v.Refusal.Reason
}

// G9: two asset tags with one address or one network card, as from two imports, are one device. It is not
// asked the same question twice in its rest, and its distress under one tag keeps it alone under the other.
func TestOneDeviceUnderTwoTagsIsOneDevice(t *testing.T) {
	for name, bend := range map[string]func(*list.Device){
		"one address": func(d *list.Device) { d.MAC = "02:00:00:00:00:02" },
		"one card":    func(d *list.Device) { d.Address = netip.MustParseAddr("127.0.0.2") },
		"one card, written otherwise": func(d *list.Device) {
			d.Address, d.MAC = netip.MustParseAddr("127.0.0.2"), "02-00-00-00-00-01"
		},
	} {
		for end, want := range map[evidence.State]list.Reason{evidence.Answered: list.MinInterval, evidence.Absent: list.MinInterval, evidence.Distress: list.Quarantined, evidence.Incident: list.Quarantined} {
			t.Run(name+", "+string(end), func(t *testing.T) {
				h := newHouse(t, bend)
				h.ask(0, h.papers.Now, end)
				later := h.papers.Now.Add(10 * time.Second) // the gap is over, the rest is not
				if got := reason(h.admit(1, later)); got != want {
					t.Errorf("under the other tag: %q, not %s", got, want)
				}
				h.start()
				if got := reason(h.admit(1, later)); got != want {
					t.Errorf("under the other tag after a restart: %q, not %s", got, want)
				}
			})
		}
	}
	t.Run("another device", func(t *testing.T) {
		h := newHouse(t, func(d *list.Device) { d.Address, d.MAC = netip.MustParseAddr("127.0.0.2"), "02:00:00:00:00:02" })
		h.ask(0, h.papers.Now, evidence.Distress)
		h.boot += 10 * time.Second
		if v := h.admit(1, h.papers.Now.Add(10*time.Second)); v.Ticket == nil {
			t.Errorf("%+v", v)
		}
	})
}

// H-014, H-018: a list that is in use was issued once. A clock from before that was set back, and under it the list
// would not grow old.
func TestAClockFromBeforeTheListBeginsNothing(t *testing.T) {
	for back, want := range map[time.Duration]list.Reason{4 * time.Minute: "", 6 * time.Minute: list.ClockSkew, 8 * 24 * time.Hour: list.ClockSkew} {
		h := newHouse(t, func(*list.Device) {})
		h.papers.Release.Issued = h.papers.Now.Add(back)
		if v := h.admit(0, h.papers.Now); reason(v) != want || (v.Ticket != nil) != (want == "") {
			t.Errorf("%s before its issue: %+v", back, v)
		}
	}
}

// H-018, B3: a wall clock that is set between two beats neither opens an approved time nor goes on with a
// lease that was measured on the clock before.
func TestAClockThatIsSetBetweenTwoBeatsBeginsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		jump   time.Duration
		begins bool
		goesOn list.Reason
	}{
		"not at all":       {0, true, ""},
		"a second ahead":   {time.Second, true, ""},
		"3 s ahead":        {3 * time.Second, false, ""},
		"3 s back":         {-3 * time.Second, false, ""},
		"10 minutes ahead": {10 * time.Minute, false, list.ClockSkew},
		"40 s back":        {-40 * time.Second, false, list.ClockSkew},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, func(d *list.Device) { d.Address, d.MAC = netip.MustParseAddr("127.0.0.2"), "02:00:00:00:00:02" })
			first := h.admit(0, h.papers.Now)
			if first.Ticket == nil {
				t.Fatalf("%+v", first)
			}
			h.boot += 2 * time.Second
			then := h.papers.Now.Add(2*time.Second + c.jump)
			if v := h.admit(1, then); (v.Ticket != nil) != c.begins {
				t.Errorf("a new question: %+v", v)
			}
			got := list.Reason("")
			if r := first.Ticket.Leave(then); r != nil {
				got = r.Reason
			}
			if got != c.goesOn {
				t.Errorf("the next message: %q, not %q", got, c.goesOn)
			}
		})
	}
}

// DESIGN 6.5: what a caller has had asked is not forgotten because the clock was wrong for a while.
func TestAClockThatWasWrongForgetsNoQuestionOfTheBudget(t *testing.T) {
	h := newHouse(t, func(d *list.Device) { d.Address, d.MAC = netip.MustParseAddr("127.0.0.2"), "02:00:00:00:00:02" })
	h.stand = &permit.Standing{Caller: h.papers.Plan.Caller, PerDay: 1, Statements: []string{"test-allow"}}
	h.ask(0, h.papers.Now, evidence.Answered)
	h.admit(1, h.papers.Now.Add(25*time.Hour)) // the clock is wrong, which the lease tells
	if got := reason(h.admit(1, h.papers.Now.Add(time.Second))); got != list.BudgetSpent {
		t.Errorf("%q", got)
	}
}
