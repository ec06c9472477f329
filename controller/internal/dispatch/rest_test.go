package dispatch

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"primum/controller/internal/store"
	list "primum/safetylists"
	"primum/safetylists/evidence"
	"primum/safetylists/permit"
)

// secondRun is a run of another agent, "ward", over the same plan, approved before either ran.
func secondRun(t *testing.T, s *Service, p permit.Plan) store.Run {
	t.Helper()
	q := p.Items[0].Query
	run := store.Run{Name: "other", Plan: "2", Caller: "windows/v", Agent: "ward", Opens: p.Opens, Closes: p.Closes, State: "PENDING", Planned: len(p.Items)}
	var tasks []store.Task
	for i, it := range p.Items {
		tasks = append(tasks, store.Task{Run: "other", Item: i, Device: it.Device.ID, Kind: string(q.Kind()), Question: q.String(), State: "QUEUED"})
	}
	kept := store.Plan{Name: "2", Caller: run.Caller, Agent: "ward", Opens: p.Opens, Closes: p.Closes, Digest: []byte("2"), List: p.List[:], Document: []byte("{}"), State: store.Approved}
	if err := s.Store.Fire(t.Context(), run, tasks, &kept, nil, store.Audit{At: p.Opens, Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	return run
}

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
	other := secondRun(t, s, p)
	var l *loaded
	ask := func(items ...int) []int {
		t.Helper()
		l = &loaded{plan: p, said: map[string]string{}}
		awake, err := (&session{Service: s, agent: "ward"}).awake(t.Context(), other, l, items)
		if err != nil {
			t.Fatal(err)
		}
		return awake
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

// G9: what was asked under one tag rests under that of a twin's twin.
func TestADeviceRestsUnderTheTagOfATwinsTwin(t *testing.T) {
	s, _ := service(t)
	confirmed(t, s)
	p := devices(t, s, 3)
	now := time.Now()
	var rows []store.Device
	for tag, cells := range map[string]map[string]string{"10-0": {"ip": "127.0.0.1"}, "10-1": {"ip": "127.0.0.1", "mac": "02:00:00:00:00:01"}, "10-2": {"ip": "127.0.0.3", "mac": "02:00:00:00:00:01"}} {
		cells["asset_tag"] = tag
		rows = append(rows, store.Device{Tag: tag, Cells: cells})
	}
	if _, err := s.Store.PutDevices(t.Context(), rows, nil, store.Audit{At: now, Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Store.Dispatch(t.Context(), store.Order{ID: "orders/1", Run: "r", Agent: "icu", Epoch: 1}, []store.Sending{{Item: 0, Permit: "p0"}}, now); err != nil {
		t.Fatal(err)
	}
	other := secondRun(t, s, p)
	awake, err := (&session{Service: s, agent: "ward"}).awake(t.Context(), other, &loaded{plan: p, said: map[string]string{}}, []int{2})
	if err != nil || len(awake) != 0 {
		t.Errorf("while it is asked under its first tag, it is given to another agent under its third: %v %v", awake, err)
	}
	if all, err := s.Store.Tasks(t.Context(), "other", -1, 0); err != nil || !strings.Contains(all[2].Detail, "as 10-0, the same device by an address or network card") {
		t.Errorf("it does not say under which tag: %q %v", all[2].Detail, err)
	}
}

// DECISIONS 88, H-037, H-049: a controller that was restored from a backup is told anew what its agent has asked since. Nothing of the order is
// there, and the device rests and is held all the same.
func TestWhatARestoredControllerIsToldKeepsOtherAgentsAway(t *testing.T) {
	for state, held := range map[evidence.State]int{evidence.Answered: 0, evidence.Absent: 0, evidence.Distress: 1, evidence.Incident: 1} {
		s, _ := service(t)
		tell := confirmed(t, s)
		p := devices(t, s, 2)
		other := secondRun(t, s, p)
		now := time.Now()
		tell(evidence.Record{At: now, Kind: evidence.Started, Order: "orders/lost", Permit: "p0", Device: "10-0", Address: "127.0.0.1", Query: p.Items[0].Query.String(), GapMS: 5000, RestMS: (24 * time.Hour).Milliseconds()})
		out := outcomeOf("orders/lost", 0, "p0", "10-0")
		out.Result.State = state
		tell(out)
		l := &loaded{plan: p, said: map[string]string{}}
		if awake, err := (&session{Service: s, agent: "ward"}).awake(t.Context(), other, l, []int{0, 1}); err != nil || !slices.Equal(awake, []int{1}) {
			t.Errorf("%s: the device rests, and another agent is given %v: %v", state, awake, err)
		}
		_, holds, err := s.Store.HoldsInForce(t.Context())
		if err != nil || len(holds) != held || held == 1 && (holds[0].Scope != "device" || holds[0].Value != "10-0" || holds[0].PlacedBy != "controller") {
			t.Errorf("%s: %+v %v", state, holds, err)
		}
	}
}

// What an agent refused before the first octet, though nobody knew of it for a while, leaves no rest.
func TestWhatWasNotAskedAfterAllLeavesNoRest(t *testing.T) {
	s, _ := service(t)
	tell := confirmed(t, s)
	p := devices(t, s, 1)
	if err := s.Store.Dispatch(t.Context(), store.Order{ID: "orders/1", Run: "r", Agent: "icu", Epoch: 1}, []store.Sending{{Item: 0, Permit: "p0"}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Store.Settle(t.Context(), p.Closes.Add(3*time.Minute), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	asked := func() store.Asking {
		t.Helper()
		last, err := s.Store.LastAsked(t.Context(), []string{"10-0"}, p.Items[0].Query.String())
		if err != nil {
			t.Fatal(err)
		}
		return last
	}
	if asked().At.IsZero() {
		t.Error("while nobody knows, the device counts as not asked")
	}
	out := outcomeOf("orders/1", 0, "p0", "10-0")
	out.Result = &evidence.Result{State: evidence.Refused, Reason: list.Held}
	tell(out)
	if last := asked(); !last.At.IsZero() {
		t.Errorf("it was refused, and counts as asked: %+v", last)
	}
}

// H-050: what the inventory has learned after the approval counts before a question goes out.
func TestAQuestionIsDecidedOnceMoreOnTheDeviceAsItIsNow(t *testing.T) {
	s, _ := service(t)
	p := devices(t, s, 3)
	s.Device = func(_ context.Context, tag string) (list.Device, error) {
		switch tag {
		case "10-1":
			return list.Device{}, store.ErrNotFound
		case "10-2":
			return list.Device{}, errors.New("the database is away")
		}
		return p.Items[0].Device, nil // of which the list of this test approves nothing
	}
	ses := &session{Service: s, agent: "icu"}
	run, err := s.Store.Run(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	left, err := ses.present(t.Context(), run, &loaded{plan: p}, []int{0, 1})
	if err != nil || len(left) != 0 {
		t.Errorf("left %v %v", left, err)
	}
	tasks, err := s.Store.Tasks(t.Context(), "r", -1, 0)
	if err != nil || tasks[0].State != "REFUSED" || tasks[0].Reason != string(list.NotApproved) || tasks[1].State != "REFUSED" || tasks[1].Reason != string(list.NotRegistered) {
		t.Errorf("%+v %v", tasks, err)
	}
	if left, err := ses.present(t.Context(), run, &loaded{plan: p}, []int{2}); err == nil || left != nil {
		t.Errorf("an inventory that cannot be read: %v %v", left, err)
	}
}

// H-050: what the inventory has at another address by now, with another card, or without the word about its address, is not asked where it
// was when the plan was approved.
func TestADeviceThatTheInventoryHasElsewhereIsNotAskedWhereItWas(t *testing.T) {
	on, until := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 5, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		change func(*list.Device)
		want   list.Reason
	}{
		"as it was":             {func(*list.Device) {}, list.NotApproved}, // the list of this test approves nothing
		"its card written anew": {func(d *list.Device) { d.MAC = "02-00-00-00-00-0A" }, list.NotApproved},
		"a longer word": {func(d *list.Device) {
			d.Fixed = &list.FixedAddress{Address: d.Address, MAC: d.MAC, By: "b", On: on, Until: until.AddDate(0, 1, 0)}
		}, list.NotApproved},
		"another address": {func(d *list.Device) { d.Address = netip.MustParseAddr("127.0.0.9") }, list.AddressMoved},
		"no address":      {func(d *list.Device) { d.Address = netip.Addr{} }, list.AddressMoved},
		"another card":    {func(d *list.Device) { d.MAC = "02:00:00:00:00:0b" }, list.AddressMoved},
		"no card":         {func(d *list.Device) { d.MAC = "" }, list.AddressMoved},
		"no word":         {func(d *list.Device) { d.Fixed = nil }, list.AddressUnproven},
		"a shorter word": {func(d *list.Device) {
			d.Fixed = &list.FixedAddress{Address: d.Address, MAC: d.MAC, By: "a", On: on, Until: on.AddDate(0, 0, 1)}
		}, list.AddressUnproven},
	} {
		s, _ := service(t)
		p := devices(t, s, 1)
		d := &p.Items[0].Device
		d.MAC = "02:00:00:00:00:0a"
		d.Fixed = &list.FixedAddress{Address: d.Address, MAC: d.MAC, By: "a", On: on, Until: until}
		now := *d
		c.change(&now)
		s.Device = func(context.Context, string) (list.Device, error) { return now, nil }
		run, err := s.Store.Run(t.Context(), "r")
		if err != nil {
			t.Fatal(err)
		}
		left, err := (&session{Service: s, agent: "icu"}).present(t.Context(), run, &loaded{plan: p}, []int{0})
		if err != nil || len(left) != 0 {
			t.Errorf("%s: left %v %v", name, left, err)
		}
		tasks, err := s.Store.Tasks(t.Context(), "r", -1, 0)
		if err != nil || tasks[0].State != "REFUSED" || tasks[0].Reason != string(c.want) || strings.Contains(tasks[0].Detail, "invalid") {
			t.Errorf("%s: %+v %v", name, tasks, err)
		}
	}
}

// A question that waits for its turn is not looked at again with every look, and is after two seconds, or when the clock was set back.
func TestAQuestionThatWaitsForItsTurnIsLookedAtEveryTwoSeconds(t *testing.T) {
	s, _ := service(t)
	p := devices(t, s, 1)
	looks := 0
	s.Device = func(context.Context, string) (list.Device, error) {
		looks++
		return p.Items[0].Device, nil // of which the list of this test approves nothing
	}
	run, err := s.Store.Run(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	s.Now = func() time.Time { return now }
	for _, c := range []struct {
		ago   time.Duration
		looks int
	}{{0, 0}, {vetted - 1, 0}, {vetted, 1}, {-1, 1}} {
		looks = 0
		left, err := (&session{Service: s, agent: "icu"}).vet(t.Context(), run, &loaded{plan: p, vetted: map[int]time.Time{0: now.Add(-c.ago)}}, []int{0})
		if err != nil || looks != c.looks || len(left) != 1-c.looks {
			t.Errorf("%s after it was looked at: %d looks, left %v, %v", c.ago, looks, left, err)
		}
	}
}

// G9, H-049: what an import makes one device after a session has looked rests as one device from then on.
func TestADeviceRestsUnderATagThatAnImportGaveItMeanwhile(t *testing.T) {
	s, _ := service(t)
	confirmed(t, s)
	p := devices(t, s, 3)
	now := time.Now()
	other := secondRun(t, s, p)
	ses, l := &session{Service: s, agent: "ward"}, &loaded{plan: p, said: map[string]string{}}
	if awake, err := ses.awake(t.Context(), other, l, []int{1}); err != nil || len(awake) != 1 {
		t.Fatalf("%v %v", awake, err)
	}
	if _, err := s.Store.PutDevices(t.Context(), []store.Device{{Tag: "10-0", Cells: map[string]string{"mac": "02:00:00:00:00:01"}}, {Tag: "10-2", Cells: map[string]string{"mac": "02:00:00:00:00:01"}}}, nil, store.Audit{At: now, Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Store.Dispatch(t.Context(), store.Order{ID: "orders/1", Run: "r", Agent: "icu", Epoch: 1}, []store.Sending{{Item: 0, Permit: "p0"}}, now); err != nil {
		t.Fatal(err)
	}
	if awake, err := ses.awake(t.Context(), other, l, []int{2}); err != nil || len(awake) != 0 {
		t.Errorf("it is given to another agent under the tag that the import gave it: %v %v", awake, err)
	}
}

// A network card that an export has for thousands of devices makes one device of them; who asks for its tags gets them before the time is over.
func TestTheTagsOfANetworkCardOfThousandsAreFoundAtOnce(t *testing.T) {
	s, _ := service(t)
	var devices []store.Device
	for n := range 2000 {
		devices = append(devices, store.Device{Tag: strconv.Itoa(n), Cells: map[string]string{"mac": "00:10:5d:01:02:03"}})
	}
	if _, err := s.Store.PutDevices(t.Context(), devices, nil, store.Audit{At: time.Now(), Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	var l loaded
	if err := (&session{Service: s}).kin(t.Context(), &l); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	got := l.twins(list.Device{ID: "7"})
	if took := time.Since(began); len(got) != 2000 || took > 2*time.Second {
		t.Errorf("%d tags after %s", len(got), took)
	}
}
