package dispatch

import (
	"context"

	"primum/controller/internal/store"
	list "primum/safetylists"
)

// listless says of questions that they wait for a safety list which their agent does not take. Without it they would end with their approved
// time, and nobody would read why.
func (ses *session) listless(ctx context.Context, run string, l *loaded, tasks []store.Task) error {
	words := "agents/" + ses.agent + " does not take the safety list: " + ses.untaken
	if ses.untaken == "" || l.said["list"] == words {
		return nil
	}
	l.said["list"] = words
	items := make([]int, len(tasks))
	for i, t := range tasks {
		items[i] = t.Item
	}
	return ses.Store.Say(ctx, run, items, string(list.ListOther), words)
}
