package guard_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"primum/agent/internal/guard"
	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// ward is a house under real policy: 40 devices of one model and one subnet, in an approved time of a length.
func ward(t *testing.T, open time.Duration) *house {
	t.Helper()
	h := newHouse(t, nil)
	h.papers.Plan.Closes = h.papers.Now.Add(open)
	base := h.papers.Plan.Items[0]
	h.papers.Plan.Items = nil
	for i := range 40 {
		it := base
		it.Device.ID, it.Device.MAC = fmt.Sprintf("30-%d", i), fmt.Sprintf("02:00:00:00:01:%02x", i)
		it.Device.Address = netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})
		h.papers.Plan.Items = append(h.papers.Plan.Items, it)
	}
	h.papers.Approve(t)
	h.policy = list.Real
	h.start()
	return h
}

// DESIGN 4.3, H-041: devices that each have their own rest are still not asked all at once. The 25th of a subnet waits
// for its half second, is asked after it, and a restart lets nothing through early.
func TestManyDevicesOfOneSubnetAreNotAskedAtOnce(t *testing.T) {
	h := ward(t, time.Hour)
	for i := range uint32(24) {
		h.ask(i, h.papers.Now, evidence.Answered)
	}
	v := h.admit(24, h.papers.Now)
	if v.Ticket != nil || v.Refusal != nil || v.Again.Sub(h.papers.Now) != 500*time.Millisecond {
		t.Fatalf("the 25th: %+v", v)
	}
	h.boot += 500 * time.Millisecond
	h.ask(24, v.Again, evidence.Answered)

	h.boot = 10 * time.Second // the machine starts anew
	h.start()
	if v := h.admit(25, h.papers.Now); v.Ticket != nil || v.Refusal != nil || v.Again.Sub(h.papers.Now) != 500*time.Millisecond {
		t.Errorf("after a restart: %+v", v)
	}
	h.boot += 500 * time.Millisecond
	h.ask(25, h.papers.Now.Add(500*time.Millisecond), evidence.Answered)
}

// PERFORMANCE.md D: what is on its way is not given back by time, or a conversation that speaks late meets the next ones on the wire.
func TestWhatIsOnItsWayIsNotGivenBackByTime(t *testing.T) {
	h := ward(t, time.Hour)
	var open []*guard.Ticket
	for i := range uint32(24) {
		open = append(open, h.admit(i, h.papers.Now).Ticket)
	}
	h.boot += 10 * time.Second
	later := h.papers.Now.Add(10 * time.Second)
	if v := h.admit(24, later); v.Ticket != nil || v.Refusal != nil || v.Again.Sub(later) > time.Second {
		t.Fatalf("with 24 under way: %+v", v)
	}
	open[0].Done()
	if v := h.admit(24, later); v.Ticket != nil || v.Again.Sub(later) != 500*time.Millisecond {
		t.Errorf("at the end of one: %+v", v)
	}
	h.boot += 500 * time.Millisecond
	if v := h.admit(24, later.Add(500*time.Millisecond)); v.Ticket == nil {
		t.Errorf("half a second after it: %+v", v)
	}
}

// A question that would wait beyond its approved time, or beyond its permit, is refused, and spends no permit.
func TestAQuestionWhoseTimeEndsBeforeItsBudgetIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		open, until time.Duration // from now; an SNMP question may take 5 s, and its budget wants half a second
		want        list.Reason
	}{
		"time for both":             {time.Hour, 600 * time.Millisecond, ""},
		"the permit ends before":    {time.Hour, 400 * time.Millisecond, list.PaceSpent},
		"the permit ends just then": {time.Hour, 500 * time.Millisecond, list.PaceSpent},
		"it just ends in time":      {5500 * time.Millisecond, 5 * time.Second, ""},
		"it would not end in time":  {5499 * time.Millisecond, 5 * time.Second, list.PaceSpent},
		"it is nearly over":         {5001 * time.Millisecond, 5 * time.Second, list.PaceSpent},
	} {
		h := ward(t, c.open)
		for i := range uint32(24) {
			v := h.admitUntil(i, h.papers.Now, h.papers.Now.Add(c.until))
			if v.Ticket == nil {
				t.Fatalf("%s: %d: %+v", name, i, v)
			}
			v.Ticket.Done()
		}
		written := len(h.past)
		v := h.admitUntil(24, h.papers.Now, h.papers.Now.Add(c.until))
		if reason(v) != c.want || v.Ticket != nil || v.Again.IsZero() != (c.want != "") || len(h.past) != written {
			t.Errorf("%s: %+v", name, v)
		}
	}
}
