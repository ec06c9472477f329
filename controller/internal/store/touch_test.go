package store

import (
	"strings"
	"testing"
	"time"

	"primum/safetylists/evidence"
)

func TestRecordsOfAnEarlierVersionAreFoundByTheirDeviceToo(t *testing.T) {
	ctx := t.Context()
	s, err := Open(ctx, t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Date(2026, 11, 24, 2, 0, 0, 250_000_000, time.UTC)
	journal := []byte("0123456789abcdef")
	if err := s.Enrol(ctx, Certificate{Serial: "1", Agent: "icu", Until: now.Add(time.Hour)}, make([]byte, 32), now); err != nil {
		t.Fatal(err)
	}
	o, err := s.OpenSession(ctx, Opening{Agent: "icu", Incarnation: journal, Plugins: []string{}, At: now,
		Judge: func(Agent, bool, []Dispatched) (bool, []Fate, string) { return false, nil, "" }})
	if err != nil {
		t.Fatal(err)
	}
	raw, _, err := evidence.Record{Seq: 2, At: now, Kind: evidence.Sent, Device: "10-1"}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	// stored without what is found by: as it was before
	if err := s.TakeRecords(ctx, Batch{Agent: "icu", Epoch: o.Agent.Epoch, Incarnation: journal, To: 2, Hash: []byte("h"), At: now,
		Records: []Record{{Seq: 1, Kind: "unreadable", Raw: []byte("{")}, {Seq: 2, Kind: "sent", Raw: raw}}}); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Touches(ctx, "10-1", now.Add(-time.Second), now.Add(time.Second), 9); err != nil || len(found) != 0 {
		t.Fatalf("%v %v", found, err)
	}
	script, err := migrations.ReadFile("migrations/00009_touch.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, insert, ok := strings.Cut(string(script), "INSERT INTO touch")
	if !ok {
		t.Fatal("the migration fills nothing")
	}
	if _, err := s.w.ExecContext(ctx, "INSERT INTO touch"+insert); err != nil {
		t.Fatal(err)
	}
	found, err := s.Touches(ctx, "10-1", now.Add(-2*time.Millisecond), now.Add(2*time.Millisecond), 9)
	if err != nil || len(found) != 1 || found[0].Seq != 2 || string(found[0].Raw) != string(raw) {
		t.Errorf("%v %v", found, err)
	}
}
