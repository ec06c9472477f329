package dispatch

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"primum/controller/internal/bell"
	"primum/controller/internal/enroll"
	"primum/controller/internal/safety"
	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
	"primum/safetylists/evidence"
	"primum/safetylists/release"
)

// BenchmarkAHoldReachesAThousandAgents tells how long after its call a hold is at each of 1,000 agents: gRPC over
// mutual TLS on loopback, a real database, every agent acknowledging (DESIGN 4, issue: p99 under 1 s).
func BenchmarkAHoldReachesAThousandAgents(b *testing.B) {
	const agents = 1000
	db, err := store.Open(b.Context(), b.TempDir(), false)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	root, err := release.NewStaff([]byte{1}).Root()
	if err != nil {
		b.Fatal(err)
	}
	lists, err := safety.Open(b.Context(), db, root)
	if err != nil {
		b.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	s := &Service{Store: db, Safety: lists, Bell: &bell.Bell{}, Now: time.Now, Log: log, Lease: 15 * time.Second}
	authority, err := enroll.LoadAuthority(b.TempDir(), []string{"127.0.0.1"}, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	people := &enroll.Service{Authority: authority, Store: db, PermitKey: make([]byte, 32), ListRoot: []byte("root"), Now: time.Now, Log: log}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(authority.ServerTLS(true, time.Now))), grpc.MaxRecvMsgSize(1<<20))
	controlv1.RegisterAgentServiceServer(server, s)
	var all sync.WaitGroup
	all.Go(func() { _ = server.Serve(l) }) // it ends with Stop
	ctx, cancel := context.WithCancel(b.Context())
	defer func() { cancel(); server.Stop(); all.Wait(); s.Wait() }()

	heard := make(chan time.Time, agents)
	var ready sync.WaitGroup
	for i := range agents {
		name := fmt.Sprintf("agent-%04d", i)
		cert := certificate(b, people, name)
		_, key, err := evidence.NewEvidenceKey(rand.Reader, name)
		if err != nil {
			b.Fatal(err)
		}
		pool := x509.NewCertPool()
		ca, err := x509.ParseCertificate(authority.Certificate())
		if err != nil {
			b.Fatal(err)
		}
		pool.AddCert(ca)
		creds := credentials.NewTLS(&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13})
		ready.Add(1)
		all.Go(func() {
			if err := listen(ctx, l.Addr().String(), key, creds, &ready, heard); err != nil && ctx.Err() == nil {
				b.Error(err)
			}
		})
	}
	ready.Wait()
	time.Sleep(2 * time.Second) // the rush of a thousand beginnings is over
	var waits []time.Duration
	for b.Loop() {
		placed := time.Now()
		if _, err := db.PlaceHold(ctx, store.Hold{Scope: "all", Reason: "made for a benchmark", PlacedBy: "b", PlacedAt: placed}, nil, store.Audit{At: placed, Actor: "b"}); err != nil {
			b.Fatal(err)
		}
		s.Bell.Ring()
		for range agents {
			select {
			case at := <-heard:
				waits = append(waits, at.Sub(placed))
			case <-time.After(30 * time.Second):
				b.Fatal("some agent did not hear of the hold")
			}
		}
	}
	slices.Sort(waits)
	b.ReportMetric(float64(waits[len(waits)/2].Milliseconds()), "ms-p50")
	b.ReportMetric(float64(waits[len(waits)*99/100].Milliseconds()), "ms-p99")
	b.ReportMetric(float64(waits[len(waits)-1].Milliseconds()), "ms-max")
}

// certificate enrols an agent.
func certificate(b *testing.B, people *enroll.Service, name string) tls.Certificate {
	b.Helper()
	token, _, err := enroll.NewToken(b.Context(), people.Store, name, store.Audit{At: time.Now(), Actor: "b"})
	if err != nil {
		b.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		b.Fatal(err)
	}
	got, err := people.Enroll(b.Context(), &controlv1.EnrollRequest{Token: token, Csr: csr, SealingKey: make([]byte, 32)})
	if err != nil {
		b.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{got.GetCertificate()}, PrivateKey: key}
}

// listen is one agent: it opens a session, takes each hold state, and says so.
func listen(ctx context.Context, address, key string, creds credentials.TransportCredentials, ready *sync.WaitGroup, heard chan<- time.Time) error {
	begun := sync.OnceFunc(ready.Done)
	defer begun()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(creds))
	if err != nil {
		return err
	}
	defer conn.Close()
	st, err := controlv1.NewAgentServiceClient(conn).Connect(ctx)
	if err != nil {
		return err
	}
	if err := st.Send(&fromAgent{Kind: &controlv1.AgentMessage_Hello{Hello: &controlv1.Hello{Incarnation: []byte("0123456789abcdef"), JournalLsn: 1, EvidenceKey: key}}}); err != nil {
		return err
	}
	for {
		m, err := st.Recv()
		if err != nil {
			return err
		}
		var answer *fromAgent
		switch {
		case m.GetWelcome() != nil:
			answer = &fromAgent{Kind: &controlv1.AgentMessage_EpochAck{EpochAck: &controlv1.EpochAck{SessionEpoch: m.GetWelcome().GetSessionEpoch(), JournalLsn: 1}}}
		case m.GetReady() != nil:
			begun()
		case m.GetHoldState() != nil:
			if len(m.GetHoldState().GetHolds()) > 0 {
				heard <- time.Now()
			}
			answer = &fromAgent{Kind: &controlv1.AgentMessage_HoldAck{HoldAck: &controlv1.HoldAck{Version: m.GetHoldState().GetVersion()}}}
		}
		if answer == nil {
			continue
		}
		if err := st.Send(answer); err != nil {
			return err
		}
	}
}
