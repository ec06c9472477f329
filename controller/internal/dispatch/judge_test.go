package dispatch

import (
	"testing"

	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
)

func TestAJournalIsBelievedOnlyWhenItKnowsAllThatItOnceKnew(t *testing.T) {
	agent := store.Agent{Incarnation: []byte("one"), JournalLSN: 20, RecordHWM: 18, Confirmed: 4, Epoch: 4}
	good := &controlv1.Hello{Incarnation: []byte("one"), JournalLsn: 20, LastEpoch: 4}
	tasks := make([]store.Dispatched, 2)
	for name, c := range map[string]struct {
		hello   func(h *controlv1.Hello)
		retired bool
		reset   bool
		fate    store.Fate
	}{
		"the known one":              {hello: func(*controlv1.Hello) {}, fate: store.Wait},
		"grown meanwhile":            {hello: func(h *controlv1.Hello) { h.JournalLsn = 30 }, fate: store.Wait},
		"rolled back a record":       {hello: func(h *controlv1.Hello) { h.JournalLsn = 19 }, reset: true, fate: store.Lost},
		"rolled back a session":      {hello: func(h *controlv1.Hello) { h.LastEpoch = 3 }, reset: true, fate: store.Lost},
		"new":                        {hello: func(h *controlv1.Hello) { h.Incarnation, h.JournalLsn, h.LastEpoch = []byte("two"), 1, 0 }, fate: store.Lost},
		"put aside before, and back": {hello: func(h *controlv1.Hello) { h.Incarnation = []byte("old") }, retired: true, reset: true, fate: store.Lost},
	} {
		h := &controlv1.Hello{Incarnation: good.Incarnation, JournalLsn: good.JournalLsn, LastEpoch: good.LastEpoch}
		c.hello(h)
		reset, fates, _ := judge(agent, c.retired, h, tasks)
		if reset != c.reset || len(fates) != len(tasks) || fates[0] != c.fate || fates[1] != c.fate {
			t.Errorf("%s: reset %v, fates %v", name, reset, fates)
		}
	}
}
