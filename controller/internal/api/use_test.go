package api

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"primum/controller/internal/auth"
	"primum/controller/internal/inventory"
	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
)

// as is the context of a call by somebody with a token, as the gate makes it.
func as(t *testing.T, a *API, name string, role auth.Role) (out context.Context) {
	t.Helper()
	token, err := auth.NewToken(t.Context(), a.Store, name, role, store.Audit{At: time.Now(), Actor: "test"})
	if err != nil {
		t.Fatal(err)
	}
	in := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", "Bearer "+token))
	_, err = auth.Gate{Store: a.Store}.Unary(in, nil, &grpc.UnaryServerInfo{FullMethod: "/primum.admin.v1.InventoryService/GetDevice"}, func(ctx context.Context, _ any) (any, error) {
		out = ctx
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// H-002: somebody's word that no patient depends on a device holds for a time and no longer, is ended by the opposite
// word of anybody, which also stops what is under way, and by the next import that does not repeat it.
func TestAWordThatADeviceIsOutOfUseHoldsForItsTime(t *testing.T) {
	a := office(t, "10-1", "10-2")
	s := &inventoryService{API: a}
	ctx := as(t, a, "ward", auth.Clinical)
	confirm := func(name string, d time.Duration, reason, id string) (*adminv1.Device, error) {
		return s.ConfirmOutOfUse(ctx, &adminv1.ConfirmOutOfUseRequest{Name: name, Duration: durationpb.New(d), Reason: reason, RequestId: id})
	}
	word := func() *list.OutOfUse {
		t.Helper()
		d, err := a.Store.Device(t.Context(), "10-1")
		if err != nil {
			t.Fatal(err)
		}
		row, err := inventory.Restore(d.Cells)
		if err != nil {
			t.Fatal(err)
		}
		return row.Device(nil).OutOfUse
	}
	for name, c := range map[string]struct {
		device string
		d      time.Duration
		reason string
		code   codes.Code
	}{
		"no time":        {"devices/10-1", 0, "seen", codes.InvalidArgument},
		"too short":      {"devices/10-1", 59 * time.Second, "seen", codes.InvalidArgument},
		"too long":       {"devices/10-1", 12*time.Hour + time.Second, "seen", codes.InvalidArgument},
		"no reason":      {"devices/10-1", time.Hour, " ", codes.InvalidArgument},
		"a long reason":  {"devices/10-1", time.Hour, strings.Repeat("x", 901), codes.InvalidArgument},
		"another device": {"devices/10-9", time.Hour, "seen", codes.NotFound},
		"no device":      {"10-1/", time.Hour, "seen", codes.InvalidArgument},
	} {
		if _, err := confirm(c.device, c.d, c.reason, ""); status.Code(err) != c.code || word() != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	now := time.Now()
	a.Now = func() time.Time { return now }
	for range 2 { // a repeated call does not lengthen it
		d, err := confirm("devices/10-1", time.Hour, "empty room", "once")
		if err != nil || d.GetOutOfUseConfirmedUntil() == nil {
			t.Fatalf("%v %v", d, err)
		}
		now = now.Add(30 * time.Minute)
	}
	if w := word(); w == nil || w.Until.Sub(now) > 0 || w.Until.Sub(now) < -time.Second || w.By != "ward" {
		t.Errorf("%+v at %s", w, now)
	}
	if err := a.Store.SetCells(t.Context(), "10-1", map[string]string{"cmms_status": "in storage", "cmms_status_at": "2026-11-24T07:00:00Z"}, nil, store.Audit{At: time.Now(), Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	d, err := s.ReportInUse(ctx, &adminv1.ReportInUseRequest{Name: "devices/10-1", Reason: "a patient came"})
	if err != nil || d.GetOutOfUseConfirmedUntil() != nil || d.GetCmmsStatus() != "in storage" || d.GetCmmsStatusAt() != "" || word() != nil { // a status from before that word is evidence no longer
		t.Errorf("%v %v", d, err)
	}
	if _, holds, err := a.Store.HoldsInForce(t.Context()); err != nil || len(holds) != 1 || holds[0].Scope != "device" || holds[0].Value != "10-1" || holds[0].Reason != "in use: a patient came" {
		t.Errorf("%+v %v", holds, err)
	}
	for _, r := range []*adminv1.ReportInUseRequest{{Name: "devices/10-9", Reason: "x"}, {Name: "devices/10-1"}} {
		if _, err := s.ReportInUse(ctx, r); status.Code(err) != codes.NotFound && status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v", r, err)
		}
	}
	if _, err := confirm("devices/10-1", time.Hour, "empty again", ""); err != nil || word() == nil {
		t.Error(err)
	}
	if r, err := s.ImportDevices(t.Context(), &adminv1.ImportDevicesRequest{Csv: []byte("asset_tag,manufacturer,model\n10-1,Dräger,Delta 10-1\n")}); err != nil || len(r.GetProblems()) > 0 || word() != nil {
		t.Errorf("%v %v", r, err)
	}
	if n, err := a.Store.VerifyAudit(t.Context()); err != nil || n < 5 {
		t.Errorf("%d acts: %v", n, err)
	}
}

// H-046: a file that is older than a report of use does not undo it: while the hold of the report stands, what it says of being out of use is
// left out, and said. Afterwards it counts again.
func TestAFileDoesNotUndoAReportOfUse(t *testing.T) {
	a := office(t, "10-1", "10-2")
	s := &inventoryService{API: a}
	ctx := as(t, a, "ward", auth.Clinical)
	until := time.Now().Add(3 * time.Hour).UTC().Format(time.RFC3339)
	file := "asset_tag,manufacturer,model,out_of_use_confirmed_by,out_of_use_confirmed_until\n"
	for _, tag := range []string{"10-1", "10-2"} {
		file += tag + ",Dräger,Delta " + tag + ",R. Okafor," + until + "\n"
	}
	confirmed := func() string {
		t.Helper()
		out := ""
		for _, tag := range []string{"10-1", "10-2"} {
			d, err := a.Store.Device(t.Context(), tag)
			if err != nil {
				t.Fatal(err)
			}
			out += d.Cells["out_of_use_confirmed_by"] + ";"
		}
		return out
	}
	if _, err := s.ReportInUse(ctx, &adminv1.ReportInUseRequest{Name: "devices/10-1", Reason: "patient admitted"}); err != nil {
		t.Fatal(err)
	}
	for _, dry := range []bool{true, false} {
		r, err := s.ImportDevices(ctx, &adminv1.ImportDevicesRequest{Csv: []byte(file), ValidateOnly: dry})
		if err != nil || len(r.GetProblems()) > 0 || len(r.GetNotes()) != 1 || !strings.Contains(r.GetNotes()[0], "10-1: ") || !strings.Contains(r.GetNotes()[0], "patient admitted, by ") {
			t.Fatalf("%v %v", r, err)
		}
	}
	if got := confirmed(); got != ";R. Okafor;" {
		t.Errorf("while it is in use: %s", got)
	}
	_, holds, err := a.Store.HoldsInForce(t.Context())
	if err != nil || len(holds) != 1 {
		t.Fatal(holds, err)
	}
	if err := a.Store.LiftHold(t.Context(), holds[0].ID, "a", "discharged", store.Audit{At: time.Now(), Actor: "a"}); err != nil {
		t.Fatal(err)
	}
	if r, err := s.ImportDevices(ctx, &adminv1.ImportDevicesRequest{Csv: []byte(file)}); err != nil || len(r.GetNotes()) != 0 || confirmed() != "R. Okafor;R. Okafor;" {
		t.Errorf("after the hold: %v %v %s", r, err, confirmed())
	}
}

// G9: an export that has one network card for many devices makes one of them. It is taken, and says so: nobody would know why they wait for
// each other.
func TestANetworkCardOfSeveralDevicesIsNamed(t *testing.T) {
	a := office(t, "10-1")
	s := &inventoryService{API: a}
	file := "asset_tag,manufacturer,model,mac\n1,Dräger,Delta,00:10:5d:01:02:03\n2,Dräger,Delta,00-10-5D-01-02-03\n3,Dräger,Delta,00:10:5d:01:02:04\n4,Dräger,Delta,\n5,Dräger,Delta,\n"
	for range 4 {
		file = strings.Replace(file, "\n3,", "\n9"+strings.Repeat("9", strings.Count(file, "\n9"))+",Dräger,Delta,00:10:5d:01:02:03\n3,", 1)
	}
	r, err := s.ImportDevices(t.Context(), &adminv1.ImportDevicesRequest{Csv: []byte(file)})
	if err != nil || len(r.GetProblems()) > 0 || len(r.GetNotes()) != 1 || !strings.HasPrefix(r.GetNotes()[0], "1, 2, 9, 99 and 2 more have the network card 00:10:5d:01:02:03, and count as one device") {
		t.Errorf("%v %v", r, err)
	}
}
