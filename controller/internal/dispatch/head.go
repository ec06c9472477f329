package dispatch

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"primum/safetylists/evidence"
)

// evidenceKey returns the verifier of an agent's signed heads: the first that it named after its enrolment. One
// with another key, or with a head that was refused, gets no session (H-029).
func (s *Service) evidenceKey(ctx context.Context, agent, named string) (string, error) {
	if err := evidence.CheckVerifier(named, agent); err != nil {
		return "", status.Error(codes.InvalidArgument, err.Error())
	}
	kept, refused, err := s.Store.EvidenceKey(ctx, agent, named)
	switch {
	case err != nil:
		return "", err
	case refused != "":
		s.Log.Error("an agent that was refused gets no session before it is enrolled anew", "agent", agent, "why", refused)
		return "", status.Error(codes.PermissionDenied, refused+". A person has to look, and to enrol it anew")
	case kept != named:
		s.Log.Error("incident: an agent comes with another evidence key than it had", "agent", agent, "had", kept, "has", named)
		return "", status.Error(codes.PermissionDenied, "the evidence key is not the one of this enrolment; a person has to look, and to enrol the agent anew")
	}
	return kept, nil
}

// head takes a signed head. One that does not fit the records is an incident: who wrote the journal is not to be
// believed, and the agent is given no more work.
func (ses *session) head(ctx context.Context, note []byte, now time.Time) error {
	err := ses.intake.Head(ctx, note, now)
	if !errors.Is(err, evidence.ErrHead) {
		return err
	}
	ses.Log.Error("incident: a signed head does not fit the records of its agent", "agent", ses.agent, "why", err, "head", string(note[:min(len(note), evidence.MaxHead)]))
	if err := ses.Store.RefuseAgent(ctx, ses.agent, "a signed head does not fit its records: "+err.Error(), now); err != nil {
		return err
	}
	return status.Error(codes.PermissionDenied, err.Error())
}
