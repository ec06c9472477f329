package agent

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	controlv1 "primum/proto/control/v1"
)

// office is a scripted controller that renews certificates.
type office struct {
	controlv1.UnimplementedEnrollmentServiceServer
	answer func(csr *x509.CertificateRequest) ([]byte, error)
}

func (o *office) Renew(_ context.Context, r *controlv1.RenewRequest) (*controlv1.EnrollResponse, error) {
	csr, err := x509.ParseCertificateRequest(r.GetCsr())
	if err != nil {
		return nil, err
	}
	der, err := o.answer(csr)
	return &controlv1.EnrollResponse{Certificate: der}, err
}

func TestACertificateIsReplacedOnlyByALongerOneOfTheSameAgentAndKey(t *testing.T) {
	now := time.Now()
	newKey := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	caKey, serverKey, agentKey := newKey(), newKey(), newKey()
	sign := func(c *x509.Certificate, pub any, parent *x509.Certificate) []byte {
		c.SerialNumber, c.NotBefore = big.NewInt(now.UnixNano()), now.Add(-time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, caKey)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	ca := &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, NotAfter: now.Add(48 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER := sign(ca, caKey.Public(), ca)
	server := sign(&x509.Certificate{NotAfter: now.Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, serverKey.Public(), ca)
	leaf := func(name string, pub any, end time.Time) []byte {
		return sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, NotAfter: end, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, pub, ca)
	}
	dir := t.TempDir()
	keyDER, err := x509.MarshalPKCS8PrivateKey(agentKey)
	if err != nil {
		t.Fatal(err)
	}
	put := func(name, kind string, der []byte) {
		if err := writePEM(filepath.Join(dir, name), kind, der); err != nil {
			t.Fatal(err)
		}
	}
	put(keyFile, "PRIVATE KEY", keyDER)
	put(authorityFile, "CERTIFICATE", caDER)
	put(certFile, "CERTIFICATE", leaf("icu", agentKey.Public(), now.Add(time.Hour)))
	old, err := os.ReadFile(filepath.Join(dir, certFile))
	if err != nil {
		t.Fatal(err)
	}

	o := &office{}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}))
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		Certificates: []tls.Certificate{{Certificate: [][]byte{server}, PrivateKey: serverKey}}})))
	controlv1.RegisterEnrollmentServiceServer(s, o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	defer func() { s.Stop(); <-served }()

	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, certFile), filepath.Join(dir, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	try := func() error { return renew(t.Context(), dir, l.Addr().String(), pair) }
	for name, answer := range map[string]func(*x509.CertificateRequest) ([]byte, error){
		"refused": func(*x509.CertificateRequest) ([]byte, error) { return nil, status.Error(codes.Unauthenticated, "no") },
		"nothing": func(*x509.CertificateRequest) ([]byte, error) { return nil, nil },
		"another key": func(*x509.CertificateRequest) ([]byte, error) {
			return leaf("icu", newKey().Public(), now.Add(9*time.Hour)), nil
		},
		"another": func(r *x509.CertificateRequest) ([]byte, error) {
			return leaf("ward", r.PublicKey, now.Add(9*time.Hour)), nil
		},
		"shorter": func(r *x509.CertificateRequest) ([]byte, error) {
			return leaf("icu", r.PublicKey, now.Add(time.Minute)), nil
		},
	} {
		o.answer = answer
		if err := try(); err == nil {
			t.Errorf("%s: taken", name)
		}
		if kept, err := os.ReadFile(filepath.Join(dir, certFile)); err != nil || string(kept) != string(old) {
			t.Errorf("%s: the certificate changed: %v", name, err)
		}
	}
	o.answer = func(r *x509.CertificateRequest) ([]byte, error) {
		return leaf("icu", r.PublicKey, now.Add(9*time.Hour)), nil
	}
	if err := try(); err != nil {
		t.Fatal(err)
	}
	fresh, err := tls.LoadX509KeyPair(filepath.Join(dir, certFile), filepath.Join(dir, keyFile))
	if err != nil || fresh.Leaf.NotAfter.Sub(now).Round(time.Hour) != 9*time.Hour {
		t.Errorf("%v %v", fresh.Leaf.NotAfter, err)
	}
	if due := renewAt(fresh.Leaf).Sub(fresh.Leaf.NotBefore); due < 6*time.Hour || due > 7*time.Hour {
		t.Errorf("due after %s of 10 h", due)
	}
}
