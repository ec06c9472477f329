package dispatch

import (
	"testing"
	"time"

	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
	"primum/safetylists/evidence"
)

// H-013: an agent comes back with its journal as it was a moment ago, as on the replica of a machine that failed, and has written the ends of
// what it found open there: it is no shorter than the one that is known, and knows nothing of what was begun last. A question whose start
// stands in the records is not sent anew, and none is where the journal is another than it was: the start may not have been told, and the
// first record that tells that the journal is another is that of the session.
func TestAQuestionWhoseStartIsInTheRecordIsNotSentAnew(t *testing.T) {
	for name, c := range map[string]struct {
		longer     uint64 // records that the journal has beyond those that are stored
		untold     bool   // the controller has not heard of the start
		begun, not string // what becomes of the question that was begun, and of the other one
	}{
		"as long":                         {0, false, "UNKNOWN", "UNKNOWN"},
		"as long, and the start not told": {0, true, "UNKNOWN", "UNKNOWN"},
		"longer":                          {1, false, "UNKNOWN", "UNKNOWN"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := service(t)
			cert := enrolled(t, s, "icu")
			st, _ := live(t, s, cert, 0)
			p := devices(t, s, 2)
			now := time.Now()
			if err := s.Store.Dispatch(t.Context(), store.Order{ID: "orders/1", Run: "r", Agent: "icu", Epoch: 1}, []store.Sending{{Item: 0, Permit: "p0"}, {Item: 1, Permit: "p1"}}, now); err != nil {
				t.Fatal(err)
			}
			start := evidence.Record{At: now, Kind: evidence.Started, Order: "orders/1", Permit: "p0", Device: "10-0", Address: "127.0.0.1", Query: p.Items[0].Query.String(), GapMS: 5000, RestMS: (24 * time.Hour).Milliseconds()}
			tell := journal(t, func(b *controlv1.RecordBatch) {
				st.in <- &fromAgent{Kind: &controlv1.AgentMessage_RecordBatch{RecordBatch: b}}
			})
			if c.untold {
				start = evidence.Record{At: now, Kind: evidence.HoldSeen, Version: 2}
			}
			for _, r := range []evidence.Record{{At: now, Kind: evidence.Session, Epoch: 1}, {At: now, Kind: evidence.Received, Order: "orders/1", Epoch: 1}, start} {
				tell(r)
			}
			awaited(t, func() bool {
				a, err := s.Store.Agent(t.Context(), "icu")
				return err == nil && a.RecordHWM == 4
			})
			s.pace.mu.Lock()
			s.pace.askers = map[string]asker{"id 10-0": {agent: "icu", until: time.Hour}}
			s.pace.mu.Unlock()
			again, ended := connect(t, s, cert, &controlv1.Hello{Incarnation: []byte("0123456789abcdef"), JournalLsn: 4 + c.longer, LastEpoch: 1})
			for ready := false; !ready; {
				select {
				case m := <-again.out:
					if w := m.GetWelcome(); w != nil {
						again.in <- &fromAgent{Kind: &controlv1.AgentMessage_EpochAck{EpochAck: &controlv1.EpochAck{SessionEpoch: w.GetSessionEpoch(), JournalLsn: 5 + c.longer}}}
					}
					ready = m.GetReady() != nil
				case err := <-ended:
					t.Fatal(err)
				case <-time.After(5 * time.Second):
					t.Fatal("the session does not begin")
				}
			}
			for seq := uint64(4); seq <= 4+c.longer; seq++ { // the last is that of the session
				raw, _, err := (evidence.Head{Seq: seq}).Next(evidence.Record{At: now, Kind: evidence.Session, Epoch: 2}).Encode()
				if err != nil {
					t.Fatal(err)
				}
				again.in <- &fromAgent{Kind: &controlv1.AgentMessage_RecordBatch{RecordBatch: &controlv1.RecordBatch{Incarnation: []byte("0123456789abcdef"), FirstSeq: seq + 1, Records: [][]byte{raw}}}}
			}
			awaited(t, func() bool {
				tasks, err := s.Store.Tasks(t.Context(), "r", -1, 0)
				return err == nil && tasks[0].State == c.begun && tasks[1].State == c.not
			})
			s.pace.mu.Lock()
			defer s.pace.mu.Unlock()
			if a := s.pace.askers["id 10-0"]; a.agent != "" { // H-020
				t.Errorf("it is given the device within the gap of what it has forgotten: %+v", a)
			}
		})
	}
}

func awaited(t *testing.T, is func() bool) {
	t.Helper()
	for over := time.Now().Add(5 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(over) {
			t.Fatal("it does not come to that")
		}
	}
}
