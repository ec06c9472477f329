package dispatch

import (
	"context"
	"errors"
	"slices"

	"primum/controller/internal/store"
	list "primum/safetylists"
)

// stopped reports whether the site has stopped the agent in a journal that it has no more, as after a restore of its machine from a backup of
// before. It knows of no stop then and would ask; only a later word of the site ends one (H-035), which the records of its journal bring first.
// Its questions wait, and say for what.
func (ses *session) stopped(ctx context.Context) (bool, error) {
	if !ses.stopLost {
		return false, nil
	}
	a, err := ses.Store.Agent(ctx, ses.agent)
	if err != nil {
		return false, err
	}
	if ses.stopLost = a.StopLost(); !ses.stopLost {
		return false, nil
	}
	words := "it waits, for agents/" + ses.agent + " was stopped at the site (" + a.SiteStop.Why + ") and its machine has forgotten that, as after a restore: primum-agent resume there ends it, primum-agent stop gives the word anew"
	for said := map[string]bool{}; ; {
		run, tasks, err := ses.Store.Due(ctx, ses.agent, ses.Now(), said, ahead)
		if errors.Is(err, store.ErrNotFound) {
			return true, nil
		}
		if err != nil {
			return true, err
		}
		said[run.Name] = true
		tasks = slices.DeleteFunc(tasks, func(t store.Task) bool { return t.Detail == words })
		if len(tasks) == 0 {
			continue
		}
		var items []int
		for _, t := range tasks {
			items = append(items, t.Item)
		}
		if err := ses.Store.Say(ctx, run.Name, items, string(list.Held), words); err != nil {
			return true, err
		}
	}
}
