package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
)

func TestAnApprovedTimeIsSentAsItWasGiven(t *testing.T) {
	s := serve(t, answers{"CreateWindow": func(m proto.Message) (proto.Message, error) { return m.(*adminv1.CreateWindowRequest).GetWindow(), nil }})
	out, complaints, code := s.primum(nil, "window", "create", "night", "--recurrence", `DTSTART:20270110T030000\nRRULE:FREQ=WEEKLY;BYDAY=MO,TU`, "--zone", "Europe/Vienna",
		"--duration", "50s", "--agent", "a", "--device", "devices/10-1", "--device", "10-2")
	want(t, "create", out+complaints, code, exitDone, "night", "50s", "primum plan night")
	asked := &adminv1.CreateWindowRequest{Window: &adminv1.Window{Name: "windows/night", Recurrence: "DTSTART:20270110T030000\nRRULE:FREQ=WEEKLY;BYDAY=MO,TU", Zone: "Europe/Vienna",
		Duration: durationpb.New(50 * time.Second), Devices: []string{"10-1", "10-2"}, Agent: "agents/a"}}
	if diff := cmp.Diff(asked, one[*adminv1.CreateWindowRequest](t, s), protocmp.Transform()); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestAHoldSaysItsScopeAndWhereItIsInForce(t *testing.T) {
	for _, c := range []struct {
		args         []string
		scope, value string
	}{
		{[]string{"--device", "devices/10-1"}, "device", "10-1"}, {[]string{"--model", "Aldane/Vela 3"}, "model", "Aldane/Vela 3"},
		{[]string{"--site", "demo"}, "site", "demo"}, {[]string{"--all"}, "all", ""},
	} {
		s := serve(t, answers{"PlaceHold": says(&adminv1.Hold{Name: "holds/7", State: "HELD", InForce: []string{"agents/a"}, Pending: []string{"agents/b"}})})
		out, _, code := s.primum(nil, append([]string{"hold", "place", "--reason", "in use"}, c.args...)...)
		want(t, c.scope, out, code, exitDone, "holds/7 HELD", "in force on: agents/a; not confirmed yet: agents/b", "primum hold list says when it is in force")
		if r := one[*adminv1.PlaceHoldRequest](t, s); r.GetScope() != c.scope || r.GetValue() != c.value || r.GetReason() != "in use" {
			t.Errorf("%v: %v", c.args, r)
		}
	}
}

func TestAQuestionOnDemandHasAUUIDAndSaysItsOutcome(t *testing.T) {
	answered := &adminv1.Task{Device: "devices/10-1", Question: "snmp.get", State: "ANSWERED", Facts: []*adminv1.Fact{{Field: "model", Value: "Vela 3", Origin: "sysDescr"}}}
	s := serve(t, answers{"Probe": says(&adminv1.ProbeResponse{Task: answered})})
	out, _, code := s.primum(nil, "probe", "10-1", "snmp.get")
	want(t, "answered", out, code, exitDone, "10-1  snmp.get: ANSWERED", "model = Vela 3 (sysDescr)")
	if r := one[*adminv1.ProbeRequest](t, s); uuid.Validate(r.GetRequestId()) != nil || r.GetDevice() != "devices/10-1" || r.GetKind() != "snmp.get" {
		t.Errorf("request %v", r)
	}
	refused := &adminv1.Task{Device: "devices/10-1", State: "REFUSED", Reason: string(list.AddressMoved), Detail: "it is 02:00 now"}
	s = serve(t, answers{"Probe": says(&adminv1.ProbeResponse{Task: refused})})
	out, complaints, code := s.primum(nil, "probe", "10-1", "snmp.get")
	want(t, "refused by the agent", out+complaints, code, exitRefused, "ADDRESS_MOVED", "no longer belongs to this device", "it is 02:00 now")
	// what may have been asked is looked up under its id, and not asked again
	const id = "0e7b3c1c-6a10-4b9e-9d6a-5f4f0c2d7a11"
	s = serve(t, answers{"Probe": fails(status.Error(codes.DeadlineExceeded, "late"))})
	_, complaints, code = s.primum(nil, "probe", "10-1", "snmp.get", "--request-id", id)
	want(t, "late", complaints, code, exitUnreachable, "whether the device was asked is not known", "--request-id "+id)
	if n := len(s.asked()); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestAReportGoesToTheScreenOrToAFile(t *testing.T) {
	for _, format := range []string{"text", "json", "csv"} {
		s := serve(t, answers{"GetReport": says(&adminv1.Report{Content: "line 1\nline 2\n"})})
		out, _, code := s.primum(nil, "report", "1", "--format", format)
		if want(t, format, out, code, exitDone); out != "line 1\nline 2\n" {
			t.Errorf("%s: %q", format, out)
		}
		if r := one[*adminv1.GetReportRequest](t, s); r.GetFormat() != format {
			t.Errorf("asked for %s", r.GetFormat())
		}
		file := filepath.Join(t.TempDir(), "report")
		out, _, code = s.primum(nil, "report", "1", "--format", format, "--to", file)
		want(t, format, out, code, exitDone, file)
		if b, err := os.ReadFile(file); err != nil || string(b) != "line 1\nline 2\n" {
			t.Errorf("%s: %q, %v", format, b, err)
		}
		out, complaints, code := s.primum(nil, "report", "2", "--format", format, "--to", file)
		want(t, format+" once more", out+complaints, code, exitUsage, "is there already, and was left as it is")
		out, complaints, code = s.primum(nil, "report", "2", "--format", format, "--to", filepath.Join(file, "below"))
		want(t, format+" into no folder", out+complaints, code, exitUsage, "below")
	}
}

func TestVersionIsSaidWithoutAController(t *testing.T) {
	out, _, code := command(nil, "version")
	if want(t, "version", out, code, exitDone); out != "primum "+version+"\n" {
		t.Errorf("%q", out)
	}
}
