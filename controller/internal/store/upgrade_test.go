package store

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"
)

// A database of an earlier version, in which an agent was stopped at the site and a question is out, is brought up to date: it knows of the
// stop in which journal it was given (H-035), and that the question was begun (H-013).
func TestAnUpgradedDatabaseKnowsWhatTheOneBeforeWasTold(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, true)
	no(t, err)
	ctx := t.Context()
	no(t, s.Enrol(ctx, Certificate{Serial: "1", Agent: "icu", Until: at(9000)}, make([]byte, 32), at(0)))
	p := Plan{Name: "p", Caller: "windows/w", Agent: "icu", Opens: at(0), Closes: at(50), Digest: []byte{1}, List: []byte{2}, Document: []byte{3}, State: Approved}
	r := Run{Name: "r", Plan: "p", Caller: p.Caller, Agent: "icu", Opens: p.Opens, Closes: p.Closes, State: "PENDING", Planned: 2}
	no(t, s.Fire(ctx, r, []Task{{Run: "r", Device: "A", Kind: "snmp.get", Question: "q", State: "QUEUED"}, {Run: "r", Item: 1, Device: "B", Kind: "snmp.get", Question: "q", State: "QUEUED"}}, &p, nil, act(1)))
	a := s.session(t, []byte("incarnation-one!"), 0, 0, nil)
	version, _, err := s.HoldsInForce(ctx)
	no(t, err)
	no(t, s.Dispatch(ctx, order("o1", a.Epoch, version), []Sending{{0, "p0"}, {1, "p1"}}, at(4)))
	no(t, s.TakeRecords(ctx, Batch{Agent: "icu", Epoch: a.Epoch, Incarnation: a.Incarnation, To: 1, Hash: []byte("h"), At: at(6), Word: &SiteStop{At: at(5), By: "ward", Why: "smoke"},
		Records: []Record{{Seq: 1, Kind: "started", Device: "A", At: at(5), Raw: []byte(`{"permit":"p0"}`)}}}))
	tables, err := fs.Sub(migrations, "migrations")
	no(t, err)
	before, err := goose.NewProvider(goose.DialectSQLite3, s.w, tables)
	no(t, err)
	_, err = before.DownTo(ctx, 14)
	no(t, err)
	no(t, s.Close())

	s, err = Open(ctx, dir, true)
	no(t, err)
	defer func() { no(t, s.Close()) }()
	if a, err = s.Agent(ctx, "icu"); err != nil || !bytes.Equal(a.StoppedIn, a.Incarnation) || a.SiteStop.Why != "smoke" {
		t.Errorf("%+v %v", a, err)
	}
	a = s.session(t, a.Incarnation, 1, 2, nil)
	again, err := s.Resume(ctx, "icu", a.Epoch, func(string, uint32) bool { return false }, false, at(7))
	tasks, err2 := s.Tasks(ctx, "r", -1, 0)
	if err != nil || err2 != nil || again != 1 || tasks[0].State != "UNKNOWN" || tasks[1].State != "QUEUED" {
		t.Errorf("%d sent anew, %+v, %v %v", again, tasks, err, err2)
	}
}

// What is asked of the database for each question does not grow with all that was ever asked.
func TestWhatIsLookedUpForEachQuestionHasAnIndex(t *testing.T) {
	s := fresh(t)
	for query, args := range map[string][]any{askedSinceQuery: {"a", 1, 1}, askedBeforeQuery: {"a", "q"}} {
		rows, err := s.w.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
		no(t, err)
		n := 0
		for ; rows.Next(); n++ {
			var id, parent, unused int
			var words string
			no(t, rows.Scan(&id, &parent, &unused, &words))
			if strings.HasPrefix(words, "SCAN") || strings.Contains(words, "TEMP B-TREE") {
				t.Errorf("%s: %s", query, words)
			}
		}
		if no(t, rows.Close()); n == 0 {
			t.Error("no plan")
		}
	}
}

// H-035: the site has stopped an agent, and it comes back with a copy of its disk from a moment before, which is as long as its journal was. What
// it says of itself ends no stop: the record of who ended it does.
func TestAStopEndsWithTheRecordOfWhoEndedIt(t *testing.T) {
	s, a := withAgent(t)
	ctx := t.Context()
	comes := func(last, lsn uint64, stop SiteStop) Agent {
		t.Helper()
		o, err := s.OpenSession(ctx, Opening{Agent: "icu", Incarnation: a.Incarnation, LastEpoch: last, JournalLSN: lsn, Plugins: []string{}, At: at(3), SiteStop: stop,
			Judge: func(_ Agent, _ bool, tasks []Dispatched) (bool, []Fate, string) {
				return false, make([]Fate, len(tasks)), ""
			}})
		no(t, err)
		return o.Agent
	}
	if x := comes(1, 2, SiteStop{At: at(2), Why: "smoke"}); x.SiteStop.Why != "smoke" || x.StopLost() {
		t.Fatalf("%+v", x)
	}
	x := comes(2, 9, SiteStop{})
	if x.SiteStop.Why != "smoke" || !x.StopLost() {
		t.Errorf("it says that it is not stopped, and is given work: %+v", x.SiteStop)
	}
	no(t, s.TakeRecords(ctx, Batch{Agent: "icu", Epoch: x.Epoch, Incarnation: a.Incarnation, To: 1, Hash: []byte("h"), At: at(6), Word: &SiteStop{}}))
	if x, err := s.Agent(ctx, "icu"); err != nil || x.StopLost() || !x.SiteStop.At.IsZero() {
		t.Errorf("after a word that ends it: %+v %v", x.SiteStop, err)
	}
}
