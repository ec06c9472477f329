package sdk

import (
	"errors"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	probev1 "primum/proto/probe/v1"
)

const (
	maxSend  = 1024
	maxReply = 16384
)

// NewServer is the service of a probe without a process around it. Authors need Serve; sdktest
// needs this.
func NewServer(p Probe) probev1.ProbeServer { return &server{probe: p} }

type server struct {
	probev1.UnimplementedProbeServer
	probe Probe
}

// Run serves one stream: a description, or one conversation. Frames out of order end it, because
// a plugin that guesses what the agent meant would guess on the wire.
func (s *server) Run(stream probev1.Probe_RunServer) (err error) {
	// A fault of a probe must end its own conversation, not those beside it in the same process.
	defer func() {
		if r := recover(); r != nil {
			err = status.Errorf(codes.Internal, "probe panicked: %v", r)
		}
	}()
	first, err := receive(stream)
	if err != nil {
		return err
	}
	switch step := first.GetStep().(type) {
	case *probev1.HostFrame_Describe:
		d := s.probe.Describe()
		if err := d.check(); err != nil {
			return status.Errorf(codes.Internal, "check description: %v", err)
		}
		return stream.Send(descriptionFrame(d))
	case *probev1.HostFrame_Start:
		return s.converse(stream, step.Start)
	default:
		return status.Errorf(codes.FailedPrecondition, "the first frame is neither describe nor start")
	}
}

func (s *server) converse(stream probev1.Probe_RunServer, start *probev1.Start) error {
	c, err := s.begin(start)
	if err != nil {
		return err
	}
	for {
		message := c.Next()
		if message == nil {
			return s.finish(stream, c, EndOfQuestion)
		}
		if len(message) == 0 || len(message) > maxSend {
			return status.Errorf(codes.Internal, "probe built a message of %d octets, 1 to %d are allowed", len(message), maxSend)
		}
		if err := stream.Send(sendFrame(message)); err != nil {
			return err
		}
		frame, err := receive(stream)
		if err != nil {
			return err
		}
		switch step := frame.GetStep().(type) {
		case *probev1.HostFrame_Reply:
			if n := len(step.Reply.GetMessage()); n > maxReply {
				return status.Errorf(codes.InvalidArgument, "reply of %d octets, at most %d are allowed", n, maxReply)
			}
			c.Read(Reply{
				Message: step.Reply.GetMessage(),
				Elapsed: time.Duration(min(step.Reply.GetElapsedUs(), maxMicroseconds)) * time.Microsecond,
			})
		case *probev1.HostFrame_Closed:
			ending, err := endingOf(step.Closed)
			if err != nil {
				return status.Error(codes.InvalidArgument, err.Error())
			}
			return s.finish(stream, c, ending)
		default:
			return status.Error(codes.FailedPrecondition, "neither a reply nor an end follows a message")
		}
	}
}

// maxMicroseconds keeps the conversion to a Duration from overflowing.
const maxMicroseconds = uint64(1<<63-1) / uint64(time.Microsecond)

func (s *server) begin(start *probev1.Start) (Conversation, error) {
	q, err := questionOf(start)
	if errors.Is(err, ErrUnknownQuestion) {
		return nil, status.Error(codes.Unimplemented, "start holds no question that this SDK knows")
	}
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "read question: %v", err)
	}
	// Asked here and not only of the probe, so that no author can forget it.
	if !slices.Contains(s.probe.Describe().Kinds, q.Kind()) {
		return nil, status.Errorf(codes.Unimplemented, "this probe does not speak %q", q.Kind())
	}
	c, err := s.probe.Begin(q)
	switch {
	case errors.Is(err, ErrUnknownQuestion):
		return nil, status.Errorf(codes.Unimplemented, "this probe does not speak %q", q.Kind())
	case err != nil:
		return nil, status.Errorf(codes.InvalidArgument, "begin %s: %v", q.Kind(), err)
	case c == nil:
		return nil, status.Errorf(codes.Internal, "probe began no conversation")
	}
	return c, nil
}

func (s *server) finish(stream probev1.Probe_RunServer, c Conversation, e Ending) error {
	r, all := c.Result(e), s.probe.Describe().Attributes
	if err := r.check(all); err != nil {
		return status.Errorf(codes.Internal, "check result: %v", err)
	}
	return stream.Send(resultFrame(r, all))
}

// receive tells an agent that has gone away from one that broke the order of frames.
func receive(stream probev1.Probe_RunServer) (*probev1.HostFrame, error) {
	frame, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil, status.Error(codes.FailedPrecondition, "the agent ended the stream before the result")
	}
	return frame, err
}
