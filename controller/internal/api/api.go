// Package api is primum.admin.v1 for people and tools: it reads requests into values that cannot be
// wrong, and says refusals with their reason codes. Who may call what is package auth's business.
package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"primum/controller/internal/auth"
	"primum/controller/internal/bell"
	"primum/controller/internal/safety"
	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
)

// API is everything that the services stand on.
type API struct {
	Store     *store.Store
	Safety    *safety.Keeper
	Bell      *bell.Bell
	Online    func(agent string) bool
	Silent    func(agent string) (since time.Time, silent bool) // so long without a session that nobody knows what it does
	Lost      func(agent string) bool                           // records of it are missing here
	Away      func(agent string) string                         // why its certificate opens no session; empty: nobody has turned it away
	Authority [sha256.Size]byte                                 // SHA-256 of the authority's certificate
	Now       func() time.Time
	Log       *slog.Logger
}

// Register puts every service on a server.
func (a *API) Register(s *grpc.Server) {
	adminv1.RegisterInventoryServiceServer(s, &inventoryService{API: a})
	adminv1.RegisterWindowServiceServer(s, &windowService{API: a})
	adminv1.RegisterPlanServiceServer(s, &planService{API: a})
	adminv1.RegisterRunServiceServer(s, &runService{API: a})
	adminv1.RegisterProbeServiceServer(s, &probeService{API: a})
	adminv1.RegisterHoldServiceServer(s, &holdService{API: a})
	adminv1.RegisterAgentAdminServiceServer(s, &agentService{API: a})
	adminv1.RegisterListServiceServer(s, &listService{API: a})
	adminv1.RegisterPaperServiceServer(s, &paperService{API: a})
	adminv1.RegisterEvidenceServiceServer(s, &evidenceService{API: a})
}

// failed makes of an error of the store what the caller hears. What is not the caller's doing goes to
// the log and not to the caller.
func (a *API) failed(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case status.Code(err) != codes.Unknown:
		return err
	case errors.Is(err, store.ErrNotFound):
		return status.Errorf(codes.NotFound, "there is no %s", what)
	case errors.Is(err, store.ErrExists):
		return status.Errorf(codes.AlreadyExists, "%s exists already", what)
	case errors.Is(err, store.ErrRequest):
		return status.Error(codes.InvalidArgument, "this request_id was used before with another body; use a new one")
	case errors.Is(err, store.ErrState):
		return status.Errorf(codes.FailedPrecondition, "the state of %s does not allow this any more", what)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	}
	a.Log.Error("call failed", "about", what, "error", err)
	if words := store.Fault(err); words != "" {
		return status.Error(codes.Internal, words)
	}
	return status.Error(codes.Internal, "the controller could not do this; see its log")
}

func bad(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

// refused says a refusal: FAILED_PRECONDITION with the reason code in ErrorInfo.
func refused(r list.Refusal, statements []string) error {
	s := status.New(codes.FailedPrecondition, r.String())
	info := &errdetails.ErrorInfo{Reason: string(r.Reason), Domain: "primum", Metadata: map[string]string{"detail": r.Detail, "statements": strings.Join(statements, " ")}}
	if info.Reason == "" {
		info.Reason = "NOT_DECIDED"
	}
	with, err := s.WithDetails(info)
	if err != nil {
		return s.Err()
	}
	return with.Err()
}

// bare takes the collection off a resource name.
func bare(name, collection string) (string, error) {
	id, ok := strings.CutPrefix(name, collection+"/")
	if !ok || id == "" || len(id) > 128 {
		return "", bad("%q is not a name such as %s/NAME", name, collection)
	}
	return id, nil
}

// page reads the bounds of a list call: the name after which it goes on, and how many.
func page(token string, size uint32) (after string, limit int, err error) {
	limit = int(min(size, 1000))
	if limit == 0 {
		limit = 100
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", 0, bad("the page_token is not one of this list")
	}
	return string(b), limit, nil
}

// next is the token after a page that was full.
func next(have, limit int, last string) string {
	if have < limit {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(last))
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// newName makes a name that sorts by its time.
func newName(at time.Time) (string, error) {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("make name: %w", err)
	}
	return at.UTC().Format("20060102-150405-") + hex.EncodeToString(b[:]), nil
}

// request is the client's own name for a call, nil when it gave none. When the call was carried out
// before, done is true and result is what it came to.
func (a *API) request(ctx context.Context, id string, m proto.Message) (r *store.Request, result string, done bool, err error) {
	if id == "" {
		return nil, "", false, nil
	}
	if len(id) > 64 {
		return nil, "", false, bad("the request_id is longer than 64 characters")
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, "", false, a.failed(err, "the request")
	}
	r = &store.Request{Caller: auth.From(ctx).Name, ID: id, Body: sha256.Sum256(append([]byte(m.ProtoReflect().Descriptor().FullName()), body...))}
	result, err = a.Store.Request(ctx, *r, a.Now())
	switch {
	case err == nil:
		return r, result, true, nil
	case errors.Is(err, store.ErrNotFound):
		return r, "", false, nil
	}
	return nil, "", false, a.failed(err, "the request")
}

// act begins the line of the audit trail for a call.
func (a *API) act(ctx context.Context, verb, resource string) store.Audit {
	return store.Audit{At: a.Now(), Actor: auth.From(ctx).Name, Verb: verb, Resource: resource}
}
