package api

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
	"primum/safetylists/evidence"
)

type told struct {
	*evidenceService
	t   *testing.T
	now time.Time
}

func telling(t *testing.T) *told {
	db, err := store.Open(t.Context(), t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	a := &told{&evidenceService{API: &API{Store: db, Log: slog.New(slog.DiscardHandler)}}, t, time.Unix(filledFrom, 0)}
	a.must(db.Enrol(t.Context(), store.Certificate{Serial: "1", Agent: "icu", Until: a.now.Add(time.Hour)}, make([]byte, 32), a.now))
	_, err = db.PutDevices(t.Context(), []store.Device{{Tag: "10-7", Cells: map[string]string{"asset_tag": "10-7"}}}, nil, store.Audit{At: a.now})
	a.must(err)
	return a
}

func (a *told) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// session opens one with a journal; judged as the dispatcher does where the journal is another one: what is out is Lost.
func (a *told) session(incarnation string) store.Agent {
	a.t.Helper()
	o, err := a.Store.OpenSession(a.t.Context(), store.Opening{Agent: "icu", Incarnation: []byte(incarnation), Plugins: []string{}, At: a.now,
		Judge: func(x store.Agent, _ bool, tasks []store.Dispatched) (bool, []store.Fate, string) {
			fates := make([]store.Fate, len(tasks))
			if !bytes.Equal(x.Incarnation, []byte(incarnation)) {
				for i := range fates {
					fates[i] = store.Lost
				}
			}
			return false, fates, "the agent's journal was lost; the device may have been asked"
		}})
	a.must(err)
	a.must(a.Store.ConfirmEpoch(a.t.Context(), "icu", o.Agent.Epoch, 0, a.now))
	return o.Agent
}

// tells stores records of a journal and a head over all of them, signed at a time.
func (a *told) tells(ag store.Agent, headAt time.Time, records ...evidence.Record) {
	a.t.Helper()
	var head evidence.Head
	b := store.Batch{Agent: "icu", Epoch: ag.Epoch, Incarnation: ag.Incarnation, At: a.now}
	for _, r := range records {
		raw, _, err := head.Next(r).Encode()
		a.must(err)
		_, head, err = head.Follow(raw)
		a.must(err)
		b.Records = append(b.Records, store.Record{Seq: head.Seq, Kind: string(r.Kind), Raw: raw, Tree: make([]byte, 64), Device: r.Device, At: r.At})
	}
	b.To, b.Hash = head.Seq, head.Hash[:]
	a.must(a.Store.TakeRecords(a.t.Context(), b))
	text, _, err := evidence.NewEvidenceKey(rand.Reader, "icu")
	a.must(err)
	signer, err := evidence.NewSigner(text)
	a.must(err)
	note, err := signer.Sign(evidence.TreeHead{Agent: "icu", Incarnation: hex.EncodeToString(ag.Incarnation), Size: head.Seq, At: headAt})
	a.must(err)
	a.must(a.Store.AddHead(a.t.Context(), store.Head{Agent: "icu", Incarnation: ag.Incarnation, Size: head.Seq, Note: note, Key: signer.Verifier(), At: headAt}))
}

// saysNothing is what makes "primum touched" say "Nothing was sent to it in this time" (controller/cmd/primum/touched.go).
func saysNothing(r *adminv1.Touched) bool {
	return !r.GetMore() && !r.GetSent() && len(r.GetUnsure()) == 0 && !slices.ContainsFunc(r.GetJournals(), func(j *adminv1.JournalCover) bool { return !j.GetShown() })
}

func (a *told) between(from, to time.Duration) *adminv1.Touched {
	a.t.Helper()
	r, err := a.GetTouched(a.t.Context(), &adminv1.GetTouchedRequest{Device: "devices/10-7", From: timestamppb.New(a.now.Add(from)), To: timestamppb.New(a.now.Add(to))})
	a.must(err)
	return r
}

// H-039: an order goes out to an agent, its machine burns, and it is enrolled anew with an empty journal. The task is UNKNOWN: "the device may
// have been asked". touched must not say that nothing was sent.
func TestALostJournalIsNotNothing(t *testing.T) {
	a := telling(t)
	first := a.session("0123456789abcdef")
	a.tells(first, a.now.Add(time.Minute), evidence.Record{At: a.now, Kind: evidence.Begun}, evidence.Record{At: a.now, Kind: evidence.Session, Epoch: first.Epoch})
	run := store.Run{Name: "r", Plan: "1", Caller: "windows/w", Agent: "icu", Opens: a.now, Closes: a.now.Add(time.Hour), State: "PENDING", Planned: 1}
	sum := sha256.Sum256(nil)
	kept := store.Plan{Name: "1", Caller: run.Caller, Agent: "icu", Opens: run.Opens, Closes: run.Closes, Digest: sum[:], List: sum[:], Document: []byte("{}"), State: store.Approved}
	a.must(a.Store.Fire(t.Context(), run, []store.Task{{Run: "r", Item: 0, Device: "10-7", Kind: "snmp.get", Question: "q", State: "QUEUED"}}, &kept, nil, store.Audit{At: a.now, Actor: "test"}))
	a.must(a.Store.Dispatch(t.Context(), store.Order{ID: "orders/1", Run: "r", Agent: "icu", Epoch: first.Epoch}, []store.Sending{{Item: 0, Permit: "p0"}}, a.now.Add(2*time.Minute)))
	// the agent asks the device at minute 2, and its disk is gone before it tells
	a.must(a.Store.Enrol(t.Context(), store.Certificate{Serial: "2", Agent: "icu", Until: a.now.Add(time.Hour)}, make([]byte, 32), a.now.Add(4*time.Minute)))
	second := a.session("fedcba9876543210")
	a.tells(second, a.now.Add(20*time.Minute), evidence.Record{At: a.now.Add(5 * time.Minute), Kind: evidence.Begun}, evidence.Record{At: a.now.Add(5 * time.Minute), Kind: evidence.Session, Epoch: second.Epoch})
	tasks, err := a.Store.Tasks(t.Context(), "r", -1, 0)
	a.must(err)
	if tasks[0].State != "UNKNOWN" {
		t.Fatalf("%+v", tasks[0])
	}
	for name, r := range map[string]*adminv1.Touched{"the ten minutes around it": a.between(-time.Minute, 10*time.Minute), "the minute of it": a.between(90*time.Second, 3*time.Minute)} {
		if saysNothing(r) {
			t.Errorf("%s: the task is %s (%s), and touched says \"Nothing was sent to it in this time\": %v", name, tasks[0].State, tasks[0].Detail, r.GetJournals())
		}
	}
}

// H-039: a question begins before the time that is asked for, its SYN goes out in it (the probe took 3 s to start; the kernel repeats a SYN after
// 1 s and 3 s), and its outcome stands after it.
func TestWhatWentOutBetweenStartAndOutcomeIsNotNothing(t *testing.T) {
	a := telling(t)
	first := a.session("0123456789abcdef")
	asked := a.now.Add(13 * time.Second)
	a.tells(first, a.now.Add(time.Minute), evidence.Record{At: a.now, Kind: evidence.Begun}, evidence.Record{At: a.now, Kind: evidence.Session, Epoch: first.Epoch},
		evidence.Record{At: a.now.Add(10 * time.Second), Kind: evidence.Started, Order: "orders/1", Permit: "p0", Device: "10-7", Address: "10.0.0.7", Query: "q"},
		evidence.Record{At: a.now.Add(18 * time.Second), Kind: evidence.Outcome, Order: "orders/1", Permit: "p0", Device: "10-7", Result: &evidence.Result{State: evidence.Absent, Asked: asked}})
	if r := a.between(11*time.Second, 17*time.Second); saysNothing(r) {
		t.Errorf("the first SYN went out at second 13; between second 11 and 17 \"Nothing was sent to it in this time\": records %v", r.GetRecords())
	}
	if r := a.between(11*time.Second, 30*time.Second); saysNothing(r) {
		t.Errorf("between second 11 and 30, with the outcome of a question that was asked at second 13: \"Nothing was sent to it in this time\": %d records, the outcome", len(r.GetRecords()))
	}
}

// A question whose permit was spent and that a lost lease stopped before its first octet was not sent, and what has ended before the time is not
// of it.
func TestWhatWasBegunAndNotSentIsNothing(t *testing.T) {
	a := telling(t)
	first := a.session("0123456789abcdef")
	at := func(seconds int) time.Time { return a.now.Add(time.Duration(seconds) * time.Second) }
	a.tells(first, a.now.Add(time.Minute), evidence.Record{At: a.now, Kind: evidence.Begun}, evidence.Record{At: a.now, Kind: evidence.Session, Epoch: first.Epoch},
		evidence.Record{At: at(10), Kind: evidence.Started, Order: "orders/1", Permit: "p0", Device: "10-7", Address: "10.0.0.7", Query: "q"},
		evidence.Record{At: at(11), Kind: evidence.Outcome, Order: "orders/1", Permit: "p0", Device: "10-7", Result: &evidence.Result{State: evidence.Stopped}},
		evidence.Record{At: at(20), Kind: evidence.Started, Order: "orders/1", Ordinal: 1, Permit: "p1", Device: "10-7", Address: "10.0.0.7", Query: "r"},
		evidence.Record{At: at(22), Kind: evidence.Outcome, Order: "orders/1", Ordinal: 1, Permit: "p1", Device: "10-7", Result: &evidence.Result{State: evidence.Answered, Asked: at(20), Messages: 1}})
	for name, c := range map[string]struct {
		from, to int
		sent     bool
		records  int
	}{"the one that was stopped": {5, 15, false, 2}, "between both": {12, 19, false, 0}, "the one that was asked": {15, 30, true, 2}, "its middle": {21, 22, true, 1}, "after it": {23, 30, false, 0}} {
		r := a.between(time.Duration(c.from)*time.Second, time.Duration(c.to)*time.Second)
		if r.GetSent() != c.sent || len(r.GetRecords()) != c.records {
			t.Errorf("%s: sent %v, %d records", name, r.GetSent(), len(r.GetRecords()))
		}
	}
}
