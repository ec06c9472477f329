package evidence_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// chain is the story of one question, from the first record of a journal to its outcome.
func chain(t testing.TB) (records [][]byte, head evidence.Head) {
	t.Helper()
	start := time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)
	uptime := uint32(76_062_000)
	for i, r := range []evidence.Record{
		{Kind: evidence.Begun, Incarnation: strings.Repeat("ab", 16)},
		{Kind: evidence.Session, Epoch: 4},
		{Kind: evidence.ListSeen, Version: 3, Digest: strings.Repeat("cd", 32)},
		{Kind: evidence.Received, Epoch: 4, Order: "orders/1", Permits: [][]byte{{1, 2, 3}}},
		{Kind: evidence.Started, Order: "orders/1", Permit: "p1", Device: "10-1001", Address: "127.42.1.1:10161", GapMS: 5000, RestMS: 86_400_000},
		{Kind: evidence.Sent, Permit: "p1", Digest: strings.Repeat("ef", 32), Length: 92, Words: "GetRequest <4 objects>"},
		{Kind: evidence.Got, Permit: "p1", Digest: strings.Repeat("01", 32), Length: 160},
		{Kind: evidence.Outcome, Permit: "p1", Result: &evidence.Result{State: evidence.Answered, Reason: list.Allowed, Uptime: &uptime, Messages: 1,
			Facts: []evidence.Fact{{Field: "model", Value: "Vela 3", Origin: "sysDescr.0"}}}},
	} {
		r = head.Next(r)
		r.At = start.Add(time.Duration(i) * time.Millisecond)
		b, _, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, next, err := head.Follow(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, got); diff != "" {
			t.Fatalf("record (-want +got):\n%s", diff)
		}
		records, head = append(records, b), next
	}
	return records, head
}

func TestWholeChainVerifies(t *testing.T) {
	records, want := chain(t)
	got, err := evidence.Verify(evidence.Head{}, records)
	if err != nil || got != want {
		t.Fatalf("head %v, want %v: %v", got, want, err)
	}
	middle, err := evidence.Verify(evidence.Head{}, records[:4])
	if err != nil {
		t.Fatal(err)
	}
	if got, err = evidence.Verify(middle, records[4:]); err != nil || got != want {
		t.Errorf("in two parts: head %v: %v", got, err)
	}
}

func TestEveryChangedOctetIsFound(t *testing.T) {
	records, head := chain(t)
	for i, record := range records {
		for j := range record {
			for _, flip := range []byte{0x01, 0x20} {
				changed := slices.Clone(records)
				changed[i] = bytes.Clone(record)
				changed[i][j] ^= flip
				// The last record has no successor: its change shows in the head.
				if got, err := evidence.Verify(evidence.Head{}, changed); err == nil && got == head {
					t.Fatalf("record %d, octet %d changed by %02X: not found", i+1, j, flip)
				}
			}
		}
	}
}

func TestDroppedRepeatedAndReorderedRecordsAreFound(t *testing.T) {
	records, head := chain(t)
	for i := range records {
		dropped := slices.Delete(slices.Clone(records), i, i+1)
		if got, err := evidence.Verify(evidence.Head{}, dropped); err == nil && got == head {
			t.Errorf("record %d dropped: not found", i+1)
		} else if i < len(records)-1 && !errors.Is(err, evidence.ErrBroken) {
			t.Errorf("record %d dropped: %v", i+1, err)
		}
		repeated := slices.Insert(slices.Clone(records), i, records[i])
		if _, err := evidence.Verify(evidence.Head{}, repeated); !errors.Is(err, evidence.ErrBroken) {
			t.Errorf("record %d repeated: %v", i+1, err)
		}
		for j := range i {
			swapped := slices.Clone(records)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			if _, err := evidence.Verify(evidence.Head{}, swapped); !errors.Is(err, evidence.ErrBroken) {
				t.Errorf("records %d and %d swapped: %v", j+1, i+1, err)
			}
		}
	}
}

func TestRecordsOfOtherFormAreRefused(t *testing.T) {
	records, _ := chain(t)
	last := records[len(records)-1]
	for name, b := range map[string][]byte{
		"nothing":            {},
		"a space":            bytes.Replace(last, []byte(`":`), []byte(`": `), 1),
		"no line end":        bytes.TrimSpace(last),
		"an unknown field":   bytes.Replace(last, []byte(`{"seq"`), []byte(`{"more":1,"seq"`), 1),
		"something after it": append(bytes.Clone(last), "{}\n"...),
		"nanoseconds":        bytes.Replace(last, []byte(".007Z"), []byte(".007000001Z"), 1),
		"another zone":       bytes.Replace(last, []byte(".007Z"), []byte(".007+00:00"), 1),
		"above MaxRecord":    append(bytes.Clone(last), make([]byte, evidence.MaxRecord)...),
	} {
		if bytes.Equal(b, last) {
			t.Errorf("%s: the change changed nothing", name)
		}
		if _, _, err := evidence.Decode(b); !errors.Is(err, evidence.ErrForm) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnlyWhatEndedBeforeTheFirstOctetLeavesADeviceUntouched(t *testing.T) {
	for _, s := range []evidence.State{evidence.Answered, evidence.Absent, evidence.Busy, evidence.Declined, evidence.Distress, evidence.Incident, evidence.Unknown, ""} {
		if !(evidence.Result{State: s}).Touched() {
			t.Errorf("%q counts as untouched", s)
		}
	}
	for _, s := range []evidence.State{evidence.Refused, evidence.Stopped} {
		if (evidence.Result{State: s}).Touched() {
			t.Errorf("%s before the first octet counts as touched", s)
		}
		if !(evidence.Result{State: s, Messages: 1}).Touched() || !(evidence.Result{State: s, Asked: time.Unix(1, 0)}).Touched() {
			t.Errorf("%s in the middle of a conversation counts as untouched", s)
		}
	}
}

// FuzzDecode holds that whatever decodes is what Encode writes, octet for octet.
func FuzzDecode(f *testing.F) {
	records, _ := chain(f)
	for _, b := range records {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, hash, err := evidence.Decode(b)
		if err != nil {
			return
		}
		again, other, err := r.Encode()
		if err != nil || !bytes.Equal(b, again) || hash != other {
			t.Fatalf("%s came back as %s: %v", b, again, err)
		}
	})
}
