package api

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
	"primum/safetylists/evidence"
)

const (
	filledDevices = 20_000
	filledFrom    = 1_767_225_600 // 2026-01-01, a record each second
)

// filled is a controller with n records of one agent: questions of four records, to one device after the other.
// SQLite makes them itself; ten million take minutes all the same.
func filled(t testing.TB, n int) *evidenceService { return filledHead(t, n, n) }

// filledHead has a head over some of the records, signed after the end of all. Of those it covers the clock was a year ahead.
func filledHead(t testing.TB, n, head int) *evidenceService {
	t.Helper()
	ctx, dir, now := t.Context(), t.TempDir(), time.Unix(filledFrom, 0)
	db, err := store.Open(ctx, dir, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	journal := []byte("0123456789abcdef")
	if err := db.Enrol(ctx, store.Certificate{Serial: "1", Agent: "icu", Until: now.Add(time.Hour)}, make([]byte, 32), now); err != nil {
		t.Fatal(err)
	}
	if _, err := db.OpenSession(ctx, store.Opening{Agent: "icu", Incarnation: journal, Plugins: []string{}, At: now,
		Judge: func(store.Agent, bool, []store.Dispatched) (bool, []store.Fate, string) { return false, nil, "" }}); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "primum.db")+"?_pragma=synchronous(OFF)&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	const kinds = `CASE n %% 4 WHEN 0 THEN 'started' WHEN 1 THEN 'sent' WHEN 2 THEN 'got' ELSE 'outcome' END`
	const steps = `WITH RECURSIVE c(n) AS (SELECT %[1]d UNION ALL SELECT n + 1 FROM c WHERE n < %[2]d) `
	for first := 1; first <= n; first += 1_000_000 {
		last := min(n, first+999_999)
		for _, q := range []string{
			`INSERT INTO record (agent, incarnation, seq, kind, raw, tree) ` + steps + `SELECT 'icu', CAST('0123456789abcdef' AS BLOB), n, ` + kinds + `,
				CAST(format('{"seq":%%d,"prev":"%%064d","at":"%%s","kind":"%%s","permit":"p%%d","device":"10-%%d"%%s}' || char(10), n, 0, strftime('%%Y-%%m-%%dT%%H:%%M:%%SZ', %[3]d + n, 'unixepoch'), ` + kinds + `, n / 4, n / 4 %% %[4]d,
				CASE n %% 4 WHEN 3 THEN ',"result":{"state":"ANSWERED"}' ELSE ',"digest":"' || format('%%064d', n) || '"' END) AS BLOB), zeroblob(64) FROM c`,
			`INSERT INTO touch (device, at, agent, incarnation, seq, kind) ` + steps + `SELECT '10-' || (n / 4 %% %[4]d), (%[3]d + n) * 1000000, 'icu', CAST('0123456789abcdef' AS BLOB), n, ` + kinds + ` FROM c`,
		} {
			if _, err := raw.ExecContext(ctx, fmt.Sprintf(q, first, last, filledFrom, filledDevices)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if head < n {
		if _, err := raw.ExecContext(ctx, `UPDATE record SET raw = CAST(replace(CAST(raw AS TEXT), '"2026-', '"2027-') AS BLOB) WHERE seq <= ?`, head); err != nil {
			t.Fatal(err)
		}
	}
	text, _, err := evidence.NewEvidenceKey(rand.Reader, "icu")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := evidence.NewSigner(text)
	if err != nil {
		t.Fatal(err)
	}
	note, err := signer.Sign(evidence.TreeHead{Agent: "icu", Incarnation: "30313233343536373839616263646566", Size: uint64(head), At: time.Unix(filledFrom+int64(n), 0)})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.AddHead(ctx, store.Head{Agent: "icu", Incarnation: journal, Size: uint64(head), Note: note, Key: signer.Verifier(), At: now}); err != nil {
		t.Fatal(err)
	}
	return &evidenceService{API: &API{Store: db, Log: slog.New(slog.DiscardHandler)}}
}

// touched asks about a device in the records from one number to before another.
func (s *evidenceService) touched(t testing.TB, device, from, to int) *adminv1.Touched {
	t.Helper()
	r, err := s.GetTouched(t.Context(), &adminv1.GetTouchedRequest{Device: fmt.Sprintf("devices/10-%d", device),
		From: &timestamppb.Timestamp{Seconds: filledFrom + int64(from)}, To: &timestamppb.Timestamp{Seconds: filledFrom + int64(to)}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTouchedTellsWhatWasSentAndThatNothingWas(t *testing.T) {
	s := filled(t, 2*4*filledDevices) // every device twice
	again := 4 * filledDevices
	r := s.touched(t, 7, 20, again)
	if len(r.GetRecords()) != 4 || r.GetRecords()[0].GetSeq() != 28 || r.GetRecords()[0].GetKind() != "started" || r.GetRecords()[3].GetKind() != "outcome" ||
		r.GetBefore() != nil || r.GetAfter().GetSeq() != uint64(again+31) {
		t.Errorf("a time with one question: %v", r)
	}
	r = s.touched(t, 7, 32, again)
	if len(r.GetRecords()) != 0 || r.GetBefore().GetSeq() != 31 || r.GetAfter().GetSeq() != uint64(again+31) {
		t.Errorf("a time with none: %v", r)
	}
	if j := r.GetJournals(); len(j) != 1 || !j[0].GetShown() || j[0].GetFirstSeq() != 32 || j[0].GetLastSeq() != uint64(again-1) {
		t.Errorf("what shows it: %v", j)
	}
	if j := s.touched(t, 7, 32, 2*again+1).GetJournals(); len(j) != 1 || j[0].GetShown() || j[0].GetLastSeq() != uint64(2*again) {
		t.Errorf("a time that the newest head does not reach is shown: %v", j)
	}
	if _, err := s.GetTouched(t.Context(), &adminv1.GetTouchedRequest{Device: "devices/1", From: timestamppb.Now()}); err == nil {
		t.Error("a time without an end is taken")
	}
	mistyped := &adminv1.GetTouchedRequest{Device: "devices/10-1O", From: &timestamppb.Timestamp{Seconds: filledFrom}, To: &timestamppb.Timestamp{Seconds: filledFrom + 20}}
	if r, err := s.GetTouched(t.Context(), mistyped); status.Code(err) != codes.NotFound {
		t.Errorf("a tag that nobody has is told: %v, %v", r, err)
	}
	if _, err := s.Store.PutDevices(t.Context(), []store.Device{{Tag: "10-1O", Cells: map[string]string{"asset_tag": "10-1O"}}}, nil, store.Audit{At: time.Unix(filledFrom, 0)}); err != nil {
		t.Fatal(err)
	}
	if r, err := s.GetTouched(t.Context(), mistyped); err != nil || len(r.GetRecords()) != 0 {
		t.Errorf("a device that was never asked: %v, %v", r, err)
	}
}

// H-018: where an agent's clock was set back, its numbers and times do not grow together. A head that does not reach what was found
// shows nothing about it.
func TestWhatWasFoundBehindTheHeadIsNotShownByIt(t *testing.T) {
	s := filledHead(t, 40, 24)
	r := s.touched(t, 7, 25, 36)
	if len(r.GetRecords()) != 4 {
		t.Fatalf("%v", r.GetRecords())
	}
	if j := r.GetJournals(); len(j) != 1 || j[0].GetShown() || j[0].GetFirstSeq() > 28 || j[0].GetLastSeq() < 31 {
		t.Errorf("what shows it: %v", j)
	}
}

// BenchmarkTouchedInTenMillionRecords is under a second for one call, whatever the device and the time (issue 5).
func BenchmarkTouchedInTenMillionRecords(b *testing.B) {
	const records = 10_000_000
	began := time.Now()
	s := filled(b, records)
	b.Logf("%d records made in %s", records, time.Since(began).Round(time.Second))
	worst, i := time.Duration(0), 0
	for b.Loop() {
		start := time.Now()
		r := s.touched(b, i*7919%filledDevices, records/10, records-records/10)
		worst = max(worst, time.Since(start))
		if len(r.GetRecords()) == 0 || len(r.GetJournals()) != 1 || !r.GetJournals()[0].GetShown() {
			b.Fatalf("%v", r)
		}
		i++
	}
	b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
	if worst > time.Second {
		b.Errorf("the slowest answer took %s", worst)
	}
}
