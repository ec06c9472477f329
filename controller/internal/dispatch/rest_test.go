package dispatch

import (
	"slices"
	"strings"
	"testing"
	"time"

	"primum/controller/internal/store"
	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// G8, G9, H-049: a device that one agent was given, or has asked, is not given to another with the same question before its rest is over,
// under whatever tag; the plan was made and approved before. The agent itself would know, unless it was enrolled anew.
func TestADeviceRestsFromTheQuestionsOfEveryAgent(t *testing.T) {
	s, _ := service(t)
	tell := confirmed(t, s)
	p := devices(t, s, 3)
	now := time.Now()
	twins := []store.Device{{Tag: "10-0", Cells: map[string]string{"asset_tag": "10-0", "mac": "02:00:00:00:00:01"}}, {Tag: "10-2", Cells: map[string]string{"asset_tag": "10-2", "mac": "02-00-00-00-00-01"}}}
	if _, err := s.Store.PutDevices(t.Context(), twins, nil, store.Audit{At: now, Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	q := p.Items[0].Query
	other := store.Run{Name: "other", Plan: "2", Caller: "windows/v", Agent: "ward", Opens: p.Opens, Closes: p.Closes, State: "PENDING", Planned: 3}
	var tasks []store.Task
	for i, it := range p.Items {
		tasks = append(tasks, store.Task{Run: "other", Item: i, Device: it.Device.ID, Kind: string(q.Kind()), Question: q.String(), State: "QUEUED"})
	}
	kept := store.Plan{Name: "2", Caller: other.Caller, Agent: "ward", Opens: p.Opens, Closes: p.Closes, Digest: []byte("2"), List: p.List[:], Document: []byte("{}"), State: store.Approved}
	if err := s.Store.Fire(t.Context(), other, tasks, &kept, nil, store.Audit{At: now, Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	var l *loaded
	ask := func(items ...int) []int {
		t.Helper()
		full(&s.pace)
		ses := &session{Service: s, agent: "ward"}
		l = &loaded{plan: p, said: map[string]string{}}
		var taken []paid
		for _, i := range items { // as if the budgets were there for all of them
			x := paid{item: i, visit: visitOf(p, i, "ward")}
			s.pace.start(x, 0)
			taken = append(taken, x)
		}
		awake, err := ses.awake(t.Context(), other, l, taken)
		if err != nil {
			t.Fatal(err)
		}
		return itemsOf(awake)
	}
	state := func(item int) store.Task {
		t.Helper()
		all, err := s.Store.Tasks(t.Context(), "other", -1, 0)
		if err != nil {
			t.Fatal(err)
		}
		return all[item]
	}
	if got := ask(0, 1, 2); !slices.Equal(got, []int{0, 1, 2}) {
		t.Fatalf("before anything was asked: %v", got)
	}
	if err := s.Store.Dispatch(t.Context(), store.Order{ID: "orders/1", Run: "r", Agent: "icu", Epoch: 1}, []store.Sending{{Item: 0, Permit: "p0"}}, now); err != nil {
		t.Fatal(err)
	}
	if got := ask(0, 1, 2); !slices.Equal(got, []int{1}) {
		t.Errorf("while another agent has it: %v", got)
	}
	for _, item := range []int{0, 2} {
		if x := state(item); x.State != "QUEUED" || x.Reason != string(list.MinInterval) || !strings.Contains(x.Detail, "agents/icu has the same question") {
			t.Errorf("item %d: %+v", item, x)
		}
		if s.Now().Add(waitsOut).Before(l.rests[item]) {
			t.Errorf("item %d is not looked at until %s", item, l.rests[item])
		}
	}
	out := outcomeOf("orders/1", 0, "p0", "10-0")
	out.Result.State, out.Result.Asked, out.Result.Messages = evidence.Answered, now, 1
	tell(out)
	p.Items[2].Limits.Rest = 10 * time.Minute // ends within the approved time
	if got := ask(0, 1, 2); !slices.Equal(got, []int{1}) {
		t.Errorf("after another agent has asked it: %v", got)
	}
	if x := state(0); x.State != "REFUSED" || x.Reason != string(list.MinInterval) || !strings.Contains(x.Detail, "agents/icu has asked it at ") {
		t.Errorf("its rest goes beyond the approved time: %+v", x)
	}
	if x := state(2); x.State != "QUEUED" || x.Reason != string(list.MinInterval) {
		t.Errorf("its rest ends before: %+v", x)
	}
	if got := (&session{Service: s}).rested(l, []int{0, 1, 2}); !slices.Equal(got, []int{1}) {
		t.Errorf("looked at again: %v", got)
	}
	s.Now = func() time.Time { return now.Add(11 * time.Minute) }
	if got := ask(1, 2); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("after the rest: %v", got)
	}
}
