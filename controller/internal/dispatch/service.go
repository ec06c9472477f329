// Package dispatch is the controller's end of the one stream that each agent holds: it opens sessions
// and fences older ones, hands over papers, holds, secrets and permits, and takes in records. It sends
// no permit before its dispatch is committed (CONTROL-PLANE I1), and never speaks to a device.
package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"primum/controller/internal/approve"
	"primum/controller/internal/bell"
	"primum/controller/internal/enroll"
	"primum/controller/internal/ingest"
	"primum/controller/internal/safety"
	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
	list "primum/safetylists"
)

// Service implements primum.control.v1.AgentService.
type Service struct {
	controlv1.UnimplementedAgentServiceServer
	Store  *store.Store
	Safety *safety.Keeper
	Minter *approve.Minter
	Bell   *bell.Bell
	Now    func() time.Time
	Log    *slog.Logger
	Lease  time.Duration // of each beat; 15 s unless the site says less (DESIGN 6.8)
	Began  time.Time     // of this life of the controller
	// Device is a device as the inventory has it now. It fails with store.ErrNotFound for one that is not in it.
	Device func(ctx context.Context, tag string) (list.Device, error)

	pace pace

	mu      sync.Mutex
	online  map[string]uint64    // agent to epoch; guarded by mu
	left    map[string]time.Time // when the last session of an agent without one ended; guarded by mu
	lost    map[string]bool      // agents that came last with less than what is missing here; guarded by mu
	away    map[string]string    // agents that were turned away since their last session, and why; guarded by mu
	readers sync.WaitGroup
}

type (
	fromAgent = controlv1.AgentMessage
	toAgent   = controlv1.ControllerMessage
	wire      = grpc.BidiStreamingServer[controlv1.AgentMessage, controlv1.ControllerMessage]
)

// The waits of a session.
const (
	greeting = 10 * time.Second // for Hello and EpochAck
	silence  = 75 * time.Second // between two messages: an idle agent beats every 30 s
	look     = time.Second      // at what time alone makes due
)

// Online reports whether an agent has a session that may be given work.
func (s *Service) Online(agent string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.online[agent] > 0
}

// Lost reports whether an agent gets no session because records are missing here that it has trimmed.
func (s *Service) Lost(agent string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost[agent]
}

func (s *Service) setLost(agent string, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost == nil {
		s.lost = map[string]bool{}
	}
	s.lost[agent] = lost
}

// Wait returns when the readers of all ended streams have ended; call it after the server has stopped.
func (s *Service) Wait() { s.readers.Wait() }

func (s *Service) setOnline(agent string, epoch uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.online == nil {
		s.online = map[string]uint64{}
	}
	s.online[agent] = max(s.online[agent], epoch)
	s.Bell.Ring()
}

func (s *Service) setOffline(agent string, epoch uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.online[agent] == epoch {
		delete(s.online, agent)
		if s.left == nil {
			s.left = map[string]time.Time{}
		}
		s.left[agent] = s.Now()
	}
	s.Bell.Ring()
}

// Connect implements the call.
func (s *Service) Connect(stream wire) error {
	ctx := stream.Context()
	caller, err := enroll.Peer(ctx, s.Store)
	if err != nil {
		if status.Code(err) == codes.Unauthenticated && caller.Agent != "" { // TLS has verified that the name is of this authority
			s.turn(caller.Agent, err)
		}
		return err
	}
	name := caller.Agent
	in := s.read(stream)
	hello, err := await(ctx, in, "Hello", (*fromAgent).GetHello)
	if err != nil {
		return err
	}
	ses, reset, err := s.open(ctx, stream, caller, hello)
	if err != nil || reset {
		return s.ended(name, err)
	}
	ack, err := await(ctx, in, "EpochAck", (*fromAgent).GetEpochAck)
	if err != nil {
		return err
	}
	if ack.GetSessionEpoch() != ses.epoch {
		return status.Error(codes.Aborted, "the agent confirms another session")
	}
	if err := s.Store.ConfirmEpoch(ctx, name, ses.epoch, ack.GetJournalLsn(), s.Now()); err != nil {
		return s.ended(name, err)
	}
	// whether the journal goes on from what is stored, its record of the session says
	ses.told = max(ses.told, ack.GetJournalLsn())
	if err := stream.Send(&toAgent{Kind: &controlv1.ControllerMessage_Ready{Ready: &controlv1.Ready{}}}); err != nil {
		return err
	}
	s.turn(name, nil)
	s.setOnline(name, ses.epoch)
	defer s.setOffline(name, ses.epoch)
	s.Log.Info("session opened", "agent", name, "epoch", ses.epoch)
	err = ses.serve(ctx, in)
	s.Log.Info("session ended", "agent", name, "epoch", ses.epoch, "why", err)
	return s.ended(name, err)
}

// ended makes of an error what the agent hears.
func (s *Service) ended(agent string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrFenced), errors.Is(err, store.ErrGap), errors.Is(err, ingest.ErrForm):
		return status.Error(codes.Aborted, err.Error())
	case status.Code(err) != codes.Unknown:
		return err
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the stream ended")
	}
	s.Log.Error("session failed", "agent", agent, "error", err)
	if words := store.Fault(err); words != "" {
		return status.Error(codes.Internal, words)
	}
	return status.Error(codes.Internal, "the controller could not go on; see its log")
}

// read hands over what the agent says, until the stream ends; then the channel is closed.
func (s *Service) read(stream wire) <-chan *fromAgent {
	in := make(chan *fromAgent)
	s.readers.Go(func() {
		defer close(in)
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			select {
			case in <- m:
			case <-stream.Context().Done():
				return
			}
		}
	})
	return in
}

// await returns the one message that has to come next.
func await[T any](ctx context.Context, in <-chan *fromAgent, what string, get func(*fromAgent) *T) (*T, error) {
	timer := time.NewTimer(greeting)
	defer timer.Stop()
	select {
	case m, ok := <-in:
		if ok {
			if v := get(m); v != nil {
				return v, nil
			}
		}
		return nil, status.Errorf(codes.InvalidArgument, "the agent did not send %s", what)
	case <-timer.C:
		return nil, status.Errorf(codes.DeadlineExceeded, "the agent did not send %s in %s", what, greeting)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
