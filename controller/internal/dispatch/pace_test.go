package dispatch

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
	list "primum/safetylists"
	"primum/safetylists/budget"
	"primum/safetylists/permit"
)

// paced is a session of an agent over a plan, with what its store says is out in the hand of the test.
type paced struct {
	ses *session
	l   *loaded
}

func newPaced(s *Service, agent string, items []permit.Item) *paced {
	return &paced{&session{Service: s, agent: agent, plans: map[string]*loaded{}}, &loaded{plan: permit.Plan{Site: "demo", Items: items}, said: map[string]string{}}}
}

func snmpOf(t *testing.T, tag, model, addr string, oids ...string) permit.Item {
	t.Helper()
	if oids == nil {
		oids = list.DefaultOIDs()
	}
	q, err := list.ParseQuery(list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: oids})
	if err != nil {
		t.Fatal(err)
	}
	return permit.Item{Query: q, Limits: q.DefaultLimits(), Device: list.Device{ID: tag, Address: netip.MustParseAddr(addr), Claims: []list.Claim{{Source: list.CMMS, Manufacturer: "Maker", Model: model}}}}
}

func echoOf(t *testing.T, tag, model, addr string) permit.Item {
	t.Helper()
	q, err := list.ParseQuery(list.QuerySpec{Kind: list.DICOMEcho, Port: 11112, CallingAE: "PRIMUM", CalledAE: "CT"})
	if err != nil {
		t.Fatal(err)
	}
	it := snmpOf(t, tag, model, addr)
	it.Query, it.Limits = q, q.DefaultLimits()
	return it
}

// full has the budgets of a real site, all of them full.
func full(p *pace) {
	p.began, p.budgets, p.out, p.lines = time.Now(), budget.New(list.Real), map[string]*paid{}, nil
}

// DESIGN 4.3, H-041: two agents of a site together ask no more of one model than one would: what either has under way, the other waits
// for. What has ended comes back with time, not at once.
func TestTwoAgentsOfASiteShareItsBudgets(t *testing.T) {
	s, _ := service(t)
	synctest.Test(t, func(t *testing.T) {
		full(&s.pace)
		var west, east []permit.Item
		for i := range 40 {
			west = append(west, snmpOf(t, fmt.Sprintf("1-%d", i), "Delta", fmt.Sprintf("10.1.%d.1", i)))
			east = append(east, snmpOf(t, fmt.Sprintf("2-%d", i), " DELTA", fmt.Sprintf("10.2.%d.1", i)))
		}
		a, b := newPaced(s, "west", west), newPaced(s, "east", east)
		all := numbers(40)
		first, _ := s.pace.take(a.ses, "a", a.l, all[:20], store.MaxOpen)
		second, why := s.pace.take(b.ses, "b", b.l, all, store.MaxOpen)
		if len(first) != 20 || len(second) != 4 {
			t.Fatalf("%d and %d questions are out", len(first), len(second))
		}
		if want := "it waits, for the packets of its model are spent"; len(why) != 1 || len(why[want]) != 36 {
			t.Errorf("it says %v", why)
		}
		time.Sleep(time.Minute)
		if more, _ := s.pace.take(a.ses, "a", a.l, all[20:], store.MaxOpen); len(more) != 0 {
			t.Errorf("%d more while 24 are under way", len(more))
		}
		s.pace.back(first)
		time.Sleep(standing + time.Second)
		if more, _ := s.pace.take(a.ses, "a", a.l, all[20:], store.MaxOpen); len(more) != 12 { // 6 s at 2 a second
			t.Errorf("%d more after 20 have ended", len(more))
		}
	})
}

// A dear question that waits is not overtaken for ever by cheap ones of another run; and one that does not come back keeps nobody waiting.
func TestADearQuestionKeepsItsPlaceInLine(t *testing.T) {
	s, _ := service(t)
	synctest.Test(t, func(t *testing.T) {
		full(&s.pace)
		var cheap []permit.Item
		for i := range 200 {
			cheap = append(cheap, snmpOf(t, fmt.Sprintf("1-%d", i), "Delta", fmt.Sprintf("10.1.%d.1", i)))
		}
		plan := newPaced(s, "west", cheap)
		call := newPaced(s, "east", []permit.Item{echoOf(t, "2-1", "Delta", "10.2.0.1")})
		asked := 0
		plans := func() {
			got, _ := s.pace.take(plan.ses, "plan", plan.l, numbers(200)[asked:], store.MaxOpen)
			asked += len(got)
			s.pace.back(got) // each has ended before the next look
		}
		plans()
		for second := range 60 {
			if got, _ := s.pace.take(call.ses, "call", call.l, []int{0}, store.MaxOpen); len(got) == 1 {
				if second > 5 { // a turn of the plan, and 8 packets at 2 a second
					t.Errorf("it waited %d s", second)
				}
				break
			}
			plans()
			if asked > 25 {
				t.Fatalf("after %d s it is overtaken by %d", second, asked-24)
			}
			time.Sleep(time.Second)
		}
		s.pace.take(call.ses, "another call", call.l, []int{0}, store.MaxOpen)
		time.Sleep(standing + time.Second)
		before := asked
		if plans(); asked == before {
			t.Error("who does not come back keeps its place")
		}
	})
}

// Two runs of which each waits for what the other one stands before: the one that came first goes on, and the other after it.
func TestTwoRunsInTwoLinesDoNotWaitForEachOther(t *testing.T) {
	s, _ := service(t)
	synctest.Test(t, func(t *testing.T) {
		full(&s.pace)
		spend := func(agent string, items ...permit.Item) {
			x := newPaced(s, agent, items)
			got, _ := s.pace.take(x.ses, agent, x.l, numbers(len(items)), store.MaxOpen)
			if len(got) != len(items) {
				t.Fatalf("%s: %d of %d", agent, len(got), len(items))
			}
			s.pace.back(got)
		}
		var subnet, model []permit.Item
		for i := range 24 { // all that the subnet has, and all that the model has, but for one packet of the model
			subnet = append(subnet, snmpOf(t, fmt.Sprintf("1-%d", i), fmt.Sprint("Other", i), fmt.Sprintf("10.1.1.%d", 10+i)))
			model = append(model, snmpOf(t, fmt.Sprintf("2-%d", i), "Delta", fmt.Sprintf("10.2.%d.1", i)))
		}
		spend("north", subnet...)
		a := newPaced(s, "west", []permit.Item{echoOf(t, "3-1", "Delta", "10.1.1.1")})
		b := newPaced(s, "east", []permit.Item{echoOf(t, "3-2", "Delta", "10.1.1.2")})
		s.pace.take(a.ses, "a", a.l, []int{0}, store.MaxOpen) // it waits for the subnet
		spend("south", model...)
		s.pace.budgets.Spend("", "", "", time.Since(s.pace.began))
		s.pace.take(b.ses, "b", b.l, []int{0}, store.MaxOpen) // it waits for the model
		done := map[string]bool{}
		for range 30 {
			time.Sleep(time.Second)
			for name, x := range map[string]*paced{"a": a, "b": b} {
				if done[name] {
					continue
				}
				got, _ := s.pace.take(x.ses, name, x.l, []int{0}, store.MaxOpen)
				done[name] = len(got) == 1
				s.pace.back(got)
			}
		}
		if !done["a"] || !done["b"] {
			t.Errorf("after half a minute: %v", done)
		}
	})
}

// What an earlier life of the controller has sent is under way for the next one, until it has ended or no agent may use it.
func TestARestartedControllerKnowsWhatIsOut(t *testing.T) {
	s, r := service(t)
	tell := confirmed(t, s)
	p := devices(t, s, 3)
	ses := &session{Service: s, agent: "icu", epoch: 1, plans: map[string]*loaded{}}
	sendings := []store.Sending{{Item: 0, Permit: "p0"}, {Item: 1, Permit: "p1"}}
	if err := s.Store.Dispatch(t.Context(), store.Order{ID: "orders/1", Run: "r", Agent: "icu", Epoch: 1}, sendings, time.Now()); err != nil {
		t.Fatal(err)
	}
	l := &loaded{plan: p, said: map[string]string{}}
	sort := func() {
		t.Helper()
		if _, err := s.pace.sort(t.Context(), ses, l, []int{2}); err != nil {
			t.Fatal(err)
		}
	}
	if sort(); len(s.pace.out) != 2 {
		t.Errorf("%d are out", len(s.pace.out))
	}
	tell(outcomeOf("orders/1", 0, "p0", p.Items[0].Device.ID))
	if sort(); len(s.pace.out) != 1 || s.pace.out["p1"] == nil {
		t.Errorf("after one has ended: %v", s.pace.out)
	}
	s.pace = pace{} // another life, within the gap of the one that has ended (H-020)
	sort()
	for item, kept := range map[int]bool{0: true, 1: true, 2: false} {
		if got := s.pace.elsewhere(visitOf(p, item, "ward"), time.Since(s.pace.began)); got != kept {
			t.Errorf("another agent is kept from device %d: %v", item, got)
		}
	}
	s.Now = func() time.Time { return time.Now().Add(outlived) }
	if r.ExpiredAt(s.Now()) {
		t.Fatal("the list has ended before")
	}
	if sort(); len(s.pace.out) != 0 {
		t.Errorf("after its permit has ended: %v", s.pace.out)
	}
}

// DESIGN 4.3: work takes turns over the subnets; within one its order stays.
func TestWorkTakesTurnsOverSubnets(t *testing.T) {
	var items []permit.Item
	for _, addr := range []string{"10.1.0.1", "10.1.0.2", "10.1.0.3", "10.2.0.1", "10.2.0.2", "10.3.0.1"} {
		items = append(items, snmpOf(t, addr, "Delta", addr))
	}
	if got := spread(permit.Plan{Items: items}, numbers(6)); !slices.Equal(got, []int{0, 3, 5, 1, 4, 2}) {
		t.Error(got)
	}
}

func numbers(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}

// DESIGN 4.3, H-020: one physical device is asked by one agent at a time, under whatever names, and the next one waits for its gap too.
func TestTwoAgentsDoNotAskOneDeviceTogether(t *testing.T) {
	s, _ := service(t)
	synctest.Test(t, func(t *testing.T) {
		full(&s.pace)
		a := newPaced(s, "west", []permit.Item{snmpOf(t, "1-1", "Delta", "10.1.0.1")})
		b := newPaced(s, "east", []permit.Item{snmpOf(t, "2-1", "Delta", "10.1.0.1")})
		first, _ := s.pace.take(a.ses, "a", a.l, []int{0}, store.MaxOpen)
		if len(first) != 1 || first[0].gap <= 0 {
			t.Fatalf("out: %+v", first)
		}
		if second, why := s.pace.take(b.ses, "b", b.l, []int{0}, store.MaxOpen); len(second) != 0 || len(why) != 1 {
			t.Errorf("while one agent asks, another is given %d questions for the device, and it says %v", len(second), why)
		}
		s.pace.back(first)
		time.Sleep(first[0].gap - 1)
		if second, _ := s.pace.take(b.ses, "b", b.l, []int{0}, store.MaxOpen); len(second) != 0 {
			t.Error("another agent asks within the gap")
		}
		time.Sleep(time.Nanosecond)
		if second, _ := s.pace.take(b.ses, "b", b.l, []int{0}, store.MaxOpen); len(second) != 1 {
			t.Error("another agent waits after the gap")
		}
	})
}

// G8, H-020: an agent that comes with another journal, as after its disk was lost, remembers no gap. The controller keeps those of what it was
// given before, and of no other agent's devices.
func TestAnAgentWithAnotherJournalKeepsTheGapsOfTheOneBefore(t *testing.T) {
	s, _ := service(t)
	cert := enrolled(t, s, "west")
	synctest.Test(t, func(t *testing.T) {
		full(&s.pace)
		items := []permit.Item{snmpOf(t, "1-1", "Delta", "10.1.0.1"), echoOf(t, "1-1", "Delta", "10.1.0.1"), snmpOf(t, "1-2", "Delta", "10.1.0.2")}
		a, b := newPaced(s, "west", items), newPaced(s, "east", items)
		asked, _ := s.pace.take(a.ses, "a", a.l, []int{0}, store.MaxOpen)
		others, _ := s.pace.take(b.ses, "b", b.l, []int{2}, store.MaxOpen)
		s.pace.back(append(asked, others...))
		if again, _ := s.pace.take(a.ses, "a", a.l, []int{1}, store.MaxOpen); len(again) != 1 {
			t.Fatal("an agent that knows its gaps waits for the controller's")
		} else {
			s.pace.back(again)
		}
		s.pace.forgets("west")
		if again, _ := s.pace.take(a.ses, "a", a.l, []int{1}, store.MaxOpen); len(again) != 0 {
			t.Error("an agent that knows no gap any more is given the device within it")
		}
		if again, _ := s.pace.take(b.ses, "b", b.l, []int{2}, store.MaxOpen); len(again) != 1 {
			t.Error("another agent forgets, too")
		}
		time.Sleep(items[1].Limits.Gap)
		if again, _ := s.pace.take(a.ses, "a", a.l, []int{1}, store.MaxOpen); len(again) != 1 {
			t.Error("it is not given the device after the gap")
		}
	})
	full(&s.pace)
	s.pace.askers = nil
	a := newPaced(s, "west", []permit.Item{snmpOf(t, "1-1", "Delta", "10.1.0.1")})
	for n, c := range []struct {
		incarnation string
		lsn         uint64
		given       int
	}{{"0123456789abcdef", 1, 1}, {"0123456789abcdef", 2, 1}, {"fedcba9876543210", 1, 0}} {
		st, ended := connect(t, s, cert, &controlv1.Hello{Incarnation: []byte(c.incarnation), JournalLsn: c.lsn})
		select {
		case <-st.out:
		case err := <-ended:
			t.Fatal(err)
		}
		taken, _ := s.pace.take(a.ses, "a", a.l, []int{0}, store.MaxOpen)
		if s.pace.back(taken); len(taken) != c.given {
			t.Errorf("session %d: the device is given to it %d times", n, len(taken))
		}
	}
}
