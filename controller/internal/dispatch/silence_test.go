package dispatch

import (
	"testing"
	"time"

	"primum/controller/internal/bell"
)

func TestAnAgentIsSilentOnceItsLeaseHasEndedWithoutASession(t *testing.T) {
	began := time.Date(2026, 7, 1, 2, 0, 0, 0, time.UTC)
	now := began
	s := &Service{Bell: &bell.Bell{}, Began: began, Now: func() time.Time { return now }}
	is := func(at time.Duration, since time.Duration, silent bool) {
		t.Helper()
		now = began.Add(at)
		got, yes := s.Silent("icu")
		if yes != silent || yes && !got.Equal(began.Add(since)) {
			t.Errorf("after %s: %s %v", at, got.Sub(began), yes)
		}
	}
	is(19*time.Second, 0, false) // the controller has just begun
	is(20*time.Second, 0, true)
	s.setOnline("icu", 1)
	is(time.Hour, 0, false)
	s.setOffline("icu", 1)
	is(time.Hour+19*time.Second, 0, false)
	is(time.Hour+20*time.Second, time.Hour, true)
	s.setOnline("icu", 3)
	s.setOffline("icu", 2) // the end of an older session
	is(2*time.Hour, 0, false)
}
