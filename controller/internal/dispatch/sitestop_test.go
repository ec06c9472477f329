package dispatch

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// H-035: a person at the site has stopped an agent, and its machine is restored from a backup of before. The agent knows of no stop, and is
// given no work; the list of agents goes on to show the stop. A later word of the site ends it, and so does an enrolment.
func TestAStopThatARestoredAgentHasForgottenStands(t *testing.T) {
	for name, ends := range map[string]string{"a word ends it": "go", "an enrolment ends it": "enrol"} {
		t.Run(name, func(t *testing.T) {
			s, _ := service(t)
			cert := enrolled(t, s, "icu")
			at := time.Now().Truncate(time.Microsecond)
			comes := func(incarnation string, lsn, epoch uint64, stopped bool) *stream {
				t.Helper()
				h := &controlv1.Hello{Incarnation: []byte(incarnation), JournalLsn: lsn, LastEpoch: epoch}
				if stopped {
					h.StoppedAtSite, h.StoppedWhy = timestamppb.New(at), "smoke"
				}
				st, ended := connect(t, s, cert, h)
				for {
					select {
					case m := <-st.out:
						if w := m.GetWelcome(); w != nil {
							if w.GetReset_() {
								return nil
							}
							st.in <- &fromAgent{Kind: &controlv1.AgentMessage_EpochAck{EpochAck: &controlv1.EpochAck{SessionEpoch: w.GetSessionEpoch(), JournalLsn: lsn + 1}}}
						}
						if m.GetReady() != nil {
							return st
						}
					case err := <-ended:
						t.Fatal(err)
					case <-time.After(5 * time.Second):
						t.Fatal("the session does not begin")
					}
				}
			}
			is := func() bool {
				t.Helper()
				a, err := s.Store.Agent(t.Context(), "icu")
				if err != nil {
					t.Fatal(err)
				}
				return !a.SiteStop.At.IsZero()
			}
			tell := journal(t, func(b *controlv1.RecordBatch) {
				st := comes("0123456789abcdef", 2, 0, true)
				st.in <- &fromAgent{Kind: &controlv1.AgentMessage_RecordBatch{RecordBatch: b}}
			})
			_ = tell
			if !is() {
				t.Fatal("the stop is not known")
			}
			p := devices(t, s, 1)
			q := p.Items[0].Query
			second := store.Plan{Name: "2", Caller: "windows/v", Agent: "icu", Opens: p.Opens, Closes: p.Closes, Digest: []byte("2"), List: p.List[:], Document: []byte("{}"), State: store.Approved}
			if err := s.Store.Fire(t.Context(), store.Run{Name: "second", Plan: "2", Caller: "windows/v", Agent: "icu", Opens: p.Opens, Closes: p.Closes, State: "PENDING", Planned: 1},
				[]store.Task{{Run: "second", Device: "10-9", Kind: string(q.Kind()), Question: q.String(), State: "QUEUED"}}, &second, nil, store.Audit{At: at, Actor: "test"}); err != nil {
				t.Fatal(err)
			}
			if comes("0123456789abcdef", 1, 0, false) != nil {
				t.Fatal("a journal that was rolled back goes on")
			}
			var head evidence.Head
			say := func(st *stream, r evidence.Record) {
				t.Helper()
				raw, _, err := head.Next(r).Encode()
				if err != nil {
					t.Fatal(err)
				}
				if _, head, err = head.Follow(raw); err != nil {
					t.Fatal(err)
				}
				st.in <- &fromAgent{Kind: &controlv1.AgentMessage_RecordBatch{RecordBatch: &controlv1.RecordBatch{Incarnation: []byte("fedcba9876543210"), FirstSeq: head.Seq, Records: [][]byte{raw}}}}
			}
			for n := range uint64(2) { // and once more after the next cut
				st := comes("fedcba9876543210", 1+n, n+3, false)
				if n == 0 {
					say(st, evidence.Record{At: at, Kind: evidence.Begun, Incarnation: "66656463626139383736353433323130"})
				}
				say(st, evidence.Record{At: at, Kind: evidence.Session, Epoch: n + 4})
				awaited(t, func() bool {
					a, err := s.Store.Agent(t.Context(), "icu")
					return err == nil && a.RecordHWM == head.Seq
				})
				awaited(t, func() bool {
					first, err := s.Store.Tasks(t.Context(), "r", -1, 0)
					if err != nil {
						return false
					}
					tasks, err := s.Store.Tasks(t.Context(), "second", -1, 0)
					return err == nil && !slices.ContainsFunc(append(tasks, first...), func(x store.Task) bool {
						return x.State != "QUEUED" || x.Reason != string(list.Held) || !strings.Contains(x.Detail, "smoke") || !strings.Contains(x.Detail, "primum-agent resume")
					})
				})
				if !is() {
					t.Fatal("the stop is shown no more")
				}
			}
			if ends == "enrol" {
				cert = enrolled(t, s, "icu")
				comes("fedcba9876543210", 4, 6, false)
			} else {
				st := comes("fedcba9876543210", 3, 6, false)
				say(st, evidence.Record{At: at, Kind: evidence.Session, Epoch: 7})
				say(st, evidence.Record{At: at, Kind: evidence.SiteGo, Caller: "ward", Words: "aired"})
			}
			awaited(t, func() bool { return !is() })
			if ends == "go" {
				awaited(t, func() bool { // it is looked at, and the plan of this test covers nothing
					tasks, err := s.Store.Tasks(t.Context(), "r", -1, 0)
					return err == nil && tasks[0].State == "REFUSED"
				})
			}
		})
	}
}
