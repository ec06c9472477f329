package api

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"primum/controller/internal/store"
	list "primum/safetylists"
)

// lookAgain is how often a call that waits looks at what time alone makes true.
const lookAgain = 2 * time.Second

// told returns tasks as they stand for who asks. What was given to an agent that has been without a session for too long is
// UNKNOWN: it may have been asked. The store keeps DISPATCHED, for when the agent comes back its record says what it has begun,
// and the rest is asked while the approved time lasts (CONTROL-PLANE 4.2).
func (a *API) told(r store.Run, tasks []store.Task) []store.Task {
	since, silent := a.Silent(r.Agent)
	if !silent {
		return tasks
	}
	tasks = slices.Clone(tasks)
	for i := range tasks {
		t := &tasks[i]
		switch t.State {
		case "DISPATCHED":
			t.State, t.Reason = "UNKNOWN", string(list.AgentOffline)
			t.Detail = fmt.Sprintf("agent %s has had no session since %s; the device may have been asked. When the agent is back, its record says it", r.Agent, since.UTC().Format("15:04:05 MST"))
		case "QUEUED":
			t.Reason = string(list.AgentOffline)
			t.Detail = fmt.Sprintf("it waits for agent %s, which has had no session since %s; the device was not asked", r.Agent, since.UTC().Format("15:04:05 MST"))
		}
	}
	return tasks
}

// counted counts the tasks of a run as told tells them.
func (a *API) counted(r store.Run) map[string]int {
	n := r.Tasks["DISPATCHED"]
	if _, silent := a.Silent(r.Agent); !silent || n == 0 {
		return r.Tasks
	}
	tasks := maps.Clone(r.Tasks)
	delete(tasks, "DISPATCHED")
	tasks["UNKNOWN"] += n
	return tasks
}
