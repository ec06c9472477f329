package main

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "primum/proto/admin/v1"
)

func TestAPersonSaysWhetherADeviceIsInUse(t *testing.T) {
	d := &adminv1.Device{Name: "devices/10-1", AssetTag: "10-1", Manufacturer: "Aldane\x1b[2J", Model: "Vela 3", OutOfUseConfirmedBy: "ward", OutOfUseConfirmedUntil: timestamppb.New(time.Date(2026, 11, 27, 14, 0, 0, 0, time.UTC))}
	holds := &adminv1.ListHoldsResponse{Holds: []*adminv1.Hold{{Name: "holds/3", Scope: "device", Value: "10-2", Reason: "x", PlacedBy: "y"}, {Name: "holds/4", Scope: "device", Value: "10-1", Reason: "in use: a patient came", PlacedBy: "ward"}}}
	s := serve(t, answers{"ConfirmOutOfUse": says(d), "ReportInUse": says(d), "ListHolds": says(holds)})
	out, complaints, code := s.primum(nil, "devices", "out-of-use", "10-1", "--for", "2h", "--reason", "empty room")
	want(t, "out-of-use", out+complaints, code, exitDone, "10-1 Aldane?[2J Vela 3 is out of use until 2026-11-27 14:00 UTC, says ward", "holds/4 stops it all the same: in use: a patient came, by ward. To lift it: primum hold lift holds/4 --reason WHY")
	if strings.Contains(out, "holds/3") {
		t.Errorf("it names the hold of another device: %s", out)
	}
	if r := one[*adminv1.ConfirmOutOfUseRequest](t, s); r.GetName() != "devices/10-1" || r.GetDuration().AsDuration() != 2*time.Hour || r.GetReason() != "empty room" {
		t.Errorf("%v", r)
	}
	out, complaints, code = s.primum(nil, "devices", "in-use", "10-1", "--reason", "a patient came")
	want(t, "in-use", out+complaints, code, exitDone, "10-1 Aldane?[2J Vela 3 is in use", "holds/4 stops it", "lift holds/4")
	s = serve(t, answers{"GetDevice": says(d)})
	out, complaints, code = s.primum(nil, "devices", "show", "10-1")
	want(t, "show", out+complaints, code, exitDone, "confirmed out of use until 2026-11-27 14:00:00 UTC, by ward")
	for name, args := range map[string][]string{"without a time": {"out-of-use", "10-1", "--reason", "x"}, "without a reason": {"in-use", "10-1"}} {
		out, complaints, code := s.primum(nil, append([]string{"devices"}, args...)...)
		want(t, name, out+complaints, code, exitUsage)
	}
}
