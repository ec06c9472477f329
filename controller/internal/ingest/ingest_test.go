package ingest

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
	"primum/safetylists/evidence"
)

var begin = time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)

// intake is an agent with a session, whose journal is empty.
func intake(t *testing.T) (*store.Store, *Intake) {
	t.Helper()
	ctx := t.Context()
	db, err := store.Open(ctx, t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Enrol(ctx, store.Certificate{Serial: "1", Agent: "icu", Until: begin.Add(time.Hour)}, make([]byte, 32), begin); err != nil {
		t.Fatal(err)
	}
	o, err := db.OpenSession(ctx, store.Opening{Agent: "icu", Incarnation: []byte("0123456789abcdef"), Plugins: []string{}, At: begin,
		Judge: func(store.Agent, bool, []store.Dispatched) (bool, []store.Fate, string) { return false, nil, "" }})
	if err != nil {
		t.Fatal(err)
	}
	in, err := New(ctx, db, o.Agent, key(t).Verifier())
	if err != nil {
		t.Fatal(err)
	}
	return db, in
}

// key is one for the heads of an agent.
func key(t *testing.T) evidence.Signer {
	t.Helper()
	text, _, err := evidence.NewEvidenceKey(rand.Reader, "icu")
	if err != nil {
		t.Fatal(err)
	}
	s, err := evidence.NewSigner(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func chain(t *testing.T, records ...evidence.Record) (raw [][]byte) {
	t.Helper()
	var head evidence.Head
	for _, r := range records {
		r = head.Next(r)
		r.At = begin
		b, _, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, head, err = head.Follow(b); err != nil {
			t.Fatal(err)
		}
		raw = append(raw, b)
	}
	return raw
}

func batch(first uint64, raw ...[]byte) *controlv1.RecordBatch {
	return &controlv1.RecordBatch{Incarnation: []byte("0123456789abcdef"), FirstSeq: first, Records: raw}
}

func TestRecordsAreStoredOnceWhateverIsSentAgain(t *testing.T) {
	db, in := intake(t)
	ctx := t.Context()
	raw := chain(t, evidence.Record{Kind: evidence.Begun}, evidence.Record{Kind: evidence.Session, Epoch: 1}, evidence.Record{Kind: evidence.HoldSeen, Version: 1})
	for _, b := range []*controlv1.RecordBatch{batch(1, raw[:2]...), batch(1, raw[:2]...), batch(2, raw[1:]...)} {
		if err := in.Take(ctx, b, begin); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := db.RawRecords(ctx, "icu")
	if err != nil || len(kept) != 3 || in.Mark() != 3 {
		t.Fatalf("%d records, mark %d, %v", len(kept), in.Mark(), err)
	}
	if err := in.Take(ctx, batch(5, raw[2]), begin); !errors.Is(err, store.ErrGap) {
		t.Errorf("a gap: %v", err)
	}
	other := batch(4, raw[2])
	other.Incarnation = []byte("another journal!")
	many := batch(4)
	for range MaxRecords + 1 {
		many.Records = append(many.Records, []byte("x"))
	}
	for name, b := range map[string]*controlv1.RecordBatch{"another journal": other, "none": batch(4), "too many": many, "too large": batch(4, make([]byte, MaxOctets+1)), "from zero": batch(0, raw[0])} {
		if err := in.Take(ctx, b, begin); !errors.Is(err, ErrForm) && !errors.Is(err, store.ErrGap) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// H-035: who lists the agents sees that a person at the site has stopped one.
func TestTheWordOfTheSiteIsKeptWithItsAgent(t *testing.T) {
	db, in := intake(t)
	ctx := t.Context()
	stop, end := evidence.Record{Kind: evidence.SiteStop, Caller: "ward", Words: "smoke"}, evidence.Record{Kind: evidence.SiteGo, Caller: "ward", Words: "aired"}
	raw := chain(t, evidence.Record{Kind: evidence.Begun}, stop, evidence.Record{Kind: evidence.Session, Epoch: 1}, end, stop, end)
	stopped := store.SiteStop{At: begin, By: "ward", Why: "smoke"}
	for n, c := range []struct {
		until int
		want  store.SiteStop
	}{{1, store.SiteStop{}}, {3, stopped}, {4, store.SiteStop{}}, {5, stopped}, {6, store.SiteStop{}}} {
		if err := in.Take(ctx, batch(1, raw[:c.until]...), begin); err != nil {
			t.Fatal(err)
		}
		a, err := db.Agent(ctx, "icu")
		if err != nil || !a.SiteStop.At.Equal(c.want.At) || a.SiteStop.By != c.want.By || a.SiteStop.Why != c.want.Why {
			t.Errorf("%d: %+v %v", n, a.SiteStop, err)
		}
	}
}

func TestABadRecordIsPutAsideAndTheNextOnesGoOn(t *testing.T) {
	db, in := intake(t)
	ctx := t.Context()
	raw := chain(t, evidence.Record{Kind: evidence.Begun}, evidence.Record{Kind: evidence.Session, Epoch: 1},
		evidence.Record{Kind: evidence.Outcome, Order: "o", Result: &evidence.Result{State: "QUEUED"}}, evidence.Record{Kind: evidence.Outcome, Order: "o"},
		evidence.Record{Kind: evidence.HoldSeen, Version: 1})
	changed := []byte(strings.Replace(string(raw[1]), `"epoch":1`, `"epoch":9`, 1))
	if err := in.Take(ctx, batch(1, raw[0], changed, raw[2], raw[3], raw[4]), begin); err != nil {
		t.Fatal(err)
	}
	if err := in.Take(ctx, batch(6, []byte("{")), begin); err != nil {
		t.Fatal(err)
	}
	put, err := db.Quarantine(ctx, "icu")
	if err != nil || in.Mark() != 6 {
		t.Fatalf("mark %d, %v", in.Mark(), err)
	}
	var seqs []uint64
	for _, q := range put {
		seqs = append(seqs, q.Seq)
	}
	// 3 does not follow the changed 2; 4 names no end; 6 is no record
	if len(seqs) != 3 || seqs[0] != 3 || seqs[1] != 4 || seqs[2] != 6 {
		t.Errorf("put aside: %v", put)
	}
}

// A stopped agent's machine is replaced: the agent is enrolled anew, with a new data directory and an empty journal. Nobody has stopped
// that one, and it asks. The list of agents must not say that it is stopped at the site.
func TestAStopOfAnAgentThatIsGoneIsNotShownOfTheNewOne(t *testing.T) {
	db, in := intake(t)
	ctx := t.Context()
	raw := chain(t, evidence.Record{Kind: evidence.Begun}, evidence.Record{Kind: evidence.SiteStop, Caller: "ward", Words: "smoke"})
	if err := in.Take(ctx, batch(1, raw...), begin); err != nil {
		t.Fatal(err)
	}
	if err := db.Enrol(ctx, store.Certificate{Serial: "2", Agent: "icu", Until: begin.Add(2 * time.Hour)}, make([]byte, 32), begin.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	o, err := db.OpenSession(ctx, store.Opening{Agent: "icu", Incarnation: []byte("fedcba9876543210"), Plugins: []string{}, At: begin,
		Judge: func(store.Agent, bool, []store.Dispatched) (bool, []store.Fate, string) { return false, nil, "" }})
	if err != nil {
		t.Fatal(err)
	}
	next, err := New(ctx, db, o.Agent, key(t).Verifier())
	if err != nil {
		t.Fatal(err)
	}
	b := batch(1, chain(t, evidence.Record{Kind: evidence.Begun}, evidence.Record{Kind: evidence.Session, Epoch: 2})...)
	b.Incarnation = []byte("fedcba9876543210")
	if err := next.Take(ctx, b, begin); err != nil {
		t.Fatal(err)
	}
	a, err := db.Agent(ctx, "icu")
	if err != nil || !a.SiteStop.At.IsZero() {
		t.Errorf("an agent with an empty journal is shown as stopped by %q (%s): %v", a.SiteStop.By, a.SiteStop.Why, err)
	}
}
