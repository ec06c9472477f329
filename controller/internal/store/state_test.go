package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAnImportIsTakenWholeOrNotAtAll(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	row := func(tag, model string) Device { return Device{Tag: tag, Cells: map[string]string{"model": model}} }
	n, err := s.PutDevices(ctx, []Device{row("1", "a"), row("2", "a")}, &Request{Caller: "tool", ID: "x", Body: [32]byte{1}}, act(0))
	if no(t, err); n != (Counts{Created: 2}) {
		t.Errorf("first import: %+v", n)
	}
	if would, err := s.WouldPut(ctx, []Device{row("1", "a"), row("2", "b"), row("3", "a")}); err != nil || would != (Counts{Created: 1, Updated: 1, Unchanged: 1}) {
		t.Fatalf("what an import would do: %+v, %v", would, err)
	}
	n, err = s.PutDevices(ctx, []Device{row("1", "a"), row("2", "b"), row("3", "a")}, nil, act(1))
	if no(t, err); n != (Counts{Created: 1, Updated: 1, Unchanged: 1}) {
		t.Errorf("second import: %+v", n)
	}
	// the request is refused at the end of the change, when every row has been written
	_, err = s.PutDevices(ctx, []Device{row("2", "z"), row("4", "z")}, &Request{Caller: "tool", ID: "x", Body: [32]byte{2}}, act(2))
	is(t, "another body", err, ErrRequest)
	have, err := s.Devices(ctx, "", 0)
	no(t, err)
	if diff := cmp.Diff([]Device{row("1", "a"), row("2", "b"), row("3", "a")}, have); diff != "" {
		t.Errorf("half of the import stayed: %s", diff)
	}
	if acts, err := s.VerifyAudit(ctx); err != nil || acts != 2 {
		t.Errorf("%d acts in the trail: %v", acts, err)
	}
}

func TestARunEndsAsItsTasksDid(t *testing.T) {
	for name, c := range map[string]struct {
		send int      // tasks that are dispatched
		ends []string // of those that are told of
		want string
	}{
		"nothing was ever sent":     {0, nil, "EXPIRED"},
		"some were not sent":        {1, []string{"ANSWERED"}, "PARTIAL"},
		"all have a proper end":     {3, []string{"ANSWERED", "ABSENT", "BUSY"}, "SUCCEEDED"},
		"one was in distress":       {3, []string{"ANSWERED", "DISTRESS", "ANSWERED"}, "PARTIAL"},
		"of one nobody knows":       {3, []string{"ANSWERED", "ANSWERED"}, "PARTIAL"},
		"of all of them none knows": {3, nil, "PARTIAL"},
		"all were refused":          {3, []string{"REFUSED", "REFUSED", "REFUSED"}, "EXPIRED"},
		"refused, or never sent":    {1, []string{"REFUSED"}, "EXPIRED"},
		"one was asked":             {3, []string{"REFUSED", "ABSENT", "REFUSED"}, "SUCCEEDED"},
	} {
		t.Run(name, func(t *testing.T) {
			s, a := withAgent(t)
			ctx := t.Context()
			var sendings []Sending
			for i := range c.send {
				sendings = append(sendings, Sending{i, string(rune('p' + i))})
			}
			if c.send > 0 {
				no(t, s.Dispatch(ctx, order("o1", a.Epoch, 0), sendings, at(4)))
			}
			b := Batch{Agent: "icu", Epoch: a.Epoch, Incarnation: a.Incarnation, To: uint64(len(c.ends)), Hash: []byte{9}, At: at(6)}
			for i, end := range c.ends {
				b.Records = append(b.Records, Record{Seq: uint64(i + 1), Kind: "outcome", Raw: []byte("raw")})
				b.Outcomes = append(b.Outcomes, Outcome{Seq: uint64(i + 1), Order: "o1", Ordinal: uint32(i), State: end, Touched: end != "REFUSED"})
			}
			no(t, s.TakeRecords(ctx, b))
			if changed, err := s.Settle(ctx, at(49), time.Minute); err != nil || changed {
				t.Errorf("settled before the approved time was over: %v", err)
			}
			if _, err := s.Settle(ctx, at(50), time.Minute); err != nil {
				t.Fatal(err)
			}
			// the grace of what was sent is a minute after the close, and not a second less
			if _, err := s.Settle(ctx, at(109), time.Minute); err != nil {
				t.Fatal(err)
			}
			r, err := s.Run(ctx, "r")
			if no(t, err); r.Tasks["DISPATCHED"] != c.send-len(c.ends) {
				t.Errorf("within the grace: %v", r.Tasks)
			}
			_, err = s.Settle(ctx, at(110), time.Minute)
			no(t, err)
			if r, err = s.Run(ctx, "r"); err != nil || r.State != c.want || r.Ended.IsZero() || r.Tasks["DISPATCHED"]+r.Tasks["QUEUED"] != 0 {
				t.Errorf("%s %v %v", r.State, r.Tasks, err)
			}
		})
	}
}

// A run that ended without knowing of some tasks says how it went once the agent has told.
func TestLateOutcomesTellHowARunWent(t *testing.T) {
	for name, c := range map[string]struct {
		late []string
		want string
	}{
		"some come":                 {[]string{"ANSWERED", "ANSWERED"}, "PARTIAL"},
		"all come":                  {[]string{"ANSWERED", "ABSENT", "ANSWERED"}, "SUCCEEDED"},
		"all come, one had trouble": {[]string{"ANSWERED", "DISTRESS", "ANSWERED"}, "PARTIAL"},
		"all come, none was asked":  {[]string{"REFUSED", "REFUSED", "REFUSED"}, "EXPIRED"},
	} {
		for _, cancelled := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", cancelled ", cancelled), func(t *testing.T) {
				s, a := withAgent(t)
				ctx := t.Context()
				no(t, s.Dispatch(ctx, order("o1", a.Epoch, 0), []Sending{{0, "p"}, {1, "q"}, {2, "r"}}, at(4)))
				want := c.want
				if cancelled {
					_, err := s.CancelRun(ctx, "r", "made for a test", act(5))
					no(t, err)
					want = "CANCELLED"
				}
				_, err := s.Settle(ctx, at(50).Add(time.Hour), time.Minute)
				no(t, err)
				b := Batch{Agent: "icu", Epoch: a.Epoch, Incarnation: a.Incarnation, To: uint64(len(c.late)), Hash: []byte{9}, At: at(50).Add(2 * time.Hour)}
				for i, end := range c.late {
					b.Records = append(b.Records, Record{Seq: uint64(i + 1), Kind: "outcome", Raw: []byte("raw")})
					b.Outcomes = append(b.Outcomes, Outcome{Seq: uint64(i + 1), Order: "o1", Ordinal: uint32(i), State: end, Touched: end != "REFUSED"})
				}
				no(t, s.TakeRecords(ctx, b))
				if r, err := s.Run(ctx, "r"); err != nil || r.State != want {
					t.Errorf("%s, not %s: %v %v", r.State, want, r.Tasks, err)
				}
			})
		}
	}
}

func TestFatesOfANewSession(t *testing.T) {
	s, a := withAgent(t)
	ctx := t.Context()
	no(t, s.Dispatch(ctx, order("o1", a.Epoch, 0), []Sending{{0, "p0"}, {1, "p1"}, {2, "p2"}}, at(4)))
	b := s.session(t, a.Incarnation, a.Epoch, 0, func(_ Agent, retired bool, tasks []Dispatched) (bool, []Fate, string) {
		if retired || len(tasks) != 3 {
			t.Errorf("retired %v, tasks %v", retired, tasks)
		}
		return false, []Fate{Wait, Again}, "nobody knows" // none for the third: it is lost
	})
	tasks, err := s.Tasks(ctx, "r", -1, 0)
	no(t, err)
	var got []string
	for _, x := range tasks {
		got = append(got, x.State+" "+x.Detail)
	}
	if diff := cmp.Diff([]string{"DISPATCHED ", "QUEUED ", "UNKNOWN nobody knows"}, got); diff != "" {
		t.Error(diff)
	}
	// a person cancels, and the journal says that the first was never begun: it is not sent anew
	orders, err := s.CancelRun(ctx, "r", "stop", act(5))
	no(t, err)
	out, err := s.CancelledOrders(ctx, "icu")
	if no(t, err); len(orders) != 1 || len(out) != 1 || out[0] != "o1" {
		t.Errorf("orders %v, out %v", orders, out)
	}
	s.session(t, a.Incarnation, b.Epoch, 0, func(_ Agent, _ bool, tasks []Dispatched) (bool, []Fate, string) {
		return false, []Fate{Again}, ""
	})
	r, err := s.Run(ctx, "r")
	if no(t, err); r.State != "CANCELLED" || r.Tasks["STOPPED"] != 2 || r.Tasks["UNKNOWN"] != 1 {
		t.Errorf("%s %v", r.State, r.Tasks)
	}
}

func TestAnotherJournalHasAcknowledgedNoHold(t *testing.T) {
	s, a := withAgent(t)
	ctx := t.Context()
	acked := func() uint64 {
		got, err := s.Agent(ctx, "icu")
		no(t, err)
		return got.HoldAcked
	}
	no(t, s.SetHoldAcked(ctx, "icu", a.Epoch, 7))
	b := s.session(t, a.Incarnation, a.Epoch, 0, nil)
	if acked() != 7 {
		t.Errorf("the same journal: %d", acked())
	}
	s.session(t, []byte("incarnation-two!"), b.Epoch, 0, nil)
	if acked() != 0 {
		t.Errorf("a new journal is said to hold what it never heard of: %d", acked())
	}
}

func TestASecretIsOfferedUntilItIsOnTheAgentAndItsNumberOnlyGrows(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	no(t, s.Enrol(ctx, Certificate{"1", "icu", at(9000)}, make([]byte, 32), at(0)))
	put := func(sealed string) uint64 {
		v, err := s.PutSecret(ctx, Secret{Agent: "icu", Device: "A", Kind: SecretCommunity, Sealed: []byte(sealed)}, act(1))
		no(t, err)
		return v
	}
	open := func() string {
		x, err := s.OpenSecrets(ctx, "icu")
		if no(t, err); len(x) == 0 {
			return ""
		}
		return string(x[0].Sealed)
	}
	_, err := s.PutSecret(ctx, Secret{Agent: "ward", Device: "A", Kind: SecretCommunity, Sealed: []byte("x")}, act(1))
	is(t, "an agent that is not enrolled", err, ErrNotFound)
	one := put("one")
	no(t, s.AckSecret(ctx, Secret{Agent: "icu", Device: "A", Kind: SecretCommunity, Version: one}, "it does not open"))
	if open() != "one" {
		t.Error("a refused secret is not offered again")
	}
	no(t, s.AckSecret(ctx, Secret{Agent: "icu", Device: "A", Kind: SecretCommunity, Version: one}, ""))
	if open() != "" {
		t.Error("an acknowledged secret is offered again")
	}
	two := put("two")
	no(t, s.AckSecret(ctx, Secret{Agent: "icu", Device: "A", Kind: SecretCommunity, Version: one}, ""))
	if two <= one || open() != "two" {
		t.Errorf("an ack of %d for %d: offered %q", one, two, open())
	}
	no(t, s.Enrol(ctx, Certificate{"2", "icu", at(9000)}, make([]byte, 32), at(2)))
	no(t, s.AckSecret(ctx, Secret{Agent: "icu", Device: "A", Kind: SecretCommunity, Version: two}, "it does not open"))
	if open() != "" {
		t.Error("a secret that nobody can open is offered")
	}
	if three := put("three"); three <= two || open() != "three" {
		t.Errorf("after another enrolment: number %d after %d, offered %q", three, two, open())
	}
}

func TestOnlyALargerReleaseFollows(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	_, err := s.NewestRelease(ctx)
	is(t, "none", err, ErrNotFound)
	no(t, s.PutRelease(ctx, Release{Number: 4, Digest: []byte{4}, Bundle: []byte{4}}, act(0)))
	for _, n := range []uint64{3, 4} {
		is(t, "not larger", s.PutRelease(ctx, Release{Number: n, Digest: []byte{9}, Bundle: []byte{9}}, act(1)), ErrState)
	}
	no(t, s.PutRelease(ctx, Release{Number: 9, Digest: []byte{5}, Bundle: []byte{5}}, act(2)))
	if r, err := s.NewestRelease(ctx); err != nil || r.Number != 9 || r.Digest[0] != 5 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestATokenOfTheSameNameEndsTheOneBefore(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	no(t, s.PutToken(ctx, Token{[]byte("h1"), "mara", "operator"}, act(0)))
	no(t, s.PutToken(ctx, Token{[]byte("h2"), "mara", "viewer"}, act(1)))
	_, err := s.TokenByHash(ctx, []byte("h1"))
	is(t, "replaced", err, ErrNotFound)
	got, err := s.TokenByHash(ctx, []byte("h2"))
	if no(t, err); got.Role != "viewer" {
		t.Errorf("%+v", got)
	}
	is(t, "the hash of another", s.PutToken(ctx, Token{[]byte("h2"), "jonas", "viewer"}, act(2)), ErrExists)
	if n, err := s.TokenCount(ctx); err != nil || n != 1 {
		t.Errorf("%d tokens: %v", n, err)
	}
}

func TestAStandingApprovalIsKeptOnceAndHasItsTime(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	x := Standing{Name: "s", Caller: "tool", Document: []byte{1}, From: at(10), Until: at(20), PerDay: 3, Signatures: []Signature{{"a", []byte{1}}}}
	no(t, s.PutStanding(ctx, x, act(0)))
	is(t, "twice", s.PutStanding(ctx, x, act(0)), ErrExists)
	for second, n := range map[int]int{9: 0, 10: 1, 19: 1, 20: 0} {
		got, err := s.StandingsOf(ctx, "tool", at(second))
		if no(t, err); len(got) != n {
			t.Errorf("second %d: %d", second, len(got))
		}
	}
	if got, err := s.StandingsOf(ctx, "another", at(15)); err != nil || len(got) != 0 {
		t.Errorf("another caller: %v %v", got, err)
	}
	got, err := s.Standing(ctx, "s")
	no(t, err)
	if diff := cmp.Diff(x, got); diff != "" {
		t.Error(diff)
	}
}

// What may have reached a device counts against the caller's budget; what certainly did not does not.
func TestTheBudgetCountsWhatWasOrWillBeSent(t *testing.T) {
	s, a := withAgent(t)
	ctx := t.Context()
	asked := func() int {
		n, err := s.AskedSince(ctx, "windows/w", at(0))
		no(t, err)
		return n
	}
	if asked() != 3 {
		t.Errorf("queued: %d", asked())
	}
	no(t, s.Dispatch(ctx, order("o1", a.Epoch, 0), []Sending{{0, "p0"}}, at(4)))
	no(t, s.RefuseQueued(ctx, "r", "HELD", "a hold", at(5)))
	if asked() != 1 {
		t.Errorf("one sent, two refused: %d", asked())
	}
	_, err := s.Settle(ctx, at(300), time.Minute)
	no(t, err)
	if asked() != 1 {
		t.Errorf("of which nobody knows: %d", asked())
	}
	if n, err := s.AskedSince(ctx, "windows/w", at(4)); err != nil || n != 0 {
		t.Errorf("a day later: %d %v", n, err)
	}
}

// A question that was stopped in its middle has reached the device, and one whose connection was being made may have.
func TestTheBudgetCountsWhatWasStoppedAfterItsFirstOctet(t *testing.T) {
	s, a := withAgent(t)
	ctx := t.Context()
	no(t, s.Dispatch(ctx, order("o1", a.Epoch, 0), []Sending{{0, "p0"}, {1, "p1"}, {2, "p2"}}, at(4)))
	no(t, s.TakeRecords(ctx, Batch{Agent: "icu", Epoch: a.Epoch, Incarnation: a.Incarnation, To: 1, Hash: []byte("h"), At: at(6), Outcomes: []Outcome{
		{Order: "o1", Ordinal: 0, Permit: "p0", Device: "A", State: "STOPPED", Reason: "HELD", Asked: at(5), Messages: 1, Touched: true},
		{Order: "o1", Ordinal: 1, Permit: "p1", Device: "B", State: "STOPPED", Reason: "HELD", Asked: at(5), Touched: true},
		{Order: "o1", Ordinal: 2, Permit: "p2", Device: "C", State: "STOPPED", Reason: "HELD"}}}))
	if n, err := s.AskedSince(ctx, "windows/w", at(0)); err != nil || n != 2 {
		t.Errorf("%d: %v", n, err)
	}
}

// Calls that come together see the same budget, and only as many as it has left are carried out.
func TestABudgetIsSpentOnceByCallsThatComeTogether(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	no(t, s.Enrol(ctx, Certificate{Serial: "1", Agent: "icu", Until: at(9000)}, make([]byte, 32), at(0)))
	no(t, s.PutStanding(ctx, Standing{Name: "s", Caller: "tool", Document: []byte{1}, From: at(0), Until: at(50), PerDay: 2, Signatures: []Signature{{"a", []byte{1}}}}, act(0)))
	for n, want := range []error{nil, nil, ErrBudget} {
		name := fmt.Sprint("call", n)
		p := Plan{Name: name, Caller: "tool", Agent: "icu", Opens: at(n), Closes: at(n + 20), Digest: []byte{byte(n)}, List: []byte{2}, Document: []byte{3}, State: Approved, Standing: "s"}
		r := Run{Name: name, Plan: name, Caller: "tool", Agent: "icu", Opens: p.Opens, Closes: p.Closes, State: "PENDING", Planned: 1}
		is(t, name, s.Fire(ctx, r, []Task{{Run: name, Device: "A", Kind: "snmp.get", Question: "q", State: "QUEUED"}}, &p, nil, act(n+1)), want)
		if _, err := s.Run(ctx, name); want != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("a run beyond the budget: %v", err)
		}
	}
}

func TestAHeldRunIsDueAgainAndASkippedOneIsNot(t *testing.T) {
	s, _ := withAgent(t)
	ctx := t.Context()
	for _, c := range []struct {
		second int
		skip   map[string]bool
		due    bool
	}{{-1, nil, false}, {0, nil, true}, {49, nil, true}, {49, map[string]bool{"r": true}, false}, {50, nil, false}} {
		r, tasks, err := s.Due(ctx, "icu", at(c.second), c.skip, 2)
		if c.due && (err != nil || r.Name != "r" || len(tasks) != 2 || tasks[0].Item != 0) || !c.due && !errors.Is(err, ErrNotFound) {
			t.Errorf("second %d: %s %v %v", c.second, r.Name, tasks, err)
		}
	}
	if _, _, err := s.Due(ctx, "ward", at(1), nil, 2); !errors.Is(err, ErrNotFound) {
		t.Errorf("another agent: %v", err)
	}
}

func TestADeviceRestsAfterEveryVisitEvenOneThatNoTaskOwns(t *testing.T) {
	s, a := withAgent(t)
	ctx := t.Context()
	no(t, s.Dispatch(ctx, order("o1", a.Epoch, 0), []Sending{{0, "p0"}}, at(4)))
	for i, o := range []struct {
		asked int
		state string
		visit time.Time
	}{{6, "ABSENT", at(6)}, {9, "ANSWERED", at(9)}, {7, "ANSWERED", at(9)}} {
		seq := uint64(i + 1)
		no(t, s.TakeRecords(ctx, Batch{Agent: "icu", Epoch: a.Epoch, Incarnation: a.Incarnation, From: seq - 1, To: seq, Hash: []byte{9}, At: at(10),
			Records:  []Record{{Seq: seq, Kind: "outcome", Raw: []byte("raw")}},
			Outcomes: []Outcome{{Seq: seq, Order: "o1", Permit: "p0", Device: "A", State: o.state, Asked: at(o.asked), Messages: 1, Touched: true}}}))
		if v, err := s.Visits(ctx, "A"); err != nil || len(v) != 1 || !v[0].At.Equal(o.visit) {
			t.Errorf("after record %d: %v %v", seq, v, err)
		}
	}
	if q, err := s.Quarantine(ctx, "icu"); err != nil || len(q) != 2 {
		t.Errorf("quarantine: %v %v", q, err)
	}
	if r, err := s.Run(ctx, "r"); err != nil || r.Tasks["ABSENT"] != 1 {
		t.Errorf("the first outcome did not stay: %v %v", r.Tasks, err)
	}
}

// A device in distress is told of until its agent has taken an approver's word, and each word is sent until then.
func TestADistressIsOpenUntilItsClearanceWasTaken(t *testing.T) {
	s, a := withAgent(t)
	ctx := t.Context()
	no(t, s.Dispatch(ctx, order("o1", a.Epoch, 0), []Sending{{0, "p"}, {1, "q"}}, at(4)))
	b := Batch{Agent: "icu", Epoch: a.Epoch, Incarnation: a.Incarnation, To: 2, Hash: []byte{9}, At: at(6), Records: []Record{{Seq: 1, Kind: "outcome", Raw: []byte("raw")}, {Seq: 2, Kind: "outcome", Raw: []byte("raw")}},
		Outcomes: []Outcome{{Seq: 1, Order: "o1", Ordinal: 0, State: "DISTRESS", Detail: "it fell silent", Touched: true}, {Seq: 2, Order: "o1", Ordinal: 1, State: "INCIDENT", Reason: "CREDENTIAL_REFUSED", Touched: true}}}
	no(t, s.TakeRecords(ctx, b))
	tasks, err := s.Tasks(ctx, "r", -1, 0)
	no(t, err)
	device := tasks[0].Device
	if wrong, err := s.Distresses(ctx, tasks[1].Device); err != nil || tasks[1].Device == device || len(wrong) != 0 {
		t.Errorf("a wrong credential says nothing against the device: %+v %v", wrong, err)
	}
	open := func(want int, clearing bool, problem string) {
		t.Helper()
		all, err := s.Distresses(ctx, device)
		if no(t, err); len(all) != want {
			t.Fatalf("%d distresses, not %d: %+v", len(all), want, all)
		}
		for _, d := range all {
			if d.Permit != "p" || d.Agent != "icu" || d.State != "DISTRESS" || d.Detail != "it fell silent" || d.Clearing != clearing || d.Problem != problem {
				t.Errorf("%+v", d)
			}
		}
	}
	open(1, false, "")
	word := func(digest string) Clearance {
		return Clearance{Permit: "p", Device: device, Agent: "icu", Document: []byte("doc " + digest), Digest: []byte(digest), Signed: Signature{By: "head", Sig: []byte{1}}, At: at(7)}
	}
	no(t, s.PutClearance(ctx, word("1"), act(7)))
	is(t, "a second word", s.PutClearance(ctx, word("2"), act(7)), ErrExists)
	open(1, true, "")
	waiting, err := s.OpenClearances(ctx, "icu")
	if no(t, err); len(waiting) != 1 || string(waiting[0].Document) != "doc 1" || waiting[0].Signed.By != "head" {
		t.Errorf("%+v", waiting)
	}
	no(t, s.AckClearance(ctx, "ward", []byte("1"), "", at(8))) // another agent says nothing of it
	no(t, s.AckClearance(ctx, "icu", []byte("1"), "refused", at(8)))
	open(1, false, "refused")
	if waiting, err := s.OpenClearances(ctx, "icu"); err != nil || len(waiting) != 0 {
		t.Errorf("sent again after it was refused: %+v %v", waiting, err)
	}
	no(t, s.PutClearance(ctx, word("2"), act(9)))
	no(t, s.AckClearance(ctx, "icu", []byte("1"), "", at(9))) // of the word before
	open(1, true, "")
	no(t, s.AckClearance(ctx, "icu", []byte("2"), "", at(9)))
	open(0, false, "")
	is(t, "a word too many", s.PutClearance(ctx, word("3"), act(10)), ErrExists)
}

// H-003: a device that moved is known with both places until it is asked where it should be, or the inventory has another
// address of it.
func TestADeviceThatMovedIsKnownWithBothPlacesUntilItIsFound(t *testing.T) {
	s, a := withAgent(t)
	ctx := t.Context()
	put := func(ip string) {
		t.Helper()
		_, err := s.PutDevices(ctx, []Device{{Tag: "A", Cells: map[string]string{"ip": ip}}, {Tag: "B", Cells: map[string]string{"ip": "10.0.0.2"}}}, nil, act(3))
		no(t, err)
	}
	put("10.0.0.1")
	no(t, s.Dispatch(ctx, order("o1", a.Epoch, 0), []Sending{{0, "p0"}, {1, "p1"}}, at(4)))
	seq := uint64(0)
	take := func(o Outcome) {
		t.Helper()
		seq++
		o.Seq, o.Order = seq, "o1"
		no(t, s.TakeRecords(ctx, Batch{Agent: "icu", Epoch: a.Epoch, Incarnation: a.Incarnation, From: seq - 1, To: seq, Hash: []byte{9}, At: at(10),
			Records: []Record{{Seq: seq, Kind: "outcome", Raw: []byte("raw")}}, Outcomes: []Outcome{o}}))
	}
	take(Outcome{Device: "A", State: "REFUSED", Reason: "ADDRESS_MOVED", Seen: "10.0.0.9", Detail: "the lease says so"})
	take(Outcome{Ordinal: 1, Device: "B", State: "REFUSED", Reason: "ADDRESS_NOT_PROVEN"})
	want := []Moved{{Tag: "A", IP: "10.0.0.1", Seen: "10.0.0.9", Detail: "the lease says so", Run: "r", At: at(10)}}
	got, err := s.Moved(ctx, "")
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if got, err := s.Moved(ctx, "B"); len(got) != 0 || err != nil {
		t.Errorf("one whose place is not known: %v %v", got, err)
	}
	put("10.0.0.9")
	if got, err := s.Moved(ctx, ""); len(got) != 0 || err != nil {
		t.Errorf("with the new address in the inventory: %v %v", got, err)
	}
	put("10.0.0.1")
	no(t, s.Dispatch(ctx, order("o2", a.Epoch, 0), []Sending{{2, "p2"}}, at(11)))
	_, err = s.w.ExecContext(ctx, `UPDATE task SET device = 'A' WHERE item = 2`)
	no(t, err)
	seq++
	no(t, s.TakeRecords(ctx, Batch{Agent: "icu", Epoch: a.Epoch, Incarnation: a.Incarnation, From: seq - 1, To: seq, Hash: []byte{9}, At: at(12),
		Records:  []Record{{Seq: seq, Kind: "outcome", Raw: []byte("raw")}},
		Outcomes: []Outcome{{Seq: seq, Order: "o2", Device: "A", State: "ANSWERED", Asked: at(11), Messages: 1, Touched: true}}}))
	if got, err := s.Moved(ctx, ""); len(got) != 0 || err != nil {
		t.Errorf("asked at its address: %v %v", got, err)
	}
}

// What a person has cancelled while its agent was away, and the agent never began, says so.
func TestACancelledQuestionThatWasNeverBegunSaysWhy(t *testing.T) {
	s, a := withAgent(t)
	ctx := t.Context()
	no(t, s.Dispatch(ctx, order("o1", a.Epoch, 0), []Sending{{0, "p0"}}, at(4)))
	_, err := s.CancelRun(ctx, "r", "the wrong ward", act(5))
	no(t, err)
	b := s.session(t, a.Incarnation, a.Epoch, 0, nil)
	_, err = s.Resume(ctx, "icu", b.Epoch, func(string, uint32) bool { return false }, false, at(6))
	no(t, err)
	tasks, err := s.Tasks(ctx, "r", -1, 0)
	no(t, err)
	for _, x := range tasks {
		if x.State != "STOPPED" || x.Reason != "STOPPED" || x.Detail != "the wrong ward" || x.Finished.IsZero() {
			t.Errorf("%+v", x)
		}
	}
}

// An agent whose clock is wrong by years, or that lies, keeps no device from everybody else for as long: what it tells has happened by the time
// that it is told.
func TestARecordOfTheFutureMakesNoLongerRestThanOneOfNow(t *testing.T) {
	s, a := withAgent(t)
	ctx := t.Context()
	far := at(0).AddDate(70, 0, 0)
	no(t, s.Dispatch(ctx, order("o1", a.Epoch, 0), []Sending{{0, "p0"}, {1, "p1"}}, at(4)))
	no(t, s.TakeRecords(ctx, Batch{Agent: "icu", Epoch: a.Epoch, Incarnation: a.Incarnation, To: 1, Hash: []byte("h"), At: at(6),
		Begun:    []Begun{{Order: "o1", Ordinal: 1, Device: "B", Question: "q", At: far}, {Order: "elsewhere", Device: "Z", Question: "q", At: far}},
		Outcomes: []Outcome{{Order: "o1", Ordinal: 0, Permit: "p0", Device: "A", State: "ANSWERED", Asked: far, Messages: 1, Touched: true}}}))
	_, err := s.Settle(ctx, at(200), 2*time.Minute)
	no(t, err)
	if x, err := s.Answers(ctx, "A"); err != nil || len(x) != 1 || !x[0].At.Equal(at(6)) { // a later answer would else never take its place
		t.Errorf("%+v %v", x, err)
	}
	for _, tag := range []string{"A", "B", "Z"} {
		if last, err := s.LastAsked(ctx, []string{tag}, "q"); err != nil || !last.At.Equal(at(6)) {
			t.Errorf("%s was asked at %s: %v", tag, last.At, err)
		}
	}
}

// A question of which nobody knew for a while whether it was asked, and that was not, leaves the device as it was asked the time before.
func TestWhatWasNotAskedAfterAllLeavesTheTimeBefore(t *testing.T) {
	s, a := withAgent(t)
	ctx := t.Context()
	take := func(from uint64, o Outcome) {
		t.Helper()
		no(t, s.TakeRecords(ctx, Batch{Agent: "icu", Epoch: a.Epoch, Incarnation: a.Incarnation, From: from, To: from + 1, Hash: []byte("h"), At: at(6), Outcomes: []Outcome{o}}))
	}
	no(t, s.Dispatch(ctx, order("o1", a.Epoch, 0), []Sending{{0, "p0"}}, at(4)))
	take(0, Outcome{Order: "o1", Permit: "p0", Device: "A", State: "ANSWERED", Asked: at(5), Messages: 1, Touched: true})
	p := Plan{Name: "p2", Caller: "windows/v", Agent: "icu", Opens: at(10), Closes: at(50), Digest: []byte{9}, List: []byte{2}, Document: []byte{3}, State: Approved}
	r := Run{Name: "r2", Plan: "p2", Caller: p.Caller, Agent: "icu", Opens: p.Opens, Closes: p.Closes, State: "PENDING", Planned: 1}
	no(t, s.Fire(ctx, r, []Task{{Run: "r2", Device: "A", Kind: "snmp.get", Question: "q", State: "QUEUED"}}, &p, nil, act(11)))
	no(t, s.Dispatch(ctx, Order{ID: "o2", Run: "r2", Agent: "icu", Epoch: a.Epoch}, []Sending{{0, "p1"}}, at(12)))
	_, err := s.Settle(ctx, at(200), 2*time.Minute)
	no(t, err)
	take(1, Outcome{Order: "o2", Permit: "p1", Device: "A", State: "REFUSED", Reason: "HELD"})
	v, err := s.Visits(ctx, "A")
	if no(t, err); len(v) != 1 || !v[0].At.Equal(at(5)) || v[0].State != "ANSWERED" || v[0].Run != "r" {
		t.Errorf("%+v", v)
	}
}
