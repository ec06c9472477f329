package guard_test

import (
	"testing"
	"time"

	"primum/safetylists/evidence"
)

// G10, G11: what a device was like is known before its next conversation, also after a restart of the agent, and is
// that of the conversations before, not of this one.
func TestVitalSignsAreRememberedOverARestart(t *testing.T) {
	papers, tasks := simPapers(t)
	s := newSim(papers, tasks, 1)
	s.sound = true
	s.lease()
	admit := func(i int) *talk {
		t.Helper()
		v := s.guard.Admit(tasks[i], 0, s.wall())
		if v.Ticket == nil {
			t.Fatalf("%+v", v)
		}
		return &talk{ticket: v.Ticket, device: tasks[i].Device().ID}
	}
	first := admit(0)
	if b := first.ticket.Before(); !b.Sent.IsZero() || b.Uptime != nil || b.Baseline != 0 {
		t.Errorf("of a device that nobody has asked: %+v", b)
	}
	up := uint32(4200)
	id := first.ticket.Task().ID().String()
	for _, r := range []evidence.Record{{Kind: evidence.Sent, Permit: id, Device: first.device},
		{Kind: evidence.Outcome, Permit: id, Device: first.device, Result: &evidence.Result{State: evidence.Answered, Uptime: &up, TookUS: 20_000, Engine: &evidence.Engine{ID: "80", Boots: 3}}}} {
		r.At = s.wall()
		s.disk = append(s.disk, r)
		s.guard.Note(r)
	}
	asked := s.wall()
	s.disk = append([]evidence.Record{}, s.disk...)
	s.start()
	s.pass(10 * time.Second)
	s.lease()
	b := admit(2).ticket.Before()
	if !b.Sent.Equal(asked) || !b.Told.Equal(asked) || b.Uptime == nil || *b.Uptime != up || b.Engine == nil || b.Engine.Boots != 3 || b.Baseline != 0 {
		t.Errorf("after a restart, another question: %+v", b)
	}
}
