// Package enroll gives agents their identity: the controller's own certificate authority, one-time
// tokens, and certificates of a day. It knows nothing of devices.
package enroll

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// The lives of certificates. AgentLife is short, so that a stolen one is soon worth nothing.
const (
	AgentLife     = 24 * time.Hour
	serverLife    = 7 * 24 * time.Hour
	authorityLife = 10 * 365 * 24 * time.Hour
	// backdate lets a peer whose clock is a little slow accept a new certificate.
	backdate = 5 * time.Minute
)

// Authority is the controller's own certificate authority. It is safe for concurrent use.
type Authority struct {
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	hosts []string

	mu     sync.Mutex
	server *tls.Certificate
}

const (
	authorityCert = "authority.crt"
	authorityKey  = "authority.key"
)

// LoadAuthority reads the authority of a data directory, and makes one at the first start. Hosts are
// the names and addresses under which the controller is reached.
func LoadAuthority(dir string, hosts []string, now time.Time) (*Authority, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, authorityCert), filepath.Join(dir, authorityKey))
	if errors.Is(err, fs.ErrNotExist) {
		return makeAuthority(dir, hosts, now)
	}
	if err != nil {
		return nil, fmt.Errorf("read the authority in %s: %w", dir, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || pair.Leaf == nil || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("read the authority in %s: it is not one that the controller made", dir)
	}
	return &Authority{cert: pair.Leaf, key: key, hosts: hosts}, nil
}

func makeAuthority(dir string, hosts []string, now time.Time) (*Authority, error) {
	if _, err := os.Stat(filepath.Join(dir, authorityCert)); err == nil {
		return nil, fmt.Errorf("%s has the authority's certificate and not its key; restore the key, or every agent has to enrol again", dir)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "Primum controller authority"},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(authorityLife), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	// The key first: a certificate without its key is refused above.
	if err := errors.Join(writePEM(filepath.Join(dir, authorityKey), "PRIVATE KEY", keyDER, 0o600),
		writePEM(filepath.Join(dir, authorityCert), "CERTIFICATE", der, 0o644)); err != nil {
		return nil, fmt.Errorf("keep authority: %w", err)
	}
	return &Authority{cert: cert, key: key, hosts: hosts}, nil
}

func writePEM(path, kind string, der []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	return errors.Join(pem.Encode(f, &pem.Block{Type: kind, Bytes: der}), f.Sync(), f.Close())
}

func newSerial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	return n, nil
}

// Certificate is the authority's certificate, DER.
func (a *Authority) Certificate() []byte { return a.cert.Raw }

// Fingerprint is the SHA-256 of the authority's certificate.
func (a *Authority) Fingerprint() [sha256.Size]byte { return sha256.Sum256(a.cert.Raw) }

// issueAgent signs a certificate for the key of a request. Nothing else of the request is taken over.
func (a *Authority) issueAgent(csrDER []byte, name string, now time.Time) (der []byte, serial string, until time.Time, err error) {
	csr, err := x509.ParseCertificateRequest(csrDER)
	if err != nil {
		return nil, "", time.Time{}, fmt.Errorf("the certificate request cannot be read: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, "", time.Time{}, fmt.Errorf("the certificate request is not signed by its own key")
	}
	if pub, ok := csr.PublicKey.(*ecdsa.PublicKey); !ok || pub.Curve != elliptic.P256() {
		return nil, "", time.Time{}, fmt.Errorf("the key of the certificate request is not ECDSA P-256")
	}
	n, err := newSerial()
	if err != nil {
		return nil, "", time.Time{}, err
	}
	until = now.Add(AgentLife)
	t := &x509.Certificate{SerialNumber: n, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-backdate), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, URIs: []*url.URL{agentURI(name)}}
	if der, err = x509.CreateCertificate(rand.Reader, t, a.cert, csr.PublicKey, a.key); err != nil {
		return nil, "", time.Time{}, fmt.Errorf("issue certificate: %w", err)
	}
	return der, n.Text(16), until, nil
}

func agentURI(name string) *url.URL {
	return &url.URL{Scheme: "primum", Host: "agent", Path: "/" + name}
}

// ServerTLS is TLS 1.3 with the controller's certificate, renewed as it ages. With agents, a
// certificate of this authority is accepted from the peer and checked when it is there.
func (a *Authority) ServerTLS(agents bool, now func() time.Time) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.serverCert(now()) }}
	if agents {
		cfg.ClientAuth, cfg.ClientCAs = tls.VerifyClientCertIfGiven, x509.NewCertPool()
		cfg.ClientCAs.AddCert(a.cert)
	}
	return cfg
}

func (a *Authority) serverCert(now time.Time) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.server != nil && now.Before(a.server.Leaf.NotAfter.Add(-serverLife/3)) && now.After(a.server.Leaf.NotBefore) {
		return a.server, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make server key: %w", err)
	}
	n, err := newSerial()
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{SerialNumber: n, Subject: pkix.Name{CommonName: "Primum controller"}, NotBefore: now.Add(-backdate), NotAfter: now.Add(serverLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, h := range a.hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("make server certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make server certificate: %w", err)
	}
	a.server = &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: leaf}
	return a.server, nil
}
