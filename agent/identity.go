package agent

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"primum/agent/internal/secret"
	controlv1 "primum/proto/control/v1"
	"primum/safetylists/permit"
	"primum/safetylists/release"
)

// Identity is what enrolment gave the agent: who it is, whom it speaks to, and whose signatures it
// believes.
type Identity struct {
	Name       string `json:"name"`       // without "agents/"
	Controller string `json:"controller"` // host:port
	PermitKey  string `json:"permit_key"`
	ListRoot   []byte `json:"list_root"` // the root of the safety list that a person handed over
}

const (
	identityFile  = "agent.json"
	keyFile       = "agent.key"
	certFile      = "agent.crt"
	authorityFile = "authority.crt"
)

// EnrollConfig is what a person hands to a new agent.
type EnrollConfig struct {
	Data       string // data directory of the agent
	Controller string // host:port of the control plane
	Authority  string // file: certificate of the controller's authority, PEM
	ListRoot   string // file: root of the safety list; believed over the controller
	TokenFile  string // file: one-time token
}

// Enroll makes the agent's own key, and exchanges the one-time token for a certificate.
func Enroll(ctx context.Context, cfg EnrollConfig) (Identity, error) {
	if _, err := os.Stat(filepath.Join(cfg.Data, identityFile)); err == nil {
		return Identity{}, fmt.Errorf("enrol: %s holds an enrolled agent already; use another data directory", cfg.Data)
	}
	token, err := os.ReadFile(cfg.TokenFile)
	if err != nil {
		return Identity{}, fmt.Errorf("enrol: read token: %w", err)
	}
	root, err := os.ReadFile(cfg.ListRoot)
	if err != nil {
		return Identity{}, fmt.Errorf("enrol: read list root: %w", err)
	}
	if _, err := release.NewMemory(root); err != nil {
		return Identity{}, fmt.Errorf("enrol: %s: %w", cfg.ListRoot, err)
	}
	roots, authority, err := readAuthority(cfg.Authority)
	if err != nil {
		return Identity{}, fmt.Errorf("enrol: %w", err)
	}
	secrets, err := secret.Open(filepath.Join(cfg.Data, "secrets"))
	if err != nil {
		return Identity{}, fmt.Errorf("enrol: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Identity{}, fmt.Errorf("enrol: make key: %w", err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "primum agent"}}, key)
	if err != nil {
		return Identity{}, fmt.Errorf("enrol: make request: %w", err)
	}
	conn, err := grpc.NewClient("passthrough:///"+cfg.Controller, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots})))
	if err != nil {
		return Identity{}, fmt.Errorf("enrol: %w", err)
	}
	defer conn.Close()
	resp, err := controlv1.NewEnrollmentServiceClient(conn).Enroll(ctx, &controlv1.EnrollRequest{Token: strings.TrimSpace(string(token)), Csr: csr, SealingKey: secrets.PublicKey()})
	if err != nil {
		return Identity{}, fmt.Errorf("enrol at %s: %w", cfg.Controller, err)
	}
	if err := sameRoot(root, resp.GetListRoot(), cfg.ListRoot); err != nil {
		return Identity{}, err
	}
	if len(resp.GetPermitKey()) != ed25519.PublicKeySize {
		return Identity{}, fmt.Errorf("enrol: the controller gave no permit key")
	}
	id := Identity{Name: strings.TrimPrefix(resp.GetAgent(), "agents/"), Controller: cfg.Controller,
		PermitKey: permit.FormatPublic(resp.GetPermitKey()), ListRoot: root}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Identity{}, fmt.Errorf("enrol: keep key: %w", err)
	}
	doc, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return Identity{}, fmt.Errorf("enrol: %w", err)
	}
	// The identity comes last: without it the directory is not an enrolled agent.
	return id, errors.Join(
		writePEM(filepath.Join(cfg.Data, keyFile), "PRIVATE KEY", keyDER),
		writePEM(filepath.Join(cfg.Data, certFile), "CERTIFICATE", resp.GetCertificate()),
		os.WriteFile(filepath.Join(cfg.Data, authorityFile), authority, 0o600),
		os.WriteFile(filepath.Join(cfg.Data, identityFile), doc, 0o600))
}

// sameRoot refuses a controller that believes another root than the one that a person handed over here.
func sameRoot(mine, theirs []byte, path string) error {
	if !bytes.Equal(mine, theirs) {
		return fmt.Errorf("enrol: the controller's list root is not the one in %s; do not go on before you know why", path)
	}
	return nil
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

func readAuthority(path string) (*x509.CertPool, []byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, nil, fmt.Errorf("read authority: %s holds no certificate", path)
	}
	return pool, text, nil
}

// load reads the identity of an enrolled agent.
func load(data string) (Identity, ed25519.PublicKey, error) {
	b, err := os.ReadFile(filepath.Join(data, identityFile))
	if err != nil {
		return Identity{}, nil, fmt.Errorf("this agent is not enrolled; run primum-agent enroll first: %w", err)
	}
	var id Identity
	if err := json.Unmarshal(b, &id); err != nil {
		return Identity{}, nil, fmt.Errorf("read %s: %w", identityFile, err)
	}
	permitKey, err := permit.ParsePublic(id.PermitKey)
	if err != nil {
		return Identity{}, nil, fmt.Errorf("read %s: %w", identityFile, err)
	}
	return id, permitKey, nil
}

// creds is the mutual TLS of the uplink. An agent certificate that has ended is said plainly.
func creds(data string) (credentials.TransportCredentials, error) {
	cert, err := tls.LoadX509KeyPair(filepath.Join(data, certFile), filepath.Join(data, keyFile))
	if err != nil {
		return nil, fmt.Errorf("read certificate of the agent: %w", err)
	}
	if leaf := cert.Leaf; leaf != nil && time.Now().After(leaf.NotAfter) {
		return nil, fmt.Errorf("the certificate of the agent ended at %s; enrol it again", leaf.NotAfter.Format(time.DateTime))
	}
	roots, _, err := readAuthority(filepath.Join(data, authorityFile))
	if err != nil {
		return nil, err
	}
	return credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{cert}}), nil
}
