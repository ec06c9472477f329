package auth

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
)

// may is the permission matrix as people agreed on it, apart from the code: v viewer, o operator,
// c clinical, t tool, a admin.
func may() map[string]string {
	return map[string]string{
		"InventoryService/ImportDevices": "oa", "InventoryService/ListDevices": "vocta", "InventoryService/GetDevice": "vocta", "InventoryService/ExplainQuestion": "vocta", "InventoryService/ClearDevice": "ca",
		"InventoryService/ConfirmOutOfUse": "octa", "InventoryService/ReportInUse": "vocta",
		"WindowService/CreateWindow": "oa", "WindowService/ListWindows": "vocta", "WindowService/GetWindow": "vocta",
		"PlanService/CreatePlan": "oa", "PlanService/GetPlan": "vocta", "PlanService/ListPlans": "vocta", "PlanService/ApprovePlan": "oa",
		"PlanService/CreateStandingApproval": "oa", "PlanService/ListStandingApprovals": "vocta",
		"RunService/GetRun": "vocta", "RunService/ListRuns": "vocta", "RunService/WatchRun": "vocta", "RunService/ListTasks": "vocta",
		"RunService/GetReport": "vocta", "RunService/CancelRun": "oa", "ProbeService/Probe": "ota",
		"HoldService/PlaceHold": "vocta", "HoldService/ListHolds": "vocta", "HoldService/LiftHold": "ca",
		"AgentAdminService/ListAgents": "vocta", "AgentAdminService/CreateEnrollmentToken": "a", "AgentAdminService/SetSecret": "a",
		"ListService/PublishRelease": "a", "ListService/GetRelease": "vocta",
		"EvidenceService/ListEvidence": "voca", "EvidenceService/GetTouched": "voca",
		"PaperService/ImportAdvisory": "oa", "PaperService/ListProposals": "vocta", "PaperService/DecideProposal": "oa", "PaperService/ImportDisclosure": "oa",
	}
}

func TestEveryMethodOfTheAPIHasItsRowInThePermissionMatrix(t *testing.T) {
	letters := map[Role]byte{Viewer: 'v', Operator: 'o', Clinical: 'c', Tool: 't', Admin: 'a'}
	rows, seen := may(), 0
	for _, d := range []grpc.ServiceDesc{adminv1.InventoryService_ServiceDesc, adminv1.WindowService_ServiceDesc, adminv1.PlanService_ServiceDesc,
		adminv1.RunService_ServiceDesc, adminv1.ProbeService_ServiceDesc, adminv1.HoldService_ServiceDesc, adminv1.AgentAdminService_ServiceDesc, adminv1.ListService_ServiceDesc,
		adminv1.PaperService_ServiceDesc, adminv1.EvidenceService_ServiceDesc} {
		var names []string
		for _, m := range d.Methods {
			names = append(names, m.MethodName)
		}
		for _, s := range d.Streams {
			names = append(names, s.StreamName)
		}
		for _, name := range names {
			full := "/" + d.ServiceName + "/" + name
			row, ok := rows[full[len(admin):]]
			if !ok {
				t.Errorf("%s is in no row of the matrix", full)
			}
			seen++
			for role, letter := range letters {
				want := false
				for i := range row {
					want = want || row[i] == letter
				}
				if got := May(role, full); got != want {
					t.Errorf("%s may call %s: %v", role, full, got)
				}
			}
			if May("", full) || May("root", full) {
				t.Errorf("a role that does not exist may call %s", full)
			}
		}
	}
	if seen != len(rows) {
		t.Errorf("the matrix has %d rows for %d methods", len(rows), seen)
	}
	for _, other := range []string{"", "/", "/primum.admin.v1.NewService/Do", "/primum.control.v1.AgentService/Connect", "/grpc.health.v2.Health/Check"} {
		if May(Admin, other) {
			t.Errorf("%q may be called", other)
		}
	}
}

func TestACallWithoutAGoodTokenIsRefused(t *testing.T) {
	ctx := context.Background()
	db, err := store.Open(ctx, t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	first, err := NewToken(ctx, db, "ward-tool", Viewer, store.Audit{At: time.Now(), Actor: "test"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := NewToken(ctx, db, "ward-tool", Tool, store.Audit{At: time.Now(), Actor: "test"})
	if err != nil {
		t.Fatal(err)
	}
	g := Gate{db}
	call := func(method string, auth ...string) (Principal, error) {
		ctx := metadata.NewIncomingContext(ctx, metadata.MD{"authorization": auth})
		out, err := g.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: method}, func(ctx context.Context, _ any) (any, error) { return From(ctx), nil })
		if err != nil {
			return Principal{}, err
		}
		return out.(Principal), nil
	}
	const probe = "/primum.admin.v1.ProbeService/Probe"
	for name, auth := range map[string][]string{"none": nil, "two": {"Bearer " + second, "Bearer " + second}, "no scheme": {second},
		"empty": {"Bearer "}, "unknown": {"Bearer primum-AAAA"}, "replaced": {"Bearer " + first}} {
		if _, err := call(probe, auth...); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p, err := call(probe, "Bearer "+second); err != nil || p != (Principal{"ward-tool", Tool}) {
		t.Errorf("%v, %v", p, err)
	}
	if _, err := call("/primum.admin.v1.ListService/PublishRelease", "Bearer "+second); status.Code(err) != codes.PermissionDenied ||
		status.Convert(err).Message() != "ward-tool has the role tool, which may not publish release; it takes the role admin" {
		t.Errorf("a tool publishes a release: %v", err)
	}
	if _, err := call("/primum.admin.v1.NewService/Do", "Bearer "+second); status.Convert(err).Message() != "ward-tool has the role tool, which may not do; no role may" {
		t.Errorf("a method of nobody: %v", err)
	}
	if _, err := NewToken(ctx, db, "x", "root", store.Audit{}); err == nil {
		t.Error("a role that does not exist got a token")
	}
}
