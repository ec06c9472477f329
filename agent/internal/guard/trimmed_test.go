package guard_test

import (
	"testing"
	"time"

	"primum/agent/internal/guard"
	list "primum/safetylists"
	"primum/safetylists/evidence"
	"primum/safetylists/release"
)

// H-042: the record that spent a permit is trimmed, the agent starts anew, and the permit comes once more.
func TestAPermitWhoseRecordWasTrimmedIsNotUsedAgain(t *testing.T) {
	papers, tasks := simPapers(t)
	var front []byte
	now, boot := papers.Now, time.Hour
	live := func() *guard.Guard {
		now, boot = now.Add(time.Minute), boot+time.Minute // a life is longer than what budgets take
		g := guard.New(guard.Config{Policy: list.Lab, Boot: func() time.Duration { return boot },
			Append:  func(...evidence.Record) (uint64, error) { return 1, nil },
			Release: func() *release.Release { return papers.Release }, Prove: func(list.Device, time.Time) *list.Refusal { return nil }})
		if front != nil {
			if err := g.Restore(front); err != nil {
				t.Fatal(err)
			}
		}
		boot += time.Second
		g.SetHolds(0, nil)
		g.SetLease(guard.Lease{Wall: now, Boot: boot, Until: boot + 15*time.Second, DurableLSN: 1 << 60})
		return g
	}
	for _, tk := range []int{0, 5} { // of two devices
		g := live()
		if v := g.Admit(tasks[tk], 0, now); v.Ticket == nil {
			t.Fatalf("task %d is not admitted: %v", tk, v.Refusal)
		}
		var err error
		if front, err = g.Checkpoint(); err != nil {
			t.Fatal(err)
		}
	}
	g := live()
	for _, tk := range []int{0, 5} {
		if v := g.Admit(tasks[tk], 0, now); v.Refusal == nil || v.Refusal.Reason != list.PermitUsed {
			t.Errorf("task %d again: %+v", tk, v)
		}
	}
	if v := g.Admit(tasks[8], 0, now); v.Ticket == nil {
		t.Errorf("a permit that was not used: %v", v.Refusal)
	}
}
