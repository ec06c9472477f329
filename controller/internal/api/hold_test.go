package api

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"primum/controller/internal/auth"
	"primum/controller/internal/bell"
	"primum/controller/internal/safety"
	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
	"primum/safetylists/release"
)

// office is an API on a real store with some devices and without a safety list.
func office(t *testing.T, tags ...string) *API {
	t.Helper()
	db, err := store.Open(t.Context(), t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	root, err := release.NewStaff([]byte{1}).Root()
	if err != nil {
		t.Fatal(err)
	}
	lists, err := safety.Open(t.Context(), db, root)
	if err != nil {
		t.Fatal(err)
	}
	a := &API{Store: db, Safety: lists, Bell: &bell.Bell{}, Online: func(string) bool { return false }, Silent: func(string) (time.Time, bool) { return time.Time{}, false },
		Lost: func(string) bool { return false }, Away: func(string) string { return "" }, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	text := "asset_tag,manufacturer,model\n"
	for _, tag := range tags {
		text += tag + ",Dräger,Delta " + tag + "\n"
	}
	if r, err := (&inventoryService{API: a}).ImportDevices(t.Context(), &adminv1.ImportDevicesRequest{Csv: []byte(text)}); err != nil || len(r.GetProblems()) > 0 || int(r.GetCreated()) != len(tags) {
		t.Fatal(r, err)
	}
	return a
}

func TestAHoldThatWouldStopNothingIsNotPlaced(t *testing.T) {
	a := office(t, "10-1", "10-2")
	s := &holdService{API: a}
	place := func(scope, value string) error {
		_, err := s.PlaceHold(context.Background(), &adminv1.PlaceHoldRequest{Scope: scope, Value: value, Reason: "it beeps"})
		return err
	}
	for _, c := range [][2]string{{"device", "10-3"}, {"model", "Dräger/Delta"}, {"model", "Drager/Delta 10-3"}, {"site", "nowhere"}} {
		if err := place(c[0], c[1]); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "no hold was placed") {
			t.Errorf("%v: %v", c, err)
		}
	}
	if _, holds, err := a.Store.HoldsInForce(t.Context()); err != nil || len(holds) != 0 {
		t.Errorf("%v %v", holds, err)
	}
	for _, c := range [][2]string{{"device", "10-1"}, {"model", " drager / DELTA 10-2"}, {"all", ""}} {
		if err := place(c[0], c[1]); err != nil {
			t.Errorf("%v: %v", c, err)
		}
	}
	if version, holds, err := a.Store.HoldsInForce(t.Context()); err != nil || len(holds) != 3 || version != 3 {
		t.Errorf("version %d, %v %v", version, holds, err)
	}
}

func TestAHoldIsLiftedOnceAndByThoseWhoMay(t *testing.T) {
	a := office(t, "10-1")
	s := &holdService{API: a}
	h, err := s.PlaceHold(t.Context(), &adminv1.PlaceHoldRequest{Scope: "all", Reason: "it beeps"})
	if err != nil {
		t.Fatal(err)
	}
	lift := func(role auth.Role) error {
		token, err := auth.NewToken(t.Context(), a.Store, "somebody", role, store.Audit{At: time.Now(), Actor: "test"})
		if err != nil {
			t.Fatal(err)
		}
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", "Bearer "+token))
		_, err = auth.Gate{Store: a.Store}.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: adminv1.HoldService_LiftHold_FullMethodName}, func(ctx context.Context, _ any) (any, error) {
			return s.LiftHold(ctx, &adminv1.LiftHoldRequest{Name: h.GetName(), Reason: "it was another one"})
		})
		return err
	}
	if _, err := s.LiftHold(t.Context(), &adminv1.LiftHoldRequest{Name: h.GetName(), Reason: strings.Repeat("a", 1025)}); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "at most 1024") {
		t.Errorf("a long reason: %v", err)
	}
	if err := lift(auth.Tool); status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "it takes the role clinical or admin") {
		t.Errorf("a tool: %v", err)
	}
	if err := lift(auth.Clinical); err != nil {
		t.Errorf("clinical: %v", err)
	}
	if err := lift(auth.Admin); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), h.GetName()+" was lifted before") {
		t.Errorf("once more: %v", err)
	}
}

func TestAListOfManyPagesIsReadOnceAndToItsEnd(t *testing.T) {
	tags := []string{"a", "b", "c", "d", "e"}
	s := &inventoryService{API: office(t, tags...)}
	var got []string
	token := ""
	for range len(tags) + 1 {
		r, err := s.ListDevices(t.Context(), &adminv1.ListDevicesRequest{PageSize: 2, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range r.GetDevices() {
			got = append(got, d.GetAssetTag())
		}
		if token = r.GetNextPageToken(); token == "" {
			break
		}
	}
	if strings.Join(got, "") != "abcde" || token != "" {
		t.Errorf("%v, then %q", got, token)
	}
	if _, err := s.ListDevices(t.Context(), &adminv1.ListDevicesRequest{PageToken: "!"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a token that is none: %v", err)
	}
}
