package enroll

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
)

// TokenLife is how long a one-time token is good for.
const TokenLife = 15 * time.Minute

// Service implements primum.control.v1.EnrollmentService.
type Service struct {
	controlv1.UnimplementedEnrollmentServiceServer
	Authority *Authority
	Store     *store.Store
	PermitKey ed25519.PublicKey
	ListRoot  []byte
	Now       func() time.Time
	Log       *slog.Logger
}

var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

// CheckName says what is wrong with the name of an agent.
func CheckName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("an agent is named with 1 to 40 small letters, digits and hyphens, not %q", name)
	}
	return nil
}

// NewToken makes a one-time token for an agent; only its hash is stored.
func NewToken(ctx context.Context, db *store.Store, agent string, a store.Audit) (token string, expires time.Time, err error) {
	var b [20]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", time.Time{}, fmt.Errorf("make token: %w", err)
	}
	token = "enrol-" + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])
	expires = a.At.Add(TokenLife)
	h := sha256.Sum256([]byte(token))
	return token, expires, db.AddEnrolmentToken(ctx, h[:], agent, expires, a)
}

// Enroll implements the call. The token is spent by the first call that names it, also by one that
// fails, so that a stolen token and a broken request cannot be tried out.
func (s *Service) Enroll(ctx context.Context, r *controlv1.EnrollRequest) (*controlv1.EnrollResponse, error) {
	now := s.Now()
	h := sha256.Sum256([]byte(r.GetToken()))
	name, err := s.Store.SpendEnrolmentToken(ctx, h[:], now)
	if errors.Is(err, store.ErrNotFound) {
		return nil, status.Error(codes.PermissionDenied, "the token is unknown, used before, or older than 15 minutes; make a new one with primum agents token")
	}
	if err != nil {
		return nil, s.failed("spend token", err)
	}
	if len(r.GetSealingKey()) != 32 {
		return nil, status.Error(codes.InvalidArgument, "the sealing key is not 32 octets")
	}
	der, serial, until, err := s.Authority.issueAgent(r.GetCsr(), name, now)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if err := s.Store.Enrol(ctx, store.Certificate{Serial: serial, Agent: name, Until: until}, r.GetSealingKey(), now); err != nil {
		return nil, s.failed("enrol", err)
	}
	s.Log.Info("agent enrolled", "agent", name, "certificate", serial)
	return s.identity(name, der), nil
}

// Renew implements the call.
func (s *Service) Renew(ctx context.Context, r *controlv1.RenewRequest) (*controlv1.EnrollResponse, error) {
	now := s.Now()
	caller, err := Peer(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	name := caller.Agent
	der, serial, until, err := s.Authority.issueAgent(r.GetCsr(), name, now)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	err = s.Store.AddCertificate(ctx, store.Certificate{Serial: serial, Agent: name, Until: until}, caller.Serial, now)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, revoked(name)
	case err != nil:
		return nil, s.failed("renew", err)
	}
	return s.identity(name, der), nil
}

func (s *Service) identity(name string, der []byte) *controlv1.EnrollResponse {
	return &controlv1.EnrollResponse{Agent: "agents/" + name, Certificate: der, Authority: s.Authority.Certificate(), PermitKey: s.PermitKey, ListRoot: s.ListRoot}
}

func (s *Service) failed(what string, err error) error {
	s.Log.Error("enrolment failed", "at", what, "error", err)
	return status.Error(codes.Internal, "the controller could not "+what+"; see its log")
}

// Caller is the agent that calls, as its certificate says.
type Caller struct {
	Agent     string
	Serial    string
	Enrolment uint64 // that the certificate belongs to
}

// Peer returns the agent that the certificate of a call names, if it was given by this controller and
// not revoked since. TLS has verified the certificate already.
func Peer(ctx context.Context, db *store.Store) (Caller, error) {
	denied := status.Error(codes.Unauthenticated, "the call needs the certificate of an enrolled agent")
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Caller{}, denied
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return Caller{}, denied
	}
	leaf := info.State.VerifiedChains[0][0]
	if len(leaf.URIs) != 1 {
		return Caller{}, denied
	}
	c := Caller{Agent: leaf.Subject.CommonName, Serial: leaf.SerialNumber.Text(16)}
	if CheckName(c.Agent) != nil || *leaf.URIs[0] != *agentURI(c.Agent) {
		return Caller{}, denied
	}
	enrolment, err := db.CertificateGood(ctx, c.Serial, c.Agent)
	c.Enrolment = enrolment
	return c, inForce(c.Agent, err)
}

// StillEnrolled reports why a caller is not the agent any more: it was enrolled anew, or its certificates have
// all ended. A session outlives the certificate that it began with, and not the enrolment (H-011).
func StillEnrolled(ctx context.Context, db *store.Store, c Caller, at time.Time) error {
	return inForce(c.Agent, db.Enrolled(ctx, c.Agent, c.Enrolment, at))
}

// inForce says to an agent what the store said of it.
func inForce(agent string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return revoked(agent)
	case errors.Is(err, context.Canceled):
		return status.FromContextError(err).Err()
	}
	return status.Error(codes.Unavailable, "the controller cannot read its database")
}

func revoked(agent string) error {
	return status.Error(codes.Unauthenticated, "the certificate of agent "+agent+" was revoked, has ended, or is not of this controller; enrol it again")
}
