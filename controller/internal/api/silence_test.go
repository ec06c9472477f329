package api

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"primum/controller/internal/store"
)

// CONTROL-PLANE 4.7: what is at an agent that is silent is unknown, and what is not there yet waits for it; what has an end keeps it.
func TestWhatIsAtASilentAgentIsUnknownToWhoAsks(t *testing.T) {
	since := time.Date(2026, 7, 1, 2, 3, 4, 0, time.UTC)
	run := store.Run{Agent: "icu", Tasks: map[string]int{"DISPATCHED": 2, "QUEUED": 1, "ANSWERED": 3, "UNKNOWN": 1}}
	tasks := []store.Task{{State: "DISPATCHED"}, {State: "QUEUED", Reason: "WAVE_WAITS", Detail: "wave 2"}, {State: "ANSWERED"}, {State: "UNKNOWN", Detail: "lost"}}
	for _, silent := range []bool{false, true} {
		a := &API{Silent: func(agent string) (time.Time, bool) { return since, silent && agent == "icu" }}
		before := slices.Clone(tasks)
		got, counts := a.told(run, tasks), a.counted(run)
		if diff := cmp.Diff(before, tasks); diff != "" {
			t.Errorf("what the store gave has changed: %s", diff)
		}
		if !silent {
			if diff := cmp.Diff(tasks, got) + cmp.Diff(run.Tasks, counts); diff != "" {
				t.Error(diff)
			}
			continue
		}
		if diff := cmp.Diff(map[string]int{"QUEUED": 1, "ANSWERED": 3, "UNKNOWN": 3}, counts); diff != "" {
			t.Error(diff)
		}
		for i, want := range []struct{ state, reason, words string }{
			{"UNKNOWN", "AGENT_OFFLINE", "icu has had no session since 02:03:04 UTC; the device may have been asked"}, {"QUEUED", "AGENT_OFFLINE", "the device was not asked"},
			{"ANSWERED", "", ""}, {"UNKNOWN", "", "lost"}} {
			if x := got[i]; x.State != want.state || x.Reason != want.reason || !strings.Contains(x.Detail, want.words) {
				t.Errorf("%d: %+v", i, x)
			}
		}
	}
	if run.Tasks["DISPATCHED"] != 2 {
		t.Error("the counts of the store have changed")
	}
}
