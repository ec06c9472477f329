package dispatch

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
	list "primum/safetylists"
	"primum/safetylists/evidence"
	"primum/safetylists/permit"
)

// journal is that of an agent: each record that it is given is handed on as a batch.
func journal(t *testing.T, hand func(*controlv1.RecordBatch)) func(evidence.Record) {
	t.Helper()
	var head evidence.Head
	tell := func(r evidence.Record) {
		t.Helper()
		raw, _, err := head.Next(r).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, head, err = head.Follow(raw); err != nil {
			t.Fatal(err)
		}
		hand(&controlv1.RecordBatch{Incarnation: []byte("0123456789abcdef"), FirstSeq: head.Seq, Records: [][]byte{raw}})
	}
	tell(evidence.Record{At: time.Now(), Kind: evidence.Begun, Incarnation: "30313233343536373839616263646566"})
	return tell
}

// devices fires a run of one question to a number of devices of one model, and returns its plan.
func devices(t *testing.T, s *Service, n int) permit.Plan {
	t.Helper()
	return devicesAt(t, s, n, time.Now())
}

func devicesAt(t *testing.T, s *Service, n int, opens time.Time) permit.Plan {
	t.Helper()
	now := opens.UTC().Truncate(time.Millisecond)
	q, err := list.ParseQuery(list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: list.DefaultOIDs()})
	if err != nil {
		t.Fatal(err)
	}
	p := permit.Plan{ID: "plans/1", Site: "demo", Caller: "windows/w", Opens: now, Closes: now.Add(time.Hour), Made: now, Refusals: []permit.PlanRefusal{}}
	run := store.Run{Name: "r", Plan: "1", Caller: p.Caller, Agent: "icu", Opens: p.Opens, Closes: p.Closes, State: "PENDING", Planned: n}
	var tasks []store.Task
	for i := range n {
		tag := fmt.Sprintf("10-%d", i)
		p.Items = append(p.Items, permit.Item{Query: q, Limits: q.DefaultLimits(), Device: list.Device{ID: tag, Address: netip.MustParseAddr(fmt.Sprintf("127.0.0.%d", i+1)),
			Claims: []list.Claim{{Source: list.CMMS, Manufacturer: "Dräger", Model: "Delta"}}}})
		tasks = append(tasks, store.Task{Run: "r", Item: i, Device: tag, Kind: string(q.Kind()), Question: q.String(), State: "QUEUED"})
	}
	doc, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(doc)
	kept := store.Plan{Name: "1", Caller: p.Caller, Agent: "icu", Opens: p.Opens, Closes: p.Closes, Digest: digest[:], List: p.List[:], Document: doc, State: store.Approved}
	if err := s.Store.Fire(t.Context(), run, tasks, &kept, nil, store.Audit{At: now, Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	return p
}

// asked has an agent's session with three devices of one model under way.
func asked(t *testing.T, s *Service, st *stream, epoch uint64) {
	t.Helper()
	now := time.Now()
	opens := now.Add(time.Hour) // by the test's word alone: the session would take what is due now
	p := devicesAt(t, s, 3, opens)
	sendings := []store.Sending{{Item: 0, Permit: "p0"}, {Item: 1, Permit: "p1"}, {Item: 2, Permit: "p2"}}
	if err := s.Store.Dispatch(t.Context(), store.Order{ID: "orders/1", Run: "r", Agent: "icu", Epoch: epoch}, sendings, opens); err != nil {
		t.Fatal(err)
	}
	tell := journal(t, func(b *controlv1.RecordBatch) {
		st.in <- &fromAgent{Kind: &controlv1.AgentMessage_RecordBatch{RecordBatch: b}}
	})
	for i := range 2 {
		tell(evidence.Record{At: now, Kind: evidence.Outcome, Order: "orders/1", Ordinal: uint32(i), Permit: fmt.Sprintf("p%d", i), Device: p.Items[i].Device.ID,
			Result: &evidence.Result{State: evidence.Distress, Detail: "it fell silent", Messages: 1, Asked: now}})
	}
}

// G10, DESIGN 6.6: after the second device of a model was in distress, every agent holds the model, at once and
// without anybody's doing; the first changes nothing for the others.
func TestTheSecondDistressOfAModelReachesTheAgentsAsAHold(t *testing.T) {
	s, _ := service(t)
	other, otherEnded := live(t, s, enrolled(t, s, "ward"), 0)
	st, ended := live(t, s, enrolled(t, s, "icu"), 0)
	asked(t, s, st, 1)
	for name, agent := range map[string]struct {
		*stream
		ended <-chan error
	}{"icu": {st, ended}, "ward": {other, otherEnded}} {
		for held, over := false, time.After(5*time.Second); !held; {
			select {
			case m := <-agent.out:
				for _, h := range m.GetHoldState().GetHolds() {
					held = h.GetKind() == controlv1.HoldScope_KIND_MODEL && h.GetValue() == "Dräger/Delta"
				}
			case err := <-agent.ended:
				t.Fatal(name, err)
			case <-over:
				t.Fatalf("%s heard of no hold", name)
			}
		}
	}
	_, holds, err := s.Store.HoldsInForce(t.Context())
	if err != nil || len(holds) != 1 || holds[0].PlacedBy != "controller" || holds[0].Version != 1 {
		t.Errorf("%+v %v", holds, err)
	}
	if err := s.Store.LiftHold(t.Context(), holds[0].ID, "a", "looked at both", store.Audit{At: time.Now(), Actor: "a"}); err != nil {
		t.Fatal(err)
	}
	ses := &session{Service: s}
	if err := ses.weigh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, holds, err := s.Store.HoldsInForce(t.Context()); err != nil || len(holds) != 0 {
		t.Errorf("a hold that was lifted came again for the same cases: %+v %v", holds, err)
	}
}

// G10, H-037: a device that is in distress by what one agent saw is asked by no agent, that one or another, under no tag, until a person
// has cleared it.
func TestADeviceInDistressIsAskedByNoAgent(t *testing.T) {
	s, _ := service(t)
	tell := confirmed(t, s)
	p := devices(t, s, 3)
	now := time.Now()
	twins := []store.Device{{Tag: "10-0", Cells: map[string]string{"asset_tag": "10-0", "mac": "02:00:00:00:00:01"}}, {Tag: "10-2", Cells: map[string]string{"asset_tag": "10-2", "mac": "02:00:00:00:00:01"}}}
	if _, err := s.Store.PutDevices(t.Context(), twins, nil, store.Audit{At: now, Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Store.Dispatch(t.Context(), store.Order{ID: "orders/1", Run: "r", Agent: "icu", Epoch: 1}, []store.Sending{{Item: 0, Permit: "p0"}}, now); err != nil {
		t.Fatal(err)
	}
	out := outcomeOf("orders/1", 0, "p0", "10-0")
	out.Result.State = evidence.Distress
	tell(out)
	l := &loaded{plan: p, said: map[string]string{}}
	free := func(agent string) []int {
		t.Helper()
		got, err := (&session{Service: s, agent: agent}).well(t.Context(), "r", l, []int{0, 1, 2})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := free("ward"); !slices.Equal(got, []int{1}) {
		t.Errorf("another agent may ask %v", got)
	}
	tasks, err := s.Store.Tasks(t.Context(), "r", -1, 0)
	if err != nil || tasks[2].State != "QUEUED" || tasks[2].Reason != string(list.Quarantined) || !strings.Contains(tasks[2].Detail, "agents/icu") {
		t.Errorf("%+v %v", tasks, err)
	}
	if got := free("icu"); !slices.Equal(got, []int{1}) { // it would refuse by itself, but for one that was enrolled anew
		t.Errorf("the agent itself may ask %v", got)
	}
	if tasks, err = s.Store.Tasks(t.Context(), "r", -1, 0); err != nil || tasks[2].State != "REFUSED" || tasks[2].Reason != string(list.Quarantined) {
		t.Errorf("%+v %v", tasks, err)
	}
	if err := s.Store.PutClearance(t.Context(), store.Clearance{Permit: "p0", Device: "10-0", Agent: "icu", Document: []byte("{}"), Digest: []byte("d"), Signed: store.Signature{By: "a", Sig: []byte{1}}, At: now}, store.Audit{At: now, Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Store.AckClearance(t.Context(), "icu", []byte("d"), "", now); err != nil {
		t.Fatal(err)
	}
	if got := free("ward"); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("after a person has cleared it: %v", got)
	}
}

// A person has cleared a device, and its agent has not taken the word yet, as when it comes with a session in which the approved time has begun:
// the question waits for it, and says for whom; it is not refused for good. The tag that the word is about is named.
func TestAClearanceThatIsOnItsWayIsWaitedFor(t *testing.T) {
	s, _ := service(t)
	tell := confirmed(t, s)
	p := devices(t, s, 3)
	now := time.Now()
	twins := []store.Device{{Tag: "10-0", Cells: map[string]string{"asset_tag": "10-0", "mac": "02:00:00:00:00:01"}}, {Tag: "10-2", Cells: map[string]string{"asset_tag": "10-2", "mac": "02:00:00:00:00:01"}}}
	if _, err := s.Store.PutDevices(t.Context(), twins, nil, store.Audit{At: now, Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Store.Dispatch(t.Context(), store.Order{ID: "orders/1", Run: "r", Agent: "icu", Epoch: 1}, []store.Sending{{Item: 0, Permit: "p0"}}, now); err != nil {
		t.Fatal(err)
	}
	out := outcomeOf("orders/1", 0, "p0", "10-0")
	out.Result.State = evidence.Distress
	tell(out)
	asked := func(agent, state, words string) {
		t.Helper()
		got, err := (&session{Service: s, agent: agent}).well(t.Context(), "r", &loaded{plan: p, said: map[string]string{}}, []int{2})
		if err != nil || len(got) != 0 {
			t.Fatalf("%v %v", got, err)
		}
		tasks, err := s.Store.Tasks(t.Context(), "r", -1, 0)
		if err != nil || tasks[2].State != state || !strings.Contains(tasks[2].Detail, words) {
			t.Errorf("%s: %s %q %v", agent, tasks[2].State, tasks[2].Detail, err)
		}
	}
	asked("ward", "QUEUED", "when agents/icu asked it as 10-0, and nobody has cleared it")
	if err := s.Store.PutClearance(t.Context(), store.Clearance{Permit: "p0", Device: "10-0", Agent: "icu", Document: []byte("{}"), Digest: []byte("d"), Signed: store.Signature{By: "a", Sig: []byte{1}}, At: now}, store.Audit{At: now, Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	asked("ward", "QUEUED", "10-0 was cleared, and agents/icu has not taken that yet")
	asked("icu", "QUEUED", "10-0 was cleared, and agents/icu has not taken that yet")
	if err := s.Store.AckClearance(t.Context(), "icu", []byte("d"), "LIST_UNTRUSTED", now); err != nil {
		t.Fatal(err)
	}
	asked("icu", "REFUSED", "when it was asked before as 10-0, and nobody has cleared it")
}
