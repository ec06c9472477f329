package dispatch

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	controlv1 "primum/proto/control/v1"
)

// H-051: a copy of an agent's disk runs beside it. Each session of one puts the journal of the other one aside; after some of them neither
// gets a session, and the list of agents says why, until a person has enrolled one of them anew.
func TestAnAgentOnTwoMachinesIsRefusedUntilItIsEnrolledAnew(t *testing.T) {
	s, _ := service(t)
	now := time.Now()
	s.Now = func() time.Time { now = now.Add(time.Second); return now }
	cert := enrolled(t, s, "icu")
	comes := func(n int) error {
		t.Helper()
		st, ended := connect(t, s, cert, &controlv1.Hello{Incarnation: fmt.Appendf(nil, "journal %8d", n), JournalLsn: 1})
		select {
		case <-st.out:
			return nil
		case err := <-ended:
			return err
		case <-time.After(5 * time.Second):
			t.Fatal("neither a welcome nor an end")
		}
		return nil
	}
	for n := range mostAside {
		if err := comes(n); err != nil {
			t.Fatalf("journal %d: %v", n, err)
		}
	}
	for n := range 2 {
		if err := comes(mostAside + n); status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "two machines seem to run it") {
			t.Errorf("one more: %v", err)
		}
	}
	if a, err := s.Store.Agent(t.Context(), "icu"); err != nil || !strings.Contains(a.HeadRefused, "two machines") {
		t.Errorf("%q %v", a.HeadRefused, err)
	}
	cert = enrolled(t, s, "icu")
	if err := comes(mostAside + 2); err != nil {
		t.Errorf("after it was enrolled anew: %v", err)
	}
}

// An agent that puts a journal aside now and then, as on a person's word, goes on.
func TestAnAgentThatBeginsAJournalNowAndThenGoesOn(t *testing.T) {
	s, _ := service(t)
	now := time.Now()
	s.Now = func() time.Time { return now }
	cert := enrolled(t, s, "icu")
	for n := range 2 * mostAside {
		st, ended := connect(t, s, cert, &controlv1.Hello{Incarnation: fmt.Appendf(nil, "journal %8d", n), JournalLsn: 1})
		select {
		case <-st.out:
		case err := <-ended:
			t.Fatalf("journal %d: %v", n, err)
		case <-time.After(5 * time.Second):
			t.Fatal("no welcome")
		}
		now = now.Add(asideWithin / (mostAside - 1))
	}
}
