// Package uplink is the agent's one connection to the controller: mutual TLS, one stream, reconnect
// with jitter. It carries papers and records and decides nothing. It must never import guard or wire.
package uplink

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "primum/proto/control/v1"
)

// Local is the agent behind the stream. Its methods are called one at a time, except Records, First, Head and Busy.
type Local interface {
	Hello() *controlv1.Hello
	Begin(epoch uint64) (lsn uint64, err error)
	Reset() error
	Holds(*controlv1.HoldState) bool
	Release(bundle []byte) (reason, detail string)
	Plan(document []byte, a *controlv1.Approval) (reason, detail string)
	Order(*controlv1.WorkOrder) (lsn uint64, err error)
	Cancel(order string)
	Secret(*controlv1.Secret) error
	Clear(*controlv1.Clearance) (reason, detail string)
	Lease(sent time.Duration, l *controlv1.Lease)
	Down()

	LSN() uint64
	Busy() bool
	Grown() <-chan struct{}
	Records(from uint64) ([][]byte, error)
	// First is the oldest record that is still here.
	First() uint64
	// Acknowledged is told up to which record the controller has stored them all.
	Acknowledged(seq uint64)
	Incarnation() []byte
	// Head returns the newest signed head, how many records it covers, and what is closed when there is a newer one.
	Head() (note []byte, size uint64, newer <-chan struct{})
}

// Config is where and how.
type Config struct {
	Address string
	Creds   func() (credentials.TransportCredentials, error) // read at each connect: certificates are renewed
	Boot    func() time.Duration
	Log     *slog.Logger
	Busy    time.Duration // between beats while there is work. Defaults to 5 s
	Idle    time.Duration // between beats otherwise. Defaults to 30 s
}

// ErrReset says that the controller does not know this journal; the agent begins a new one.
var ErrReset = errors.New("the controller asks for a new journal")

// ErrLost says that the controller lacks records which it had acknowledged. There is no session then, and so no lease: nothing
// is asked (CONTROL-PLANE 4.7).
var ErrLost = errors.New("the controller has lost records of this agent")

// settled is how long a session lasts that shows that the controller can be reached: a middle that ends it afterwards does not keep the
// agent away for longer and longer.
const settled = 10 * time.Second

// Run connects until ctx ends, or the controller asks for a reset (ErrReset).
func Run(ctx context.Context, cfg Config, local Local) error {
	wait := time.Second
	for {
		began := cfg.Boot()
		err := session(ctx, cfg, local)
		local.Down()
		if errors.Is(err, ErrReset) { // also when ctx ended meanwhile: what was asked for is not forgotten
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		if cfg.Boot()-began > settled {
			wait = time.Second
		}
		cfg.Log.Warn("session with the controller ended", "error", err)
		pause := time.NewTimer(wait/2 + rand.N(wait/2)) // full jitter against reconnect storms
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case <-pause.C:
		}
		wait = min(2*wait, time.Minute)
	}
}

// mostMessage is more than the holds of twenty thousand devices, which come in one message.
const mostMessage = 4 << 20

func session(ctx context.Context, cfg Config, local Local) error {
	creds, err := cfg.Creds()
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient("passthrough:///"+cfg.Address, grpc.WithTransportCredentials(creds),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second, PermitWithoutStream: true}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(mostMessage)))
	if err != nil {
		return fmt.Errorf("connect to controller: %w", err)
	}
	defer conn.Close()
	group, ctx := errgroup.WithContext(ctx)
	stream, err := controlv1.NewAgentServiceClient(conn).Connect(ctx)
	if err != nil {
		return fmt.Errorf("connect to controller: %w", err)
	}
	s := &link{cfg: cfg, local: local, out: make(chan *controlv1.AgentMessage, 64), beatNow: make(chan struct{}, 1), sentAt: map[uint64]time.Duration{}}
	if err := stream.Send(&controlv1.AgentMessage{Kind: &controlv1.AgentMessage_Hello{Hello: local.Hello()}}); err != nil {
		return fmt.Errorf("greet controller: %w", err)
	}
	if err := s.welcome(stream); err != nil {
		return err
	}
	group.Go(func() error { return s.write(ctx, stream) })
	group.Go(func() error { return s.read(ctx, stream) })
	return group.Wait()
}

// link is one session.
type link struct {
	cfg     Config
	local   Local
	out     chan *controlv1.AgentMessage // from reader to writer
	beatNow chan struct{}
	sentAt  map[uint64]time.Duration
	beats   chan beat
	next    uint64 // next record to hand over
	headed  []byte // head that was handed over last
	paper   *paper
}

type beat struct {
	number uint64
	at     time.Duration
}

func (s *link) welcome(stream grpc.BidiStreamingClient[controlv1.AgentMessage, controlv1.ControllerMessage]) error {
	m, err := stream.Recv()
	if err != nil {
		return fmt.Errorf("hear welcome: %w", err)
	}
	w := m.GetWelcome()
	if w == nil {
		return fmt.Errorf("hear welcome: the controller began with something else")
	}
	if w.GetReset_() {
		return ErrReset
	}
	if first := s.local.First(); w.GetRecordHwm()+1 < first {
		return fmt.Errorf("%w: it has the records up to %d, and the oldest one here is %d. The ones between were acknowledged and trimmed; "+
			"the controller has lost them, as after a restore from an old backup. Restore a newer one, or let this agent begin a new journal: primum-agent begin-journal", ErrLost, w.GetRecordHwm(), first)
	}
	lsn, err := s.local.Begin(w.GetSessionEpoch())
	if err != nil {
		return err
	}
	s.next = w.GetRecordHwm() + 1
	s.local.Acknowledged(w.GetRecordHwm())
	s.beats = make(chan beat, 64)
	ack := &controlv1.EpochAck{SessionEpoch: w.GetSessionEpoch(), JournalLsn: lsn}
	return stream.Send(&controlv1.AgentMessage{Kind: &controlv1.AgentMessage_EpochAck{EpochAck: ack}})
}

const (
	beatBusy    = 5 * time.Second
	beatIdle    = 30 * time.Second
	batchMost   = 500
	batchOctets = 256 << 10
)

// write is the one sender: answers of the reader, beats, and records.
func (s *link) write(ctx context.Context, stream grpc.BidiStreamingClient[controlv1.AgentMessage, controlv1.ControllerMessage]) error {
	var number uint64
	sendBeat := func() error {
		number++
		b := &controlv1.Beat{Number: number, JournalLsn: s.local.LSN(), AgentTime: timestamppb.Now()}
		select {
		case s.beats <- beat{number, s.cfg.Boot()}:
		default:
		}
		return stream.Send(&controlv1.AgentMessage{Kind: &controlv1.AgentMessage_Beat{Beat: b}})
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		grown := s.local.Grown()
		head, size, newer := s.local.Head()
		if err := s.records(stream); err != nil {
			return err
		}
		if size > 0 && size < s.next && !bytes.Equal(head, s.headed) { // never before the records that it covers
			if err := stream.Send(&controlv1.AgentMessage{Kind: &controlv1.AgentMessage_TreeHead{TreeHead: &controlv1.TreeHead{Note: head}}}); err != nil {
				return err
			}
			s.headed = head
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-s.out:
			if err := stream.Send(m); err != nil {
				return err
			}
		case <-s.beatNow:
			if err := sendBeat(); err != nil {
				return err
			}
			timer.Reset(s.pause())
		case <-timer.C:
			if err := sendBeat(); err != nil {
				return err
			}
			timer.Reset(s.pause())
		case <-grown:
		case <-newer:
		}
	}
}

// pause is the time to the next beat. Every beat sets it anew: an idle agent that an order makes busy
// would else let its lease lapse in mid-run (DESIGN 6.8).
func (s *link) pause() time.Duration {
	if s.local.Busy() {
		return cmp.Or(s.cfg.Busy, beatBusy)
	}
	return cmp.Or(s.cfg.Idle, beatIdle)
}

func (s *link) records(stream grpc.BidiStreamingClient[controlv1.AgentMessage, controlv1.ControllerMessage]) error {
	for {
		batch, err := s.local.Records(s.next)
		if err != nil || len(batch) == 0 {
			return err
		}
		m := &controlv1.RecordBatch{Incarnation: s.local.Incarnation(), FirstSeq: s.next, Records: batch}
		if err := stream.Send(&controlv1.AgentMessage{Kind: &controlv1.AgentMessage_RecordBatch{RecordBatch: m}}); err != nil {
			return err
		}
		s.next += uint64(len(batch))
	}
}

// Most returns the bounds of one batch of records: how many, and how many octets.
func Most() (records, octets int) { return batchMost, batchOctets }

func (s *link) send(ctx context.Context, m *controlv1.AgentMessage) error {
	select {
	case s.out <- m:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *link) beat() {
	select {
	case s.beatNow <- struct{}{}:
	default:
	}
}

// read takes what the controller says, one message at a time.
func (s *link) read(ctx context.Context, stream grpc.BidiStreamingClient[controlv1.AgentMessage, controlv1.ControllerMessage]) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("hear controller: %w", err)
		}
		switch k := m.GetKind().(type) {
		case *controlv1.ControllerMessage_Lease:
			s.lease(k.Lease)
		case *controlv1.ControllerMessage_RecordAck:
			s.local.Acknowledged(k.RecordAck.GetHwm())
		case *controlv1.ControllerMessage_HoldState:
			if s.local.Holds(k.HoldState) {
				ack := &controlv1.HoldAck{Version: k.HoldState.GetVersion()}
				err = s.send(ctx, &controlv1.AgentMessage{Kind: &controlv1.AgentMessage_HoldAck{HoldAck: ack}})
				s.beat()
			}
		case *controlv1.ControllerMessage_Paper:
			err = s.take(ctx, k.Paper)
		case *controlv1.ControllerMessage_WorkOrder:
			var lsn uint64
			if lsn, err = s.local.Order(k.WorkOrder); err == nil {
				receipt := &controlv1.OrderReceipt{Order: k.WorkOrder.GetOrder(), JournalLsn: lsn}
				err = s.send(ctx, &controlv1.AgentMessage{Kind: &controlv1.AgentMessage_OrderReceipt{OrderReceipt: receipt}})
				s.beat() // DESIGN 6.8
			}
		case *controlv1.ControllerMessage_CancelOrder:
			s.local.Cancel(k.CancelOrder.GetOrder())
		case *controlv1.ControllerMessage_Clearance:
			digest := sha256.Sum256(k.Clearance.GetDocument())
			ack := &controlv1.ClearanceAck{Digest: digest[:]}
			ack.Refused, ack.Detail = s.local.Clear(k.Clearance)
			err = s.send(ctx, &controlv1.AgentMessage{Kind: &controlv1.AgentMessage_ClearanceAck{ClearanceAck: ack}})
		case *controlv1.ControllerMessage_Secret:
			ack := &controlv1.SecretAck{Device: k.Secret.GetDevice(), Version: k.Secret.GetVersion(), Kind: k.Secret.GetKind()}
			if setErr := s.local.Secret(k.Secret); setErr != nil {
				ack.Error = setErr.Error()
			}
			err = s.send(ctx, &controlv1.AgentMessage{Kind: &controlv1.AgentMessage_SecretAck{SecretAck: ack}})
		}
		if err != nil {
			return err
		}
	}
}

// lease counts from the moment the beat was sent that it answers (CONTROL-PLANE 4.4).
func (s *link) lease(l *controlv1.Lease) {
	for {
		select {
		case b := <-s.beats:
			s.sentAt[b.number] = b.at
			continue
		default:
		}
		break
	}
	sent, ok := s.sentAt[l.GetNumber()]
	for n := range s.sentAt {
		if n <= l.GetNumber() {
			delete(s.sentAt, n)
		}
	}
	if ok {
		s.local.Lease(sent, l)
	}
}

// paper is a document on its way.
type paper struct {
	kind   controlv1.Paper_Kind
	digest []byte
	total  uint64
	body   []byte
}

const maxPaper = 48 << 20

func (s *link) take(ctx context.Context, p *controlv1.Paper) error {
	if p.GetOffset() == 0 {
		s.paper = &paper{kind: p.GetKind(), digest: p.GetDigest(), total: p.GetTotal()}
	}
	have := s.paper
	if have == nil || have.kind != p.GetKind() || string(have.digest) != string(p.GetDigest()) || uint64(len(have.body)) != p.GetOffset() ||
		have.total > maxPaper || uint64(len(have.body)+len(p.GetPart())) > have.total {
		return fmt.Errorf("a part of a document does not follow the one before")
	}
	have.body = append(have.body, p.GetPart()...)
	if uint64(len(have.body)) < have.total {
		return nil
	}
	s.paper = nil
	ack := &controlv1.PaperAck{Digest: have.digest}
	if sum := sha256.Sum256(have.body); string(sum[:]) != string(have.digest) {
		ack.Refused, ack.Detail = "LIST_UNTRUSTED", "the document is not the one that its digest names"
	} else if have.kind == controlv1.Paper_KIND_LIST_RELEASE {
		ack.Refused, ack.Detail = s.local.Release(have.body)
	} else {
		ack.Refused, ack.Detail = s.local.Plan(have.body, p.GetApproval())
	}
	return s.send(ctx, &controlv1.AgentMessage{Kind: &controlv1.AgentMessage_PaperAck{PaperAck: ack}})
}
