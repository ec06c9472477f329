// Package auth says who calls the admin API and what that caller may do. It stands before every call:
// a method that its table does not name is refused to everybody.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"primum/controller/internal/store"
)

// Role is what a caller is. The zero value may do nothing.
type Role string

// The roles. Everyone of them may look, and may place a hold.
const (
	Viewer   Role = "viewer"   // looks
	Operator Role = "operator" // HTM: devices, approved times, plans, runs
	Clinical Role = "clinical" // looks, lifts holds, and clears devices that were in distress
	Tool     Role = "tool"     // another program: looks, and asks under a standing approval
	Admin    Role = "admin"    // all of it, and agents, secrets and the safety list
)

// Roles returns every role.
func Roles() []Role { return []Role{Viewer, Operator, Clinical, Tool, Admin} }

// Principal is an authenticated caller.
type Principal struct {
	Name string
	Role Role
}

type principalKey struct{}

// From returns the caller; the zero Principal when there is none.
func From(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}

const admin = "/primum.admin.v1."

// May reports whether a role may call a method, by its full gRPC name.
func May(r Role, method string) bool {
	if !slices.Contains(Roles(), r) {
		return false
	}
	if service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/"); service == "grpc.health.v1.Health" || strings.HasPrefix(service, "grpc.reflection.") {
		return true
	}
	switch strings.TrimPrefix(method, admin) {
	case "InventoryService/ListDevices", "InventoryService/GetDevice", "InventoryService/ExplainQuestion",
		"WindowService/ListWindows", "WindowService/GetWindow",
		"PlanService/GetPlan", "PlanService/ListPlans", "PlanService/ListStandingApprovals",
		"RunService/GetRun", "RunService/ListRuns", "RunService/WatchRun", "RunService/ListTasks", "RunService/GetReport",
		"HoldService/PlaceHold", "InventoryService/ReportInUse", "HoldService/ListHolds", "AgentAdminService/ListAgents", "ListService/GetRelease", "PaperService/ListProposals":
		return true
	case "InventoryService/ImportDevices", "WindowService/CreateWindow", "PlanService/CreatePlan", "PlanService/ApprovePlan",
		"PlanService/CreateStandingApproval", "RunService/CancelRun", "PaperService/ImportAdvisory", "PaperService/ImportDisclosure",
		"PaperService/DecideProposal":
		return r == Operator || r == Admin
	case "EvidenceService/ListEvidence", "EvidenceService/GetTouched":
		return r != Tool
	case "HoldService/LiftHold", "InventoryService/ClearDevice":
		return r == Clinical || r == Admin
	case "InventoryService/ConfirmOutOfUse":
		return r != Viewer
	case "ProbeService/Probe":
		return r == Tool || r == Operator || r == Admin
	case "AgentAdminService/CreateEnrollmentToken", "AgentAdminService/SetSecret", "ListService/PublishRelease":
		return r == Admin
	default:
		return false
	}
}

// CheckName says what is wrong with the name of a token.
func CheckName(name string) error {
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("a token is named with 1 to 64 printable characters without spaces, not %q", name)
	}
	return nil
}

// NewToken makes a bearer token for a name; only its hash is stored. A token of the same name ends.
func NewToken(ctx context.Context, db *store.Store, name string, role Role, a store.Audit) (string, error) {
	if !slices.Contains(Roles(), role) {
		return "", fmt.Errorf("the role %q does not exist; it is one of %v", role, Roles())
	}
	if err := CheckName(name); err != nil {
		return "", err
	}
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("make token: %w", err)
	}
	token := "primum-" + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])
	h := sha256.Sum256([]byte(token))
	return token, db.PutToken(ctx, store.Token{Hash: h[:], Name: name, Role: string(role)}, a)
}

// Gate checks every call.
type Gate struct{ Store *store.Store }

func (g Gate) admit(ctx context.Context, method string) (context.Context, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get("authorization")
	if len(values) != 1 {
		return nil, status.Error(codes.Unauthenticated, "the call carries no token; give the metadata authorization: Bearer TOKEN")
	}
	token, ok := strings.CutPrefix(values[0], "Bearer ")
	if !ok || token == "" {
		return nil, status.Error(codes.Unauthenticated, "the authorization is not of the form Bearer TOKEN")
	}
	h := sha256.Sum256([]byte(strings.TrimSpace(token)))
	found, err := g.Store.TokenByHash(ctx, h[:])
	if errors.Is(err, store.ErrNotFound) {
		return nil, status.Error(codes.Unauthenticated, "the token is not known; an administrator makes one with primum-controller token create")
	}
	if err != nil {
		return nil, status.Error(codes.Unavailable, "the controller cannot read its database")
	}
	p := Principal{found.Name, Role(found.Role)}
	if !May(p.Role, method) {
		return nil, status.Errorf(codes.PermissionDenied, "%s has the role %s, which may not %s; %s", p.Name, p.Role, deed(method), allowed(method))
	}
	return context.WithValue(ctx, principalKey{}, p), nil
}

// deed is what a method does, in words: LiftHold is "lift hold".
func deed(method string) string {
	_, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	var b strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// allowed says which roles may call a method.
func allowed(method string) string {
	var roles []string
	for _, r := range Roles() {
		if May(r, method) {
			roles = append(roles, string(r))
		}
	}
	if len(roles) == 0 {
		return "no role may"
	}
	return "it takes the role " + strings.Join(roles, " or ")
}

// Unary is the interceptor of single calls.
func (g Gate) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	ctx, err := g.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return next(ctx, req)
}

// Stream is the interceptor of streams.
func (g Gate) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, err := g.admit(ss.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	return next(srv, stream{ss, ctx})
}

type stream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context carries the principal.
func (s stream) Context() context.Context { return s.ctx }
