package dispatch

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	controlv1 "primum/proto/control/v1"
)

// H-042, CONTROL-PLANE 4.7: a controller that lacks records which an agent has trimmed opens no session with it, changes nothing,
// and says which ones. Another journal is taken.
func TestAnAgentWhoseTrimmedRecordsAreLostGetsNoSession(t *testing.T) {
	s, _ := service(t)
	cert := enrolled(t, s, "icu")
	before, err := s.Store.Agent(t.Context(), "icu")
	if err != nil {
		t.Fatal(err)
	}
	hello := func(first uint64) *controlv1.Hello {
		return &controlv1.Hello{Incarnation: []byte("0123456789abcdef"), JournalLsn: 90, LastEpoch: 3, JournalFirst: first}
	}
	st, ended := connect(t, s, cert, hello(41))
	select {
	case err := <-ended:
		if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "from 1 to 40") {
			t.Errorf("%v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the session was opened")
	}
	if after, err := s.Store.Agent(t.Context(), "icu"); err != nil || after.Epoch != before.Epoch || len(after.Incarnation) != 0 || len(st.out) != 0 {
		t.Errorf("the agent was told %d messages and stands at %+v: %v", len(st.out), after, err)
	}
	if !s.Lost("icu") || s.Online("icu") {
		t.Errorf("lost %v, online %v", s.Lost("icu"), s.Online("icu"))
	}
	again, _ := connect(t, s, cert, hello(1)) // a journal that is whole
	select {
	case m := <-again.out:
		if m.GetWelcome() == nil || m.GetWelcome().GetRecordHwm() != 0 {
			t.Errorf("%v", m)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("a whole journal gets no session")
	}
	if s.Lost("icu") {
		t.Error("it still counts as lost")
	}
}
