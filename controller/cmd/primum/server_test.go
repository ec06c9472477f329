package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	adminv1 "primum/proto/admin/v1"
)

const testToken = "a-token-of-the-test"

// answers are what the scripted controller says to each call, by its name without the service.
type answers map[string]func(proto.Message) (proto.Message, error)

func says(m proto.Message) func(proto.Message) (proto.Message, error) {
	return func(proto.Message) (proto.Message, error) { return m, nil }
}

func fails(err error) func(proto.Message) (proto.Message, error) {
	return func(proto.Message) (proto.Message, error) { return nil, err }
}

// scripted is a controller on loopback that says what a test wants.
type scripted struct {
	adminv1.UnimplementedInventoryServiceServer
	adminv1.UnimplementedWindowServiceServer
	adminv1.UnimplementedPlanServiceServer
	adminv1.UnimplementedRunServiceServer
	adminv1.UnimplementedProbeServiceServer
	adminv1.UnimplementedHoldServiceServer
	adminv1.UnimplementedAgentAdminServiceServer
	adminv1.UnimplementedListServiceServer
	adminv1.UnimplementedEvidenceServiceServer

	home  string
	watch func(string, func(*adminv1.Run) error, context.Context) error

	mu    sync.Mutex
	calls []proto.Message // guarded by mu
	wrong []string        // guarded by mu: what no call may be
}

// WatchRun implements the call.
func (s *scripted) WatchRun(r *adminv1.WatchRunRequest, stream grpc.ServerStreamingServer[adminv1.Run]) error {
	s.note(stream.Context(), r)
	return s.watch(r.GetName(), stream.Send, stream.Context())
}

func (s *scripted) note(ctx context.Context, m proto.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, m)
	md, _ := metadata.FromIncomingContext(ctx)
	if got := md.Get("authorization"); len(got) != 1 || got[0] != "Bearer "+testToken {
		s.wrong = append(s.wrong, "the bearer token is "+strings.Join(got, ", "))
	}
	if p, ok := peer.FromContext(ctx); !ok || p.AuthInfo.(credentials.TLSInfo).State.Version != tls.VersionTLS13 {
		s.wrong = append(s.wrong, "the connection is not TLS 1.3")
	}
	if _, ok := ctx.Deadline(); !ok {
		s.wrong = append(s.wrong, "the call has no deadline")
	}
}

// asked returns every request so far.
func (s *scripted) asked() []proto.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]proto.Message(nil), s.calls...)
}

// one returns the only request of a kind.
func one[M proto.Message](t *testing.T, s *scripted) M {
	t.Helper()
	var found []M
	for _, m := range s.asked() {
		if got, ok := m.(M); ok {
			found = append(found, got)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d requests of the kind: %v", len(found), s.asked())
	}
	return found[0]
}

func serve(t *testing.T, script answers) *scripted {
	t.Helper()
	s := &scripted{home: t.TempDir()}
	root, cert := certificates(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}})),
		grpc.UnaryInterceptor(func(ctx context.Context, q any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
			s.note(ctx, q.(proto.Message))
			name := info.FullMethod[strings.LastIndex(info.FullMethod, "/")+1:]
			if answer, ok := script[name]; ok {
				return answer(q.(proto.Message))
			}
			return nil, status.Error(codes.Unimplemented, "the test has no answer to "+name)
		}))
	adminv1.RegisterInventoryServiceServer(server, s)
	adminv1.RegisterWindowServiceServer(server, s)
	adminv1.RegisterPlanServiceServer(server, s)
	adminv1.RegisterRunServiceServer(server, s)
	adminv1.RegisterProbeServiceServer(server, s)
	adminv1.RegisterHoldServiceServer(server, s)
	adminv1.RegisterAgentAdminServiceServer(server, s)
	adminv1.RegisterListServiceServer(server, s)
	adminv1.RegisterEvidenceServiceServer(server, s)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	for name, text := range map[string]string{"admin.address": l.Addr().String() + "\n", "authority.crt": root, "admin.token": testToken + "\n"} {
		put(t, filepath.Join(s.home, name), text)
	}
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) { // a test that calls nobody may end before it serves
			t.Errorf("serve: %v", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, w := range s.wrong {
			t.Error(w)
		}
	})
	return s
}

// certificates makes an authority and the certificate of 127.0.0.1 under it.
func certificates(t *testing.T) (root string, server tls.Certificate) {
	t.Helper()
	make509 := func(c, parent *x509.Certificate, by *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if by == nil {
			by = key
		}
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		return der, key
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER, caKey := make509(ca, ca, nil)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, key := make509(leaf, ca, caKey)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func put(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// primum runs the command line against the scripted controller.
func (s *scripted) primum(stdin io.Reader, args ...string) (out, complaints string, code int) {
	return command(stdin, append([]string{"--home", s.home}, args...)...)
}

func command(stdin io.Reader, args ...string) (out, complaints string, code int) {
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	var o, e bytes.Buffer
	code = run(args, stdin, &o, &e)
	return o.String(), e.String(), code
}

// want holds an outcome against its exit code and what it has to say.
func want(t *testing.T, name, text string, got, code int, says ...string) {
	t.Helper()
	if got != code {
		t.Errorf("%s: exit %d, not %d: %s", name, got, code, text)
	}
	for _, words := range says {
		if !strings.Contains(text, words) {
			t.Errorf("%s: does not say %q:\n%s", name, words, text)
		}
	}
}

func addressOf(t *testing.T, s *scripted) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.home, "admin.address"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
