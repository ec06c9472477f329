package dispatch

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"primum/controller/internal/ingest"
	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// DESIGN 6.9: a question that is new to a model reaches one of its devices, then five, then a quarter, then the rest,
// each after the wave before was well for its watch; with a device in distress nothing goes further.
func TestAQuestionThatIsNewToAModelReachesItsDevicesInWaves(t *testing.T) {
	for name, c := range map[string]struct {
		ends evidence.State // of the device 10-3, in the second wave
		why  list.Reason
		want []int
	}{
		"all are well":          {evidence.Answered, "", []int{1, 0, 5, 0, 4, 0, 30, 0}},
		"one is absent":         {evidence.Absent, "", []int{1, 0, 5, 1, 0, 4, 0, 29, 0}},
		"one is in distress":    {evidence.Distress, "", []int{1, 0, 5, 0, 0, 0}},
		"one is of an incident": {evidence.Incident, "", []int{1, 0, 5, 0, 0, 0}},
		// it says nothing of the device, and there is nothing that a person could clear
		"one takes no credential": {evidence.Incident, list.CredentialRefused, []int{1, 0, 5, 1, 0, 4, 0, 29, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			s, r := service(t)
			past := time.Duration(0)
			s.Now = func() time.Time { return time.Now().Add(past) }
			tell := confirmed(t, s)
			p := devices(t, s, 40)
			ses := &session{Service: s, agent: "icu", epoch: 1}
			l := &loaded{plan: p, members: members(p, r.List), proven: map[string]bool{}, said: map[string]string{}}
			for step, want := range c.want {
				queued := queued(t, s)
				now, in, err := ses.waves(t.Context(), "r", l, queued)
				if err != nil || len(now) != want {
					t.Fatalf("step %d: %d devices, not %d: %v", step, len(now), want, err)
				}
				if want == 0 { // the watch goes by
					past += r.List.Site().Watch() + 100*time.Millisecond
					if len(queued) > 0 && l.said[l.members[0].wave] == "" {
						t.Errorf("step %d: it does not say why", step)
					}
					continue
				}
				var sendings []store.Sending
				for _, item := range now {
					sendings = append(sendings, store.Sending{Item: item, Permit: fmt.Sprintf("p%d", item)})
				}
				order := store.Order{ID: fmt.Sprintf("orders/%d", step), Run: "r", Agent: "icu", Epoch: 1, Waves: in}
				if err := s.Store.Dispatch(t.Context(), order, sendings, time.Now()); err != nil {
					t.Fatal(err)
				}
				if again, _, err := ses.waves(t.Context(), "r", l, queued[1:]); err != nil || len(again) != 0 && want < 29 {
					t.Errorf("step %d: %d more while they are under way: %v", step, len(again), err)
				}
				for i, item := range now {
					end, why := evidence.Answered, list.Reason("")
					if p.Items[item].Device.ID == "10-3" {
						end, why = c.ends, c.why
					}
					out := outcomeOf(order.ID, i, sendings[i].Permit, p.Items[item].Device.ID)
					out.Result.State, out.Result.Reason = end, why
					tell(out)
				}
			}
		})
	}
}

// Two agents at one site are in the same waves: the order that was quicker counts, the other one is made anew.
func TestTwoOrdersOfOneWaveDoNotGoOutTogether(t *testing.T) {
	s, r := service(t)
	confirmed(t, s)
	p := devices(t, s, 40)
	ses := &session{Service: s, agent: "icu", epoch: 1}
	l := &loaded{plan: p, members: members(p, r.List), proven: map[string]bool{}, said: map[string]string{}}
	_, in, err := ses.waves(t.Context(), "r", l, []int{0})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, store.ErrState} {
		w := []store.Wave{{Name: in[0].Name, Sent: in[0].Sent, Items: map[int]string{i: p.Items[i].Device.ID}}}
		if err := s.Store.Dispatch(t.Context(), store.Order{ID: fmt.Sprint("orders/", i), Run: "r", Agent: "icu", Epoch: 1, Waves: w},
			[]store.Sending{{Item: i, Permit: fmt.Sprint("p", i)}}, time.Now()); !errors.Is(err, want) {
			t.Errorf("order %d: %v, not %v", i, err, want)
		}
	}
}

// A list entry that changes, another firmware and another model are each in waves of their own; spelling is not.
func TestAModelsStandingEndsWithItsListEntryAndItsFirmware(t *testing.T) {
	s, r := service(t)
	p := devices(t, s, 6)
	p.Items[1].Device.Claims[0].Version = "2.0"
	p.Items[2].Device.Claims[0].Model = "Gamma"
	p.Items[3].Statements = []string{"another"}
	p.Items[4].Device.Claims[0].Manufacturer = " DRÄGER"
	m := members(p, r.List)
	for i, own := range []bool{1: true, 2: true, 3: true, 4: false, 5: false} {
		if i > 0 && (m[i].wave != m[0].wave) != own {
			t.Errorf("item %d", i)
		}
	}
}

// outcomeOf is the record of a device that has answered.
func outcomeOf(order string, ordinal int, permit, device string) evidence.Record {
	return evidence.Record{At: time.Now(), Kind: evidence.Outcome, Order: order, Ordinal: uint32(ordinal), Permit: permit, Device: device,
		Result: &evidence.Result{State: evidence.Answered, Detail: "made for a test", Messages: 1, Asked: time.Now()}}
}

func queued(t *testing.T, s *Service) (items []int) {
	t.Helper()
	tasks, err := s.Store.Tasks(t.Context(), "r", -1, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tasks {
		if x.State == "QUEUED" {
			items = append(items, x.Item)
		}
	}
	return items
}

// confirmed is an agent with a session that nobody serves: the test is the session. Each record that it returns a
// function for is taken in.
func confirmed(t *testing.T, s *Service) func(evidence.Record) {
	t.Helper()
	enrolled(t, s, "icu")
	o, err := s.Store.OpenSession(t.Context(), store.Opening{Agent: "icu", Incarnation: []byte("0123456789abcdef"), Plugins: []string{}, At: time.Now(),
		Judge: func(_ store.Agent, _ bool, tasks []store.Dispatched) (bool, []store.Fate, string) {
			return false, make([]store.Fate, len(tasks)), ""
		}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Store.ConfirmEpoch(t.Context(), "icu", o.Agent.Epoch, 0, time.Now()); err != nil {
		t.Fatal(err)
	}
	in, err := ingest.New(t.Context(), s.Store, o.Agent, evidenceSigner(t, "icu").Verifier())
	if err != nil {
		t.Fatal(err)
	}
	return journal(t, func(b *controlv1.RecordBatch) {
		if err := in.Take(t.Context(), b, s.Now()); err != nil {
			t.Fatal(err)
		}
	})
}
