package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	probev1 "primum/proto/probe/v1"
)

// Reply is one message of the device for the plugin.
type Reply struct {
	Message []byte
	Elapsed time.Duration
	Last    bool
}

// Wire is where proposed messages go. Its error ends the conversation; Why then says to the plugin
// how.
type Wire interface {
	Exchange(ctx context.Context, proposed []byte) (Reply, error)
	Why() (reason probev1.Closed_Reason, breach bool)
}

// maxFrames is more than the longest conversation has.
const maxFrames = 16

// Release gives the process back without a conversation.
func (s *Seat) Release() {
	h := s.plugin.host
	h.mu.Lock()
	s.since = time.Now()
	s.plugin.idle = append(s.plugin.idle, s)
	h.mu.Unlock()
	s.plugin.poke()
}

// Run carries one conversation and gives the process back. An error means that the plugin gave no result: a
// *Fault says how it failed; another error is that ctx ended. A process that failed, or that a conversation
// was taken from, is ended.
func (s *Seat) Run(ctx context.Context, start *probev1.Start, w Wire) (Result, error) {
	result, err := s.converse(ctx, start, w)
	h := s.plugin.host
	h.mu.Lock()
	if s.fault != nil {
		result, err = Result{}, s.fault
	}
	h.mu.Unlock()
	if err == nil {
		s.Release()
		return result, nil
	}
	var f *Fault
	_ = errors.As(err, &f) // nil: the end of ctx is nobody's fault
	s.plugin.end(s, f)
	return Result{}, err
}

// converse is the conversation.
func (s *Seat) converse(ctx context.Context, start *probev1.Start, w Wire) (Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stream, err := s.process.Run(ctx)
	if err != nil {
		return Result{}, failed(err, s.process)
	}
	frame := &probev1.HostFrame{Step: &probev1.HostFrame_Start{Start: start}}
	closed := false
	for range maxFrames {
		got, err := s.step(ctx, cancel, stream, frame)
		if err != nil {
			return Result{}, err
		}
		switch step := got.GetStep().(type) {
		case *probev1.PluginFrame_Result:
			result, err := clean(step.Result, s.declared())
			if err != nil {
				return Result{}, &Fault{Broke, clip(err.Error())}
			}
			return result, nil
		case *probev1.PluginFrame_Send:
			if closed {
				return Result{}, &Fault{Broke, "it sends after the end"}
			}
			reply, err := w.Exchange(ctx, step.Send.GetMessage())
			if err != nil {
				reason, bad := w.Why()
				if bad { // B1, B2: there is nothing more to say to it
					return Result{}, &Fault{Breached, clip(err.Error())}
				}
				closed = true
				frame = &probev1.HostFrame{Step: &probev1.HostFrame_Closed{Closed: &probev1.Closed{Reason: reason}}}
				continue
			}
			frame = &probev1.HostFrame{Step: &probev1.HostFrame_Reply{Reply: &probev1.Reply{Message: reply.Message, ElapsedUs: uint64(reply.Elapsed.Microseconds())}}}
		default:
			return Result{}, &Fault{Broke, "a frame that has no place here"}
		}
	}
	return Result{}, &Fault{Flooded, fmt.Sprintf("%d frames and no result", maxFrames)}
}

var (
	errStep  = errors.New("no frame in time")
	errStall = errors.New("the machine stood still")
)

// overdue says whose fault it is that a frame did not come: a timer that is itself late tells of a machine that
// stood still, as one that is moved to another host does, and every plugin on it would count as hung.
func overdue(after time.Duration) error {
	if after > stepTime+stallTime {
		return errStall
	}
	return errStep
}

// step hands the plugin one frame and hears its next one.
func (s *Seat) step(ctx context.Context, cancel context.CancelCauseFunc, stream probev1.Probe_RunClient, frame *probev1.HostFrame) (*probev1.PluginFrame, error) {
	began := time.Now()
	timer := time.AfterFunc(stepTime, func() { cancel(overdue(time.Since(began))) })
	defer timer.Stop()
	err := stream.Send(frame)
	var got *probev1.PluginFrame
	if err == nil || errors.Is(err, io.EOF) {
		got, err = stream.Recv()
	}
	switch {
	case err == nil:
		return got, nil
	case errors.Is(context.Cause(ctx), errStep):
		return nil, &Fault{Hung, fmt.Sprintf("no frame within %s", stepTime)}
	case ctx.Err() != nil:
		return nil, fmt.Errorf("the conversation was ended: %w", context.Cause(ctx))
	}
	return nil, failed(err, s.process)
}
