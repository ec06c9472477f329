package dispatch

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// An agent puts a journal aside after a restore of its machine, or on a person's word: once. Two machines that are one agent, as after a copy
// of a disk, put each other's journal aside with every session, and end each other's questions as unknown.
const (
	mostAside   = 5
	asideWithin = 10 * time.Minute
)

// twice refuses an agent that seems to run on two machines, until a person has enrolled one of them anew: the other one has no certificate
// then (H-051).
func (s *Service) twice(ctx context.Context, agent string, now time.Time) error {
	n, err := s.Store.PutAside(ctx, agent, now.Add(-asideWithin))
	if err != nil || n < mostAside {
		return err
	}
	why := fmt.Sprintf("%d journals of it were put aside within %s: two machines seem to run it, as after a copy of its disk, or its journal is begun anew again and again. Find out which, and end it on all machines but one", n, asideWithin)
	s.Log.Error("an agent gets no session before it is enrolled anew", "agent", agent, "why", why)
	if err := s.Store.RefuseAgent(ctx, agent, why, now); err != nil {
		return err
	}
	return status.Error(codes.PermissionDenied, why+". A person has to look, and to enrol it anew")
}
