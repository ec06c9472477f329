package main

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "primum/proto/admin/v1"
)

func TestAPersonSaysWhetherADeviceIsInUse(t *testing.T) {
	d := &adminv1.Device{Name: "devices/10-1", AssetTag: "10-1", Manufacturer: "Aldane\x1b[2J", Model: "Vela 3", OutOfUseConfirmedBy: "ward", OutOfUseConfirmedUntil: timestamppb.New(time.Date(2026, 11, 27, 14, 0, 0, 0, time.UTC))}
	s := serve(t, answers{"ConfirmOutOfUse": says(d), "ReportInUse": says(d)})
	out, complaints, code := s.primum(nil, "devices", "out-of-use", "10-1", "--for", "2h", "--reason", "empty room")
	want(t, "out-of-use", out+complaints, code, exitDone, "10-1 Aldane?[2J Vela 3 is out of use until 2026-11-27 14:00 UTC, says ward")
	if r := one[*adminv1.ConfirmOutOfUseRequest](t, s); r.GetName() != "devices/10-1" || r.GetDuration().AsDuration() != 2*time.Hour || r.GetReason() != "empty room" {
		t.Errorf("%v", r)
	}
	out, complaints, code = s.primum(nil, "devices", "in-use", "10-1", "--reason", "a patient came")
	want(t, "in-use", out+complaints, code, exitDone, "10-1 Aldane?[2J Vela 3 is in use", "A hold of the device")
	s = serve(t, answers{"GetDevice": says(d)})
	out, complaints, code = s.primum(nil, "devices", "show", "10-1")
	want(t, "show", out+complaints, code, exitDone, "confirmed out of use until 2026-11-27 14:00:00 UTC, by ward")
	for name, args := range map[string][]string{"without a time": {"out-of-use", "10-1", "--reason", "x"}, "without a reason": {"in-use", "10-1"}} {
		out, complaints, code := s.primum(nil, append([]string{"devices"}, args...)...)
		want(t, name, out+complaints, code, exitUsage)
	}
}
