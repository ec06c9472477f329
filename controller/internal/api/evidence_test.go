package api

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
)

func TestTheRecordIsListedInPagesUpToTheNewestHeadAndNoFurther(t *testing.T) {
	ctx := t.Context()
	db, err := store.Open(ctx, t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Unix(1, 0)
	s := &evidenceService{API: &API{Store: db, Log: slog.New(slog.DiscardHandler)}}
	if err := db.Enrol(ctx, store.Certificate{Serial: "1", Agent: "icu", Until: now.Add(time.Hour)}, make([]byte, 32), now); err != nil {
		t.Fatal(err)
	}
	journal := []byte("0123456789abcdef")
	o, err := db.OpenSession(ctx, store.Opening{Agent: "icu", Incarnation: journal, Plugins: []string{}, At: now,
		Judge: func(store.Agent, bool, []store.Dispatched) (bool, []store.Fate, string) { return false, nil, "" }})
	if err != nil {
		t.Fatal(err)
	}
	b := store.Batch{Agent: "icu", Epoch: o.Agent.Epoch, Incarnation: journal, To: 25, Hash: []byte("hash"), At: now}
	for i := range uint64(25) {
		b.Records = append(b.Records, store.Record{Seq: i + 1, Kind: "sent", Raw: fmt.Appendf(nil, "record %d\n", i+1)})
	}
	if err := db.TakeRecords(ctx, b); err != nil {
		t.Fatal(err)
	}
	ask := func(token string) (*adminv1.ListEvidenceResponse, error) {
		return s.ListEvidence(ctx, &adminv1.ListEvidenceRequest{Agent: "agents/icu", PageSize: 10, PageToken: token})
	}
	if _, err := ask(""); status.Code(err) != codes.NotFound {
		t.Errorf("records without a signed head: %v", err)
	}
	for _, size := range []uint64{4, 10, 23} {
		if err := db.AddHead(ctx, store.Head{Agent: "icu", Incarnation: journal, Size: size, Note: fmt.Appendf(nil, "head %d\n", size), Key: "icu+key", At: now}); err != nil {
			t.Fatal(err)
		}
	}
	token, seen, heads := "", 0, []uint64{}
	for range 3 {
		r, err := ask(token)
		if err != nil || r.GetFirstSeq() != uint64(seen+1) || r.GetUncovered() != 2 || r.GetEvidenceKey() != "icu+key" {
			t.Fatalf("after %d: %v %v", seen, r, err)
		}
		for _, raw := range r.GetRecords() {
			if seen++; string(raw) != fmt.Sprintf("record %d\n", seen) {
				t.Errorf("record %d is %q", seen, raw)
			}
		}
		for _, h := range r.GetHeads() {
			if heads = append(heads, h.GetSize()); h.GetSize() > uint64(seen) {
				t.Errorf("the head over %d records comes with record %d", h.GetSize(), seen)
			}
		}
		token = r.GetNextPageToken()
	}
	if token != "" || seen != 23 || fmt.Sprint(heads) != "[4 10 23]" {
		t.Errorf("%d records, heads %v, more %q", seen, heads, token)
	}
	for name, r := range map[string]*adminv1.ListEvidenceRequest{"no agent": {}, "no such agent": {Agent: "agents/ward"}, "half a journal": {Agent: "agents/icu", Incarnation: []byte("1")}, "no such page": {Agent: "agents/icu", PageToken: "eA"}} {
		if got, err := s.ListEvidence(ctx, r); status.Code(err) != codes.InvalidArgument && status.Code(err) != codes.NotFound {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}
