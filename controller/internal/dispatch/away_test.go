package dispatch

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	controlv1 "primum/proto/control/v1"
)

// A controller that was restored from a backup does not know the certificates that its agents have renewed since, and lets none of them in. Who
// lists the agents reads it, until the agent is back.
func TestAnAgentThatIsTurnedAwayIsNamedUntilItIsBack(t *testing.T) {
	s, _ := service(t)
	now, _ := service(t) // the controller before it was restored
	renewed := enrolled(t, now, "icu")
	known := enrolled(t, s, "icu")
	hello := &controlv1.Hello{Incarnation: []byte("0123456789abcdef"), JournalLsn: 1}
	if words := s.TurnedAway("icu"); words != "" {
		t.Errorf("before it has come: %s", words)
	}
	_, ended := connect(t, s, renewed, hello)
	select {
	case err := <-ended:
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("%v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("a certificate that is not known opens a session")
	}
	if words := s.TurnedAway("icu"); !strings.Contains(words, "revoked, has ended, or is not of this controller; enrol it again") {
		t.Errorf("after it was turned away: %q", words)
	}
	if words := s.TurnedAway("ward"); words != "" {
		t.Errorf("another agent: %s", words)
	}
	live(t, s, known, 0)
	if words := s.TurnedAway("icu"); words != "" {
		t.Errorf("after it came back: %s", words)
	}
}
