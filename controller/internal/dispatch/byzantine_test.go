package dispatch

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"primum/controller/internal/enroll"
	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
)

// stream is an agent's end of a session, in the hand of a test.
type stream struct {
	grpc.ServerStream
	ctx context.Context
	in  chan *fromAgent
	out chan *toAgent
}

func (s *stream) Context() context.Context { return s.ctx }
func (s *stream) Send(m *toAgent) error {
	select {
	case s.out <- m:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

func (s *stream) Recv() (*fromAgent, error) {
	select {
	case m, ok := <-s.in:
		if !ok {
			return nil, io.EOF
		}
		return m, nil
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

// enrolled enrols an agent, and returns what it calls with.
func enrolled(t *testing.T, s *Service, name string) *x509.Certificate {
	t.Helper()
	authority, err := enroll.LoadAuthority(t.TempDir(), []string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	people := &enroll.Service{Authority: authority, Store: s.Store, PermitKey: make([]byte, 32), ListRoot: []byte("root"), Now: s.Now, Log: s.Log}
	token, _, err := enroll.NewToken(t.Context(), s.Store, name, store.Audit{At: time.Now(), Actor: "test"})
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := people.Enroll(t.Context(), &controlv1.EnrollRequest{Token: token, Csr: csr, SealingKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(got.GetCertificate())
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// connect calls with a certificate and a greeting. The returned channel tells how the session ended.
func connect(t *testing.T, s *Service, cert *x509.Certificate, h *controlv1.Hello) (*stream, <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{},
		AuthInfo: credentials.TLSInfo{State: tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}}}))
	st := &stream{ctx: ctx, in: make(chan *fromAgent, 16), out: make(chan *toAgent, 64)}
	ended := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ended <- s.Connect(st)
		cancel()
	}()
	t.Cleanup(func() { cancel(); <-done; s.Wait() })
	if h.EvidenceKey == "" {
		h.EvidenceKey = evidenceSigner(t, cert.Subject.CommonName).Verifier()
	}
	st.in <- &fromAgent{Kind: &controlv1.AgentMessage_Hello{Hello: h}}
	return st, ended
}

// live is a session of an agent that is well, after some before it, up to the controller's Ready.
func live(t *testing.T, s *Service, cert *x509.Certificate, before uint64) (*stream, <-chan error) {
	t.Helper()
	r, _, _ := s.Safety.Current(s.Now())
	st, ended := connect(t, s, cert, &controlv1.Hello{Incarnation: []byte("0123456789abcdef"), JournalLsn: 1 + before, LastEpoch: before, ListDigest: r.Digest[:], ListTimestamp: r.Timestamp})
	for {
		select {
		case m := <-st.out:
			if w := m.GetWelcome(); w != nil {
				st.in <- &fromAgent{Kind: &controlv1.AgentMessage_EpochAck{EpochAck: &controlv1.EpochAck{SessionEpoch: w.GetSessionEpoch(), JournalLsn: 2 + before}}}
			}
			if m.GetReady() != nil {
				return st, ended
			}
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(5 * time.Second):
			t.Fatal("the session does not begin")
		}
	}
}

// H-035: no agent can take the stop from everybody. One that claims numbers that no journal comes to would
// leave the controller no newer version for the next hold.
func TestAnAgentThatClaimsAbsurdNumbersGetsNoSessionAndHoldsGoOn(t *testing.T) {
	for name, h := range map[string]*controlv1.Hello{
		"a hold version, the last but one": {HoldVersion: math.MaxInt64 - 1},
		"a hold version, the last":         {HoldVersion: math.MaxInt64},
		"a hold version beyond":            {HoldVersion: math.MaxUint64},
		"an epoch, the last but one":       {LastEpoch: math.MaxInt64 - 1},
		"an epoch beyond":                  {LastEpoch: math.MaxUint64},
		"a record, the last":               {JournalLsn: math.MaxInt64},
		"a record beyond":                  {JournalLsn: math.MaxUint64},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := service(t)
			cert := enrolled(t, s, "icu")
			h.Incarnation = []byte("0123456789abcdef")
			_, ended := connect(t, s, cert, h)
			select {
			case err := <-ended:
				if status.Code(err) != codes.InvalidArgument {
					t.Errorf("%v", err)
				}
			case <-time.After(2 * time.Second):
				t.Error("the session was opened")
			}
			placed, err := s.Store.PlaceHold(t.Context(), store.Hold{Scope: "all", Reason: "made for a test"}, nil, store.Audit{At: time.Now(), Actor: "test"})
			if err != nil || placed.Version == 0 {
				t.Errorf("a hold: %+v %v", placed, err)
			}
			live(t, s, cert, 0)
		})
	}
}

// H-011: whoever holds an earlier certificate of an agent is no longer this agent from the moment that it is
// enrolled anew, also in a session that is open, and whether or not the new one has come.
func TestAnEnrolmentEndsTheSessionOfTheOneBefore(t *testing.T) {
	s, _ := service(t)
	_, ended := live(t, s, enrolled(t, s, "icu"), 0)
	other, otherEnded := live(t, s, enrolled(t, s, "ward"), 0)
	enrolled(t, s, "icu")
	select {
	case err := <-ended:
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("%v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the session of the agent before goes on")
	}
	other.in <- &fromAgent{Kind: &controlv1.AgentMessage_Beat{Beat: &controlv1.Beat{Number: 1, JournalLsn: 2}}}
	for {
		select {
		case m := <-other.out:
			if m.GetLease() != nil {
				return
			}
		case err := <-otherEnded:
			t.Fatalf("the session of another agent ended: %v", err)
		case <-time.After(5 * time.Second):
			t.Fatal("no lease for another agent")
		}
	}
}

// An approver's word reaches the agent that left a device alone, once in a session, until the agent has taken it.
func TestAClearanceIsSentOnceAndUntilItWasTaken(t *testing.T) {
	s, _ := service(t)
	cert := enrolled(t, s, "icu")
	enrolled(t, s, "ward")
	for _, agent := range []string{"icu", "ward"} {
		doc := []byte("word for " + agent)
		digest := sha256.Sum256(doc)
		c := store.Clearance{Permit: agent, Device: "10-1", Agent: agent, Document: doc, Digest: digest[:], Signed: store.Signature{By: "a", Sig: []byte{1}}, At: time.Now()}
		if err := s.Store.PutClearance(t.Context(), c, store.Audit{At: time.Now(), Actor: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	for before := range uint64(2) {
		st, _ := live(t, s, cert, before)
		words := 0
		for over := time.After(1500 * time.Millisecond); over != nil; { // the controller looks once a second
			select {
			case m := <-st.out:
				if c := m.GetClearance(); c != nil {
					words++
					if string(c.GetDocument()) != "word for icu" || c.GetSignature().GetBy() != "a" {
						t.Errorf("%v", c)
					}
				}
			case <-over:
				over = nil
			}
		}
		if words != 1 {
			t.Errorf("sent %d times in a session", words)
		}
		if before == 1 {
			digest := sha256.Sum256([]byte("word for icu"))
			st.in <- &fromAgent{Kind: &controlv1.AgentMessage_ClearanceAck{ClearanceAck: &controlv1.ClearanceAck{Digest: digest[:]}}}
		}
	}
	for range 50 {
		open, err := s.Store.OpenClearances(t.Context(), "icu")
		if err != nil {
			t.Fatal(err)
		}
		if len(open) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("it was taken, and is still to be sent")
}

// G9: an agent hears of a held device under every asset tag that it has, also when a later import gives it another.
func TestAnAgentHearsOfAHeldDeviceUnderAllItsTags(t *testing.T) {
	s, _ := service(t)
	st, ended := live(t, s, enrolled(t, s, "icu"), 0)
	put := func(tag string) {
		t.Helper()
		d := store.Device{Tag: tag, Cells: map[string]string{"asset_tag": tag, "ip": "10.1.2.3"}}
		if _, err := s.Store.PutDevices(t.Context(), []store.Device{d}, nil, store.Audit{At: time.Now(), Actor: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	put("10-1")
	put("20-2")
	if _, err := s.Store.PlaceHold(t.Context(), store.Hold{Scope: "device", Value: "10-1", Reason: "made for a test"}, nil, store.Audit{At: time.Now(), Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"10-1 20-2", "10-1 20-2 30-3"} {
		for got, over := "", time.After(5*time.Second); got != want; {
			select {
			case m := <-st.out:
				if h := m.GetHoldState(); h != nil {
					var tags []string
					for _, x := range h.GetHolds() {
						tags = append(tags, x.GetValue())
					}
					got = strings.Join(tags, " ")
				}
			case err := <-ended:
				t.Fatal(err)
			case <-over:
				t.Fatalf("it heard of %q, not of %q", got, want)
			}
		}
		put("30-3")
	}
}
