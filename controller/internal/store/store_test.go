package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func at(second int) time.Time { return time.Date(2026, 11, 24, 2, 0, second, 0, time.UTC) }

func act(second int) Audit { return Audit{At: at(second), Actor: "test", Verb: "do", Resource: "it"} }

func fresh(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func no(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, not %v", what, err, want)
	}
}

// withAgent has an agent with a confirmed session, and a run of three tasks that is due.
func withAgent(t *testing.T) (*Store, Agent) { return withTasks(t, 3) }

func withTasks(t *testing.T, n int) (*Store, Agent) {
	t.Helper()
	s := fresh(t)
	ctx := t.Context()
	no(t, s.Enrol(ctx, Certificate{Serial: "1", Agent: "icu", Until: at(9000)}, make([]byte, 32), at(0)))
	p := Plan{Name: "p", Caller: "windows/w", Agent: "icu", Opens: at(0), Closes: at(50), Digest: []byte{1}, List: []byte{2}, Document: []byte{3}, State: Approved}
	r := Run{Name: "r", Plan: "p", Caller: p.Caller, Agent: "icu", Opens: p.Opens, Closes: p.Closes, State: "PENDING", Planned: n}
	var tasks []Task
	for i := range n {
		tasks = append(tasks, Task{Run: "r", Item: i, Device: string(rune('A' + i)), Kind: "snmp.get", Question: "q", State: "QUEUED"})
	}
	no(t, s.Fire(ctx, r, tasks, &p, nil, act(1)))
	return s, s.session(t, []byte("incarnation-one!"), 0, 0, nil)
}

func (s *Store) session(t *testing.T, incarnation []byte, last, lsn uint64, judge func(Agent, bool, []Dispatched) (bool, []Fate, string)) Agent {
	t.Helper()
	if judge == nil {
		judge = func(_ Agent, _ bool, tasks []Dispatched) (bool, []Fate, string) {
			return false, make([]Fate, len(tasks)), ""
		}
	}
	o, err := s.OpenSession(t.Context(), Opening{Agent: "icu", Incarnation: incarnation, LastEpoch: last, JournalLSN: lsn, Plugins: []string{}, At: at(2), Judge: judge})
	no(t, err)
	if !o.Reset {
		no(t, s.ConfirmEpoch(t.Context(), "icu", o.Agent.Epoch, lsn, at(2)))
	}
	return o.Agent
}

func order(id string, epoch, hold uint64) Order {
	return Order{ID: id, Run: "r", Agent: "icu", Epoch: epoch, Hold: hold}
}

func TestOneControllerServesFromADirectory(t *testing.T) {
	dir := t.TempDir()
	first, err := Open(t.Context(), dir, true)
	no(t, err)
	if _, err := Open(t.Context(), dir, true); err == nil || !strings.Contains(err.Error(), "another controller is serving from "+filepath.Clean(dir)) {
		t.Errorf("a second controller: %v", err)
	}
	beside, err := Open(t.Context(), dir, false)
	no(t, err)
	no(t, errors.Join(beside.Close(), first.Close()))
	again, err := Open(t.Context(), dir, true)
	no(t, err)
	no(t, again.Close())
}

func TestAnOlderSessionIsFenced(t *testing.T) {
	s, one := withAgent(t)
	ctx := t.Context()
	two := s.session(t, one.Incarnation, one.Epoch, 0, nil)
	if two.Epoch != one.Epoch+1 {
		t.Fatalf("epoch %d after %d", two.Epoch, one.Epoch)
	}
	_, _, err := s.Beat(ctx, "icu", one.Epoch, 5, at(3))
	is(t, "beat", err, ErrFenced)
	is(t, "confirm", s.ConfirmEpoch(ctx, "icu", one.Epoch, 0, at(3)), ErrFenced)
	is(t, "dispatch", s.Dispatch(ctx, order("o", one.Epoch, 0), []Sending{{0, "p0"}}, at(3)), ErrFenced)
	is(t, "records", s.TakeRecords(ctx, Batch{Agent: "icu", Epoch: one.Epoch, Incarnation: one.Incarnation, To: 1, At: at(3)}), ErrFenced)
	is(t, "hold ack", s.SetHoldAcked(ctx, "icu", one.Epoch, 1), ErrFenced)
	_, err = s.Resume(ctx, "icu", one.Epoch, func(string, uint32) bool { return false }, false, at(3))
	is(t, "resume", err, ErrFenced)
	durable, _, err := s.Beat(ctx, "icu", two.Epoch, 7, at(3))
	if no(t, err); durable != 7 {
		t.Errorf("durable %d", durable)
	}
	if durable, _, err = s.Beat(ctx, "icu", two.Epoch, 6, at(3)); err != nil || durable != 7 {
		t.Errorf("an older beat moved the mark back to %d: %v", durable, err)
	}
}

// CONTROL-PLANE 4.6: two full orders are the most that an agent holds.
func TestAnAgentHasAtMostAHundredQuestionsOpen(t *testing.T) {
	s, a := withTasks(t, MaxOpen+1)
	ctx := t.Context()
	var most []Sending
	for i := range MaxOpen {
		most = append(most, Sending{i, fmt.Sprint("p", i)})
	}
	is(t, "one too many", s.Dispatch(ctx, order("o0", a.Epoch, 0), append(most[:MaxOpen:MaxOpen], Sending{MaxOpen, "last"}), at(4)), ErrState)
	no(t, s.Dispatch(ctx, order("o1", a.Epoch, 0), most[1:], at(4)))
	if room, err := s.Room(ctx, "icu"); err != nil || room != 1 {
		t.Errorf("room for %d: %v", room, err)
	}
	if _, _, err := s.Due(ctx, "icu", at(4), nil, 10); !errors.Is(err, ErrNotFound) {
		t.Errorf("a window's queue is looked through for one question: %v", err)
	}
	p := Plan{Name: "q", Caller: "tool", Agent: "icu", Opens: at(1), Closes: at(50), Digest: []byte{2}, List: []byte{2}, Document: []byte{3}, State: Approved}
	no(t, s.Fire(ctx, Run{Name: "call", Plan: "q", Caller: "tool", Agent: "icu", Opens: at(1), Closes: at(50), State: "PENDING", Planned: 1},
		[]Task{{Run: "call", Item: 0, Device: "A", Kind: "snmp.get", Question: "q", State: "QUEUED"}}, &p, nil, act(1)))
	if r, _, err := s.Due(ctx, "icu", at(4), nil, 10); err != nil || r.Name != "call" {
		t.Errorf("what is asked on demand waits: %v %v", r.Name, err)
	}
	no(t, s.Dispatch(ctx, order("o2", a.Epoch, 0), most[:1], at(4)))
	is(t, "another", s.Dispatch(ctx, order("o3", a.Epoch, 0), []Sending{{MaxOpen, "last"}}, at(4)), ErrState)
	if _, _, err := s.Due(ctx, "icu", at(4), nil, 10); !errors.Is(err, ErrNotFound) {
		t.Errorf("due while a hundred are out: %v", err)
	}
}

func TestNothingIsDispatchedUnlessEverythingHolds(t *testing.T) {
	s, a := withAgent(t)
	ctx := t.Context()
	one := []Sending{{0, "p0"}}
	is(t, "before it opens", s.Dispatch(ctx, order("o1", a.Epoch, 0), one, at(-1)), ErrState)
	is(t, "after it closes", s.Dispatch(ctx, order("o1", a.Epoch, 0), one, at(50)), ErrState)
	_, err := s.PlaceHold(ctx, Hold{Scope: "all", Reason: "r", PlacedAt: at(3)}, nil, act(3))
	no(t, err)
	is(t, "a hold came in between", s.Dispatch(ctx, order("o1", a.Epoch, 0), one, at(4)), ErrState)
	no(t, s.Dispatch(ctx, order("o1", a.Epoch, 1), one, at(4)))
	is(t, "a task twice", s.Dispatch(ctx, order("o2", a.Epoch, 1), one, at(4)), ErrState)
	no(t, s.Dispatch(ctx, order("o2", a.Epoch, 1), []Sending{{1, "p1"}}, at(4)))
	out, err := s.Outstanding(ctx, at(3))
	no(t, err)
	if diff := cmp.Diff([]Out{{"p0", "p", "icu", 0}, {"p1", "p", "icu", 1}}, out); diff != "" {
		t.Error(diff)
	}
	if out, err = s.Outstanding(ctx, at(4)); err != nil || len(out) != 0 {
		t.Errorf("what was sent before is out too: %v %v", out, err)
	}
	three := s.session(t, a.Incarnation, a.Epoch, 0, nil)
	o, err := s.OpenSession(ctx, Opening{Agent: "icu", Incarnation: a.Incarnation, LastEpoch: three.Epoch, At: at(5),
		Judge: func(_ Agent, _ bool, x []Dispatched) (bool, []Fate, string) { return false, make([]Fate, len(x)), "" }})
	no(t, err)
	is(t, "a session that the journal has not confirmed", s.Dispatch(ctx, order("o4", o.Agent.Epoch, 1), []Sending{{2, "p2"}}, at(5)), ErrFenced)
}

func TestRecordsFollowEachOtherAndEndTheirTasks(t *testing.T) {
	s, a := withAgent(t)
	ctx := t.Context()
	no(t, s.Dispatch(ctx, order("o1", a.Epoch, 0), []Sending{{0, "p0"}, {1, "p1"}, {2, "p2"}}, at(4)))
	take := func(from, to uint64, outcomes ...Outcome) error {
		b := Batch{Agent: "icu", Epoch: a.Epoch, Incarnation: a.Incarnation, From: from, To: to, Hash: []byte{9}, Outcomes: outcomes, At: at(6)}
		for seq := from + 1; seq <= to; seq++ {
			b.Records = append(b.Records, Record{Seq: seq, Kind: "outcome", Raw: []byte("raw")})
		}
		return s.TakeRecords(ctx, b)
	}
	is(t, "a gap", take(1, 2), ErrGap)
	no(t, take(0, 3,
		Outcome{Seq: 1, Order: "o1", Ordinal: 0, Permit: "p0", Device: "A", State: "ANSWERED", Asked: at(5), Messages: 1, Facts: []Fact{{"model", "X", "o"}}, Touched: true},
		Outcome{Seq: 2, Order: "elsewhere", Ordinal: 0, State: "ANSWERED", Touched: true},
		Outcome{Seq: 3, Order: "o1", Ordinal: 1, Permit: "p0", Device: "B", State: "ANSWERED", Touched: true}))
	is(t, "the same again", take(0, 3), ErrGap)
	put, err := s.Quarantine(ctx, "icu")
	if no(t, err); len(put) != 2 || put[0].Seq != 2 || put[1].Seq != 3 {
		t.Errorf("quarantine: %v", put)
	}
	// nobody tells of the end of the other two: when time is over they are unknown, and their devices count as visited
	no(t, s.TakeRecords(ctx, Batch{Agent: "icu", Epoch: a.Epoch, Incarnation: a.Incarnation, From: 3, To: 4, Hash: []byte("h"), At: at(8), Begun: []Begun{{Order: "o1", Ordinal: 1, Device: "B", At: at(7)}}}))
	changed, err := s.Settle(ctx, at(200), 2*time.Minute)
	if no(t, err); !changed {
		t.Error("nothing was settled")
	}
	r, err := s.Run(ctx, "r")
	no(t, err)
	if diff := cmp.Diff(map[string]int{"ANSWERED": 1, "UNKNOWN": 2}, r.Tasks); diff != "" || r.State != "PARTIAL" {
		t.Errorf("%s %s", r.State, diff)
	}
	// it may have been asked up to the end of the approved time, and the other one was begun when the record says
	for tag, when := range map[string]time.Time{"C": at(50), "B": at(7)} {
		if v, err := s.Visits(ctx, tag); err != nil || len(v) != 1 || v[0].State != "UNKNOWN" || !v[0].At.Equal(when) {
			t.Errorf("visits: %v %v", v, err)
		}
	}
	// the journal tells later: the outcome replaces unknown, once
	late := Outcome{Seq: 5, Order: "o1", Ordinal: 2, Permit: "p2", Device: "C", State: "ABSENT", Asked: at(5), Messages: 1, Touched: true}
	no(t, take(4, 5, late))
	late.Seq, late.State = 6, "ANSWERED"
	no(t, take(5, 6, late))
	if r, err = s.Run(ctx, "r"); err != nil || r.Tasks["ABSENT"] != 1 || r.Tasks["ANSWERED"] != 1 {
		t.Errorf("%v %v", r.Tasks, err)
	}
	if x, err := s.Answers(ctx, "A"); err != nil || len(x) != 1 || x[0].Facts[0].Value != "X" {
		t.Errorf("answers: %v %v", x, err)
	}
}

func TestWhatTheJournalNeverBeganIsSentAnewAndNothingElse(t *testing.T) {
	s, a := withAgent(t)
	ctx := t.Context()
	no(t, s.Dispatch(ctx, order("o1", a.Epoch, 0), []Sending{{0, "p0"}, {1, "p1"}}, at(4)))
	b := s.session(t, a.Incarnation, a.Epoch, 0, nil)
	again, err := s.Resume(ctx, "icu", b.Epoch, func(_ string, ordinal uint32) bool { return ordinal == 0 }, false, at(5))
	if no(t, err); again != 1 {
		t.Errorf("%d are sent anew", again)
	}
	r, err := s.Run(ctx, "r")
	no(t, err)
	if diff := cmp.Diff(map[string]int{"DISPATCHED": 1, "QUEUED": 2}, r.Tasks); diff != "" {
		t.Error(diff)
	}
	no(t, s.Dispatch(ctx, order("o2", b.Epoch, 0), []Sending{{1, "p1b"}}, at(6)))
	// a journal that was lost proves nothing: all that was out is unknown
	lost := func(_ Agent, _ bool, tasks []Dispatched) (bool, []Fate, string) {
		fates := make([]Fate, len(tasks))
		for i := range fates {
			fates[i] = Lost
		}
		return false, fates, "lost"
	}
	c := s.session(t, []byte("incarnation-two!"), b.Epoch, 1, lost)
	if r, err = s.Run(ctx, "r"); err != nil || r.Tasks["UNKNOWN"] != 2 || c.RecordHWM != 0 {
		t.Errorf("%v, mark %d, %v", r.Tasks, c.RecordHWM, err)
	}
	retired := false
	s.session(t, a.Incarnation, c.Epoch, 9, func(_ Agent, r bool, _ []Dispatched) (bool, []Fate, string) {
		retired = r
		return true, nil, ""
	})
	if !retired {
		t.Error("a journal that was put aside came back unnoticed")
	}
}

func TestARunEndsOnceAndItsPlanFiresOnce(t *testing.T) {
	s, _ := withAgent(t)
	ctx := t.Context()
	is(t, "fired again", s.Fire(ctx, Run{Name: "r2", Plan: "p", Caller: "windows/w", Opens: at(0), State: "PENDING"}, nil, nil, nil, act(2)), ErrState)
	other := Plan{Name: "p2", Caller: "windows/w", Agent: "icu", Opens: at(0), Closes: at(50), Digest: []byte{7}, List: []byte{2}, Document: []byte{3}, State: Approved}
	is(t, "another plan of this opening", s.Fire(ctx, Run{Name: "r2", Plan: "p2", Caller: "windows/w", Opens: at(0), State: "PENDING"}, nil, &other, nil, act(2)), ErrExists)
	if _, err := s.Plan(ctx, "p2"); !errors.Is(err, ErrNotFound) {
		t.Errorf("half of the change stayed: %v", err)
	}
	orders, err := s.CancelRun(ctx, "r", "not today", act(3))
	if no(t, err); len(orders) != 0 {
		t.Errorf("orders %v", orders)
	}
	_, err = s.CancelRun(ctx, "r", "again", act(3))
	is(t, "cancelled again", err, ErrState)
	r, err := s.Run(ctx, "r")
	if no(t, err); r.State != "CANCELLED" || r.Tasks["STOPPED"] != 3 {
		t.Errorf("%s %v", r.State, r.Tasks)
	}
}

func TestAPlanNeedsItsApproversBeforeItsTimeIsOver(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	no(t, s.PutPlan(ctx, Plan{Name: "p", Caller: "windows/w", Agent: "icu", Opens: at(0), Closes: at(50), Digest: []byte{1}, List: []byte{2}, Document: []byte{3}, State: Draft}, nil, act(0)))
	state := func() string {
		p, err := s.Plan(ctx, "p")
		no(t, err)
		return p.State
	}
	for range 2 { // the same person twice is one person
		no(t, s.SignPlan(ctx, "p", Signature{"a", []byte{1}}, 2, act(1)))
	}
	if state() != Draft {
		t.Errorf("one of two approvers: %s", state())
	}
	no(t, s.SignPlan(ctx, "p", Signature{"b", []byte{1}}, 2, act(2)))
	if state() != Approved {
		t.Errorf("two of two approvers: %s", state())
	}
	no(t, s.ExpirePlans(ctx, at(50)))
	if state() != Expired {
		t.Errorf("after its time: %s", state())
	}
	is(t, "signed too late", s.SignPlan(ctx, "p", Signature{"c", []byte{1}}, 2, act(60)), ErrState)
}

func TestATokenIsSpentByTheFirstCallThatNamesIt(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	no(t, s.AddEnrolmentToken(ctx, []byte("one"), "icu", at(100), act(0)))
	no(t, s.AddEnrolmentToken(ctx, []byte("old"), "icu", at(100), act(0)))
	if name, err := s.SpendEnrolmentToken(ctx, []byte("one"), at(99)); err != nil || name != "icu" {
		t.Errorf("%s %v", name, err)
	}
	for what, hash := range map[string]string{"spent": "one", "unknown": "two"} {
		_, err := s.SpendEnrolmentToken(ctx, []byte(hash), at(99))
		is(t, what, err, ErrNotFound)
	}
	_, err := s.SpendEnrolmentToken(ctx, []byte("old"), at(100))
	is(t, "too old", err, ErrNotFound)
	_, err = s.SpendEnrolmentToken(ctx, []byte("old"), at(99))
	is(t, "too old, and tried again", err, ErrNotFound)
}

func TestASecondEnrolmentRevokesTheFirst(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	good := func(serial, agent string) error {
		_, err := s.CertificateGood(ctx, serial, agent)
		return err
	}
	no(t, s.Enrol(ctx, Certificate{"1", "icu", at(9000)}, make([]byte, 32), at(0)))
	no(t, s.AddCertificate(ctx, Certificate{"2", "icu", at(9000)}, "1", at(1)))
	no(t, errors.Join(good("1", "icu"), good("2", "icu")))
	is(t, "another's certificate", good("1", "ward"), ErrNotFound)
	no(t, s.Enrol(ctx, Certificate{"3", "icu", at(9000)}, make([]byte, 32), at(2)))
	is(t, "the first", good("1", "icu"), ErrNotFound)
	is(t, "the renewed", good("2", "icu"), ErrNotFound)
	no(t, good("3", "icu"))
}

func TestARepeatedCallIsCarriedOutOnce(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	r := Request{Caller: "tool", ID: "id", Body: [32]byte{1}}
	no(t, s.PutWindow(ctx, Window{Name: "w", Zone: "UTC", Duration: time.Minute, Devices: []string{}}, &r, act(0)))
	if got, err := s.Request(ctx, r, at(1)); err != nil || got != "w" {
		t.Errorf("%q %v", got, err)
	}
	r.Body = [32]byte{2}
	_, err := s.Request(ctx, r, at(1))
	is(t, "another body", err, ErrRequest)
	is(t, "another body, at once", s.PutWindow(ctx, Window{Name: "v", Zone: "UTC", Duration: time.Minute, Devices: []string{}}, &r, act(0)), ErrRequest)
	if _, err := s.Window(ctx, "v"); !errors.Is(err, ErrNotFound) {
		t.Errorf("half of the change stayed: %v", err)
	}
	_, err = s.Request(ctx, r, at(0).Add(RequestLife))
	is(t, "after seven days", err, ErrNotFound)
}

func TestTheAuditTrailShowsWhereItWasChanged(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	for i := range 5 {
		no(t, s.AddAudit(ctx, act(i)))
	}
	if n, err := s.VerifyAudit(ctx); err != nil || n != 5 {
		t.Fatalf("%d %v", n, err)
	}
	if _, err := s.w.ExecContext(ctx, `UPDATE audit SET actor = 'somebody else' WHERE id = 3`); err != nil {
		t.Fatal(err)
	}
	if n, err := s.VerifyAudit(ctx); err == nil || n != 2 {
		t.Errorf("a changed act: %d %v", n, err)
	}
}

func TestHoldVersionsOnlyGrow(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	h, err := s.PlaceHold(ctx, Hold{Scope: "all", Reason: "r", PlacedAt: at(0)}, nil, act(0))
	no(t, err)
	_, err = s.HoldAbove(ctx, 40, Hold{Scope: "all", Reason: "r", PlacedAt: at(0)}, act(0))
	no(t, err)
	no(t, s.LiftHold(ctx, h.ID, "nurse", "done", act(1)))
	is(t, "lifted again", s.LiftHold(ctx, h.ID, "nurse", "done", act(1)), ErrState)
	v, holds, err := s.HoldsInForce(ctx)
	if no(t, err); v != 42 || len(holds) != 1 {
		t.Errorf("version %d, %v", v, holds)
	}
}

// H-035: the version that an agent has seen and the hold that answers it are written together, or a crash between
// them leaves a version that every agent believes and no hold behind it.
func TestAVersionIsRaisedOnlyTogetherWithItsHold(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	_, err := s.w.ExecContext(ctx, `CREATE TRIGGER fall BEFORE INSERT ON hold BEGIN SELECT RAISE(ABORT, 'the machine fell'); END`)
	no(t, err)
	if _, err := s.HoldAbove(ctx, 40, Hold{Scope: "all", Reason: "r", PlacedAt: at(0)}, act(0)); err == nil {
		t.Error("a hold was written")
	}
	if v, _, err := s.HoldsInForce(ctx); err != nil || v != 0 {
		t.Errorf("version %d without a hold: %v", v, err)
	}
	_, err = s.w.ExecContext(ctx, `DROP TRIGGER fall`)
	no(t, err)
	h, err := s.HoldAbove(ctx, 40, Hold{Scope: "all", Reason: "r", PlacedAt: at(0)}, act(0))
	if no(t, err); h.Version <= 40 {
		t.Errorf("version %d", h.Version)
	}
	if h, err = s.HoldAbove(ctx, 3, Hold{Scope: "all", Reason: "r", PlacedAt: at(0)}, act(0)); err != nil || h.Version != 42 {
		t.Errorf("version %d %v", h.Version, err)
	}
}

// H-011: a renewal that was under way when the agent was enrolled anew gives the one before nothing.
func TestARenewalDoesNotOutliveAnEnrolment(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	no(t, s.Enrol(ctx, Certificate{Serial: "1", Agent: "icu", Until: at(50)}, []byte{1}, at(0)))
	no(t, s.AddCertificate(ctx, Certificate{Serial: "2", Agent: "icu", Until: at(50)}, "1", at(1)))
	no(t, s.Enrol(ctx, Certificate{Serial: "3", Agent: "icu", Until: at(50)}, []byte{1}, at(2)))
	for _, old := range []string{"1", "2", "9"} {
		is(t, "renewed from "+old, s.AddCertificate(ctx, Certificate{Serial: "x" + old, Agent: "icu", Until: at(50)}, old, at(3)), ErrNotFound)
	}
	is(t, "renewed by another agent", s.AddCertificate(ctx, Certificate{Serial: "4", Agent: "ward", Until: at(50)}, "3", at(3)), ErrNotFound)
	no(t, s.AddCertificate(ctx, Certificate{Serial: "5", Agent: "icu", Until: at(50)}, "3", at(3)))
}

// A question whose turn did not come says why, and one that went out after all says nothing of it.
func TestWhyAQuestionWaitedStaysAfterItsTime(t *testing.T) {
	s, a := withAgent(t)
	ctx := t.Context()
	no(t, s.Say(ctx, "r", []int{0, 1}, "WAVE_WAITS", "wave 1 is watched"))
	no(t, s.Dispatch(ctx, order("o1", a.Epoch, 0), []Sending{{1, "p1"}}, at(4)))
	if _, err := s.Settle(ctx, at(51), time.Hour); err != nil {
		t.Fatal(err)
	}
	tasks, err := s.Tasks(ctx, "r", -1, 0)
	no(t, err)
	for i, want := range []Task{{State: "STOPPED", Reason: "WAVE_WAITS", Detail: "wave 1 is watched"}, {State: "DISPATCHED"}, {State: "STOPPED", Reason: "STOPPED", Detail: "the approved time was over before its turn came; the device was not asked"}} {
		if x := tasks[i]; x.State != want.State || x.Reason != want.Reason || x.Detail != want.Detail {
			t.Errorf("task %d: %s %s %q", i, x.State, x.Reason, x.Detail)
		}
	}
}
