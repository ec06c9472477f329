package main

import (
	"testing"
	"time"
)

func TestATimeIsReadAsPeopleWriteIt(t *testing.T) {
	at := time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-11-24T02:00:00Z": at, "2026-11-24T02:00Z": at, "2026-11-24T03:00+01:00": at, "2026-11-24T02:00:00.5Z": at.Add(500 * time.Millisecond),
		"2026-11-24":       time.Date(2026, 11, 24, 0, 0, 0, 0, time.Local),
		"2026-11-24T02:00": time.Date(2026, 11, 24, 2, 0, 0, 0, time.Local),
	} {
		if got, err := timeOf(text); err != nil || !got.Equal(want) {
			t.Errorf("%s: %s %v", text, got, err)
		}
	}
	for _, text := range []string{"24.11.2026", "2026-11-24T24:00", "2026-11-24 02:00", "", "yesterday"} {
		if got, err := timeOf(text); err == nil {
			t.Errorf("%s: %s", text, got)
		}
	}
}

// Of a time that has not come nothing can be told, and no waiting for a signed head changes that.
func TestATimeThatHasNotComeIsNotAskedFor(t *testing.T) {
	s := serve(t, answers{})
	from, to := time.Now().Add(time.Hour).UTC().Format(time.RFC3339), time.Now().Add(2*time.Hour).UTC().Format(time.RFC3339)
	_, complaints, code := s.primum(nil, "touched", "10-1", "--between", from, to)
	want(t, "the future", complaints, code, exitUsage, "the time begins at ", ", which is still to come")
	if len(s.asked()) != 0 {
		t.Error("the controller was called")
	}
}
