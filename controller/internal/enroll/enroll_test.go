package enroll

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"net"
	"net/url"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
)

func service(t *testing.T) *Service {
	t.Helper()
	db, err := store.Open(t.Context(), t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	a, err := LoadAuthority(t.TempDir(), []string{"127.0.0.1", "controller.example"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &Service{Authority: a, Store: db, PermitKey: make(ed25519.PublicKey, 32), ListRoot: []byte("root"), Now: time.Now, Log: slog.New(slog.DiscardHandler)}
}

func request(t *testing.T, name string) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	u := &url.URL{Scheme: "primum", Host: "agent", Path: "/" + name}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}, URIs: []*url.URL{u}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

// calling is the context of a call over TLS with a certificate that verified.
func calling(t *testing.T, der []byte) context.Context {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{}, AuthInfo: credentials.TLSInfo{State: tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}}})
}

func TestATokenMakesOneAgentWithTheNameOfTheTokenAndNoOther(t *testing.T) {
	s := service(t)
	ctx := t.Context()
	token, expires, err := NewToken(ctx, s.Store, "icu", store.Audit{At: time.Now(), Actor: "test"})
	if err != nil || time.Until(expires) > TokenLife {
		t.Fatal(expires, err)
	}
	csr, _ := request(t, "somebody-else") // what the request says of itself is not believed
	got, err := s.Enroll(ctx, &controlv1.EnrollRequest{Token: token, Csr: csr, SealingKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(got.GetCertificate())
	if err != nil {
		t.Fatal(err)
	}
	if got.GetAgent() != "agents/icu" || cert.Subject.CommonName != "icu" || len(cert.URIs) != 1 || cert.URIs[0].String() != "primum://agent/icu" || cert.IsCA {
		t.Errorf("%s, %v %v", got.GetAgent(), cert.Subject, cert.URIs)
	}
	if life := time.Until(cert.NotAfter); life > AgentLife || life < AgentLife-time.Minute {
		t.Errorf("it lives %s", life)
	}
	roots := x509.NewCertPool()
	authority, err := x509.ParseCertificate(got.GetAuthority())
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(authority)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if _, err := s.Enroll(ctx, &controlv1.EnrollRequest{Token: token, Csr: csr, SealingKey: make([]byte, 32)}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("the token again: %v", err)
	}
	if c, err := Peer(calling(t, got.GetCertificate()), s.Store); err != nil || c.Agent != "icu" {
		t.Errorf("%q %v", c.Agent, err)
	}
}

func TestABrokenRequestSpendsItsToken(t *testing.T) {
	s := service(t)
	csr, _ := request(t, "icu")
	forged := append([]byte{}, csr...)
	forged[len(forged)-1] ^= 1
	for name, r := range map[string]*controlv1.EnrollRequest{"no request": {SealingKey: make([]byte, 32)}, "not signed by its key": {Csr: forged, SealingKey: make([]byte, 32)}, "no sealing key": {Csr: csr}} {
		token, _, err := NewToken(t.Context(), s.Store, "icu", store.Audit{At: time.Now(), Actor: "test"})
		if err != nil {
			t.Fatal(err)
		}
		r.Token = token
		if _, err := s.Enroll(t.Context(), r); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Enroll(t.Context(), &controlv1.EnrollRequest{Token: token, Csr: csr, SealingKey: make([]byte, 32)}); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: the token was not spent: %v", name, err)
		}
	}
}

func TestOnlyACertificateThatIsInForceNamesAnAgent(t *testing.T) {
	s := service(t)
	enrol := func() []byte {
		token, _, err := NewToken(t.Context(), s.Store, "icu", store.Audit{At: time.Now(), Actor: "test"})
		if err != nil {
			t.Fatal(err)
		}
		csr, _ := request(t, "icu")
		got, err := s.Enroll(t.Context(), &controlv1.EnrollRequest{Token: token, Csr: csr, SealingKey: make([]byte, 32)})
		if err != nil {
			t.Fatal(err)
		}
		return got.GetCertificate()
	}
	first := enrol()
	csr, _ := request(t, "icu")
	renewed, err := s.Renew(calling(t, first), &controlv1.RenewRequest{Csr: csr})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Peer(calling(t, renewed.GetCertificate()), s.Store); err != nil {
		t.Error(err)
	}
	enrol() // whoever holds the earlier ones is no longer this agent
	for name, der := range map[string][]byte{"the first": first, "the renewed": renewed.GetCertificate()} {
		if _, err := Peer(calling(t, der), s.Store); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Renew(calling(t, der), &controlv1.RenewRequest{Csr: csr}); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s is renewed: %v", name, err)
		}
	}
	if _, err := Peer(t.Context(), s.Store); status.Code(err) != codes.Unauthenticated {
		t.Errorf("no certificate: %v", err)
	}
	// a certificate of this authority that the controller's database does not know
	der, _, _, err := s.Authority.issueAgent(csr, "icu", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Peer(calling(t, der), s.Store); status.Code(err) != codes.Unauthenticated {
		t.Errorf("an unknown one: %v", err)
	}
	if CheckName("../icu") == nil || CheckName("") == nil || CheckName("icu") != nil {
		t.Error("names of agents")
	}
}
