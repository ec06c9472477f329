package uplink

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	controlv1 "primum/proto/control/v1"
)

type (
	down = controlv1.ControllerMessage
	wire = grpc.BidiStreamingServer[controlv1.AgentMessage, controlv1.ControllerMessage]
)

// controller is a scripted one.
type controller struct {
	controlv1.UnimplementedAgentServiceServer
	script func(wire) error
}

func (c *controller) Connect(s wire) error { return c.script(s) }

// agent is a Local that remembers what it was told.
type agent struct {
	mu       sync.Mutex
	busy     bool
	released [][]byte
	leases   int
	first    uint64
	acked    uint64
	begun    int
	down     int
}

func (a *agent) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func (a *agent) Hello() *controlv1.Hello { return &controlv1.Hello{Incarnation: make([]byte, 16)} }
func (a *agent) Begin(uint64) (uint64, error) {
	a.set(func() { a.begun++ })
	return 1, nil
}
func (a *agent) Reset() error                    { return nil }
func (a *agent) Holds(*controlv1.HoldState) bool { return true }
func (a *agent) Release(b []byte) (string, string) {
	a.set(func() { a.released = append(a.released, b) })
	return "", ""
}
func (a *agent) Plan([]byte, *controlv1.Approval) (string, string) { return "", "" }
func (a *agent) Order(*controlv1.WorkOrder) (uint64, error) {
	a.set(func() { a.busy = true })
	return 2, nil
}
func (a *agent) Cancel(string)                               {}
func (a *agent) Secret(*controlv1.Secret) error              { return errors.New("it does not open") }
func (a *agent) Clear(*controlv1.Clearance) (string, string) { return "", "" }
func (a *agent) Lease(time.Duration, *controlv1.Lease)       { a.set(func() { a.leases++ }) }
func (a *agent) Down()                                       { a.set(func() { a.down++ }) }
func (a *agent) LSN() uint64                                 { return 2 }
func (a *agent) Busy() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.busy
}
func (a *agent) Grown() <-chan struct{}                  { return nil }
func (a *agent) Records(uint64) ([][]byte, error)        { return nil, nil }
func (a *agent) First() uint64                           { return max(1, a.first) }
func (a *agent) Acknowledged(seq uint64)                 { a.set(func() { a.acked = max(a.acked, seq) }) }
func (a *agent) Incarnation() []byte                     { return make([]byte, 16) }
func (a *agent) Head() ([]byte, uint64, <-chan struct{}) { return nil, 0, nil }

// speak runs the uplink against a script until the script has ended.
func speak(t *testing.T, local *agent, idle time.Duration, script func(wire) error) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	first := true
	s := grpc.NewServer()
	controlv1.RegisterAgentServiceServer(s, &controller{script: func(w wire) error {
		if !first {
			return nil // a second session: the test is over
		}
		first = false
		defer stop()
		if m, err := w.Recv(); err != nil || m.GetHello() == nil {
			t.Errorf("it does not begin with Hello: %v %v", m, err)
		}
		return script(w)
	}})
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	defer func() { s.Stop(); <-served }()
	return Run(ctx, Config{Address: l.Addr().String(), Boot: func() time.Duration { return 0 }, Log: slog.New(slog.DiscardHandler), Busy: 20 * time.Millisecond, Idle: idle,
		Creds: func() (credentials.TransportCredentials, error) { return insecure.NewCredentials(), nil }}, local)
}

func welcome(t *testing.T, w wire) {
	t.Helper()
	if err := w.Send(&down{Kind: &controlv1.ControllerMessage_Welcome{Welcome: &controlv1.Welcome{SessionEpoch: 4}}}); err != nil {
		t.Error(err)
	}
	if m, err := w.Recv(); err != nil || m.GetEpochAck().GetSessionEpoch() != 4 {
		t.Errorf("the epoch is not confirmed: %v %v", m, err)
	}
}

func TestAnIdleAgentThatGetsAnOrderBeatsAtOnceAndGoesOnBeating(t *testing.T) {
	local := &agent{}
	err := speak(t, local, time.Hour, func(w wire) error {
		welcome(t, w)
		if m, err := w.Recv(); err != nil || m.GetBeat().GetNumber() != 1 {
			t.Errorf("it does not ask for a lease: %v %v", m, err)
		}
		if err := w.Send(&down{Kind: &controlv1.ControllerMessage_WorkOrder{WorkOrder: &controlv1.WorkOrder{Order: "o"}}}); err != nil {
			return err
		}
		beats := 0
		receipt := false
		for beats < 4 { // an agent that forgot its timer would beat once, and then in an hour
			m, err := w.Recv()
			if err != nil {
				return err
			}
			receipt = receipt || m.GetOrderReceipt().GetOrder() == "o"
			if b := m.GetBeat(); b != nil {
				beats++
				if err := w.Send(&down{Kind: &controlv1.ControllerMessage_Lease{Lease: &controlv1.Lease{Number: b.GetNumber(), TtlMs: 15000}}}); err != nil {
					return err
				}
			}
		}
		if !receipt {
			t.Error("the order was not acknowledged")
		}
		return nil
	})
	if err != nil || local.leases < 3 || local.down == 0 {
		t.Errorf("%v, %d leases, down %d", err, local.leases, local.down)
	}
}

func TestADocumentArrivesWholeOrTheSessionEnds(t *testing.T) {
	body := []byte(strings.Repeat("list ", 30))
	sum := sha256.Sum256(body)
	part := func(offset, n int) *down {
		return &down{Kind: &controlv1.ControllerMessage_Paper{Paper: &controlv1.Paper{Kind: controlv1.Paper_KIND_LIST_RELEASE, Digest: sum[:], Total: uint64(len(body)), Offset: uint64(offset), Part: body[offset : offset+n]}}}
	}
	for name, c := range map[string]struct {
		parts []*down
		taken bool
	}{
		"in order":        {[]*down{part(0, 100), part(100, 50)}, true},
		"a gap":           {[]*down{part(0, 100), part(101, 49)}, false},
		"a part twice":    {[]*down{part(0, 100), part(0, 100), part(100, 50)}, true}, // it begins anew
		"from the middle": {[]*down{part(100, 50)}, false},
	} {
		local := &agent{}
		acked := false
		if err := speak(t, local, time.Hour, func(w wire) error {
			welcome(t, w)
			for _, p := range c.parts {
				if err := w.Send(p); err != nil {
					return nil // the agent has ended the session
				}
			}
			for {
				m, err := w.Recv()
				if err != nil {
					return nil
				}
				if a := m.GetPaperAck(); a != nil {
					acked = a.GetRefused() == "" && string(a.GetDigest()) == string(sum[:])
					return nil
				}
			}
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if acked != c.taken || (len(local.released) == 1) != c.taken {
			t.Errorf("%s: acknowledged %v, taken %d", name, acked, len(local.released))
		}
	}
}

func TestAResetIsTold(t *testing.T) {
	err := speak(t, &agent{}, time.Hour, func(w wire) error {
		if err := w.Send(&down{Kind: &controlv1.ControllerMessage_Welcome{Welcome: &controlv1.Welcome{SessionEpoch: 4, Reset_: true}}}); err != nil {
			return err
		}
		_, err := w.Recv() // until the agent has heard it
		return err
	})
	if !errors.Is(err, ErrReset) {
		t.Errorf("%v", err)
	}
}

// H-042: a controller that lacks records which it had acknowledged, and which were trimmed, gets no session: no lease, no
// question.
func TestAControllerThatHasLostTrimmedRecordsGetsNoSession(t *testing.T) {
	for stored, begun := range map[uint64]int{39: 0, 40: 1, 100: 1} {
		local := &agent{first: 41}
		err := session(t.Context(), Config{Address: scripted(t, func(w wire) error {
			if err := w.Send(&down{Kind: &controlv1.ControllerMessage_Welcome{Welcome: &controlv1.Welcome{SessionEpoch: 4, RecordHwm: stored}}}); err != nil {
				return err
			}
			if _, err := w.Recv(); err != nil {
				return err
			}
			return w.Send(&down{Kind: &controlv1.ControllerMessage_RecordAck{RecordAck: &controlv1.RecordAck{Hwm: stored + 5}}})
		}), Boot: func() time.Duration { return 0 }, Log: slog.New(slog.DiscardHandler),
			Creds: func() (credentials.TransportCredentials, error) { return insecure.NewCredentials(), nil }}, local)
		if local.begun != begun || errors.Is(err, ErrLost) != (begun == 0) || local.leases != 0 {
			t.Errorf("the controller has %d: %d sessions, %v", stored, local.begun, err)
		}
		if begun == 0 && (local.acked != 0 || !strings.Contains(err.Error(), "up to 39") || !strings.Contains(err.Error(), "oldest one here is 41")) {
			t.Errorf("the controller has %d, acknowledged %d: %v", stored, local.acked, err)
		}
		if begun == 1 && local.acked != stored+5 {
			t.Errorf("the controller has acknowledged %d, the agent heard %d", stored+5, local.acked)
		}
	}
}

// scripted serves one session by a script, and returns its address.
func scripted(t *testing.T, script func(wire) error) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	controlv1.RegisterAgentServiceServer(s, &controller{script: func(w wire) error {
		if m, err := w.Recv(); err != nil || m.GetHello() == nil {
			t.Errorf("it does not begin with Hello: %v %v", m, err)
		}
		return script(w)
	}})
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-served })
	return l.Addr().String()
}

// H-035: a hold reaches an agent also where thousands of devices are held.
func TestHoldsOfThousandsAreTaken(t *testing.T) {
	m := &controlv1.HoldState{Version: 7}
	for range 3000 {
		m.Holds = append(m.Holds, &controlv1.HoldScope{Kind: controlv1.HoldScope_KIND_DEVICE, Value: "10-1", Reason: strings.Repeat("x", 1000)})
	}
	acked := false
	if err := speak(t, &agent{}, time.Hour, func(w wire) error {
		welcome(t, w)
		if err := w.Send(&down{Kind: &controlv1.ControllerMessage_HoldState{HoldState: m}}); err != nil {
			return err
		}
		for !acked {
			got, err := w.Recv()
			if err != nil {
				return err
			}
			acked = got.GetHoldAck().GetVersion() == 7
		}
		return nil
	}); err != nil || !acked {
		t.Errorf("acknowledged %v, %v", acked, err)
	}
}
