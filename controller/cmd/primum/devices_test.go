package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	adminv1 "primum/proto/admin/v1"
	"primum/safetylists/evidence"
)

func TestImportSaysEachProblemOnALineAndExitsTwo(t *testing.T) {
	file := put(t, filepath.Join(t.TempDir(), "inventory.csv"), "asset_tag,ip\n")
	s := serve(t, answers{"ImportDevices": says(&adminv1.ImportDevicesResponse{Problems: []*adminv1.RowProblem{
		{Row: 5, Column: "ip", Problem: "127.0.0.999 is no address"}, {Row: 7, Problem: "two cells are missing\x1b]0;x\a"}}})})
	out, complaints, code := s.primum(nil, "devices", "import", file)
	want(t, "text", complaints, code, exitUsage, "row 5, column ip: 127.0.0.999 is no address\n", "row 7: two cells are missing?]0;x?\n", "2 problems; nothing was taken")
	if out != "" {
		t.Errorf("prints %q", out)
	}
	out, complaints, code = s.primum(nil, "--output", "json", "devices", "import", file)
	want(t, "json", complaints, code, exitUsage, "row 5, column ip")
	var r adminv1.ImportDevicesResponse
	if err := protojson.Unmarshal([]byte(out), &r); err != nil || len(r.GetProblems()) != 2 {
		t.Errorf("%s: %v", out, err)
	}
}

func TestImportSendsTheFileAndSaysWhatBecameOfIt(t *testing.T) {
	const text = "asset_tag,ip\n10-1,127.0.0.1\n"
	file := put(t, filepath.Join(t.TempDir(), "inventory.csv"), text)
	for _, validate := range []bool{false, true} {
		s := serve(t, answers{"ImportDevices": says(&adminv1.ImportDevicesResponse{Created: 3, Updated: 2, Unchanged: 1})})
		args, words := []string{"devices", "import", file}, "3 devices are new, 2 changed, 1 are as before."
		if validate {
			args, words = append(args, "--validate-only"), "3 devices would be new, 2 changed, 1 as before. Nothing was taken."
		}
		out, _, code := s.primum(nil, args...)
		want(t, "import", out, code, exitDone, words)
		if r := one[*adminv1.ImportDevicesRequest](t, s); string(r.GetCsv()) != text || r.GetValidateOnly() != validate {
			t.Errorf("sent %q, validate only %v", r.GetCsv(), r.GetValidateOnly())
		}
	}
}

func TestAListIsReadToItsEndButNotForEver(t *testing.T) {
	last := 3
	s := serve(t, answers{"ListDevices": func(m proto.Message) (proto.Message, error) {
		n := 0
		if token := m.(*adminv1.ListDevicesRequest).GetPageToken(); token != "" {
			if _, err := fmt.Sscan(token, &n); err != nil {
				return nil, status.Error(codes.InvalidArgument, "no such page")
			}
		}
		r := &adminv1.ListDevicesResponse{Devices: []*adminv1.Device{{AssetTag: fmt.Sprintf("10-%d", n)}}}
		if n < last {
			r.NextPageToken = fmt.Sprint(n + 1)
		}
		return r, nil
	}})
	out, _, code := s.primum(nil, "devices", "list")
	want(t, "text", out, code, exitDone, "10-0", "10-1", "10-2", "10-3")
	out, _, code = s.primum(nil, "--output", "json", "devices", "list")
	var r adminv1.ListDevicesResponse
	if err := protojson.Unmarshal([]byte(out), &r); code != exitDone || err != nil || len(r.GetDevices()) != 4 {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
	n := 0
	if _, err := pages(func(string) ([]int, string, error) { n++; return nil, fmt.Sprint(n), nil }); err == nil || n != maxPages {
		t.Errorf("%d pages: %v", n, err)
	}
}

// hostile is what a device or a server may say to take over a terminal.
const hostile = "a\x1b[2Jb\x07c\u009b31md\u202ee\u2066f\rg\u200bh\x7fi\u2028j"

func TestNothingThatADeviceOrTheServerSaysReachesTheTerminal(t *testing.T) {
	d := &adminv1.Device{Name: "devices/" + hostile, AssetTag: hostile, Manufacturer: hostile, Model: hostile, Serial: hostile, Firmware: hostile, Ip: hostile, Mac: hostile,
		LastOutcome: hostile, Moved: &adminv1.Moved{From: hostile, To: hostile, Detail: hostile}, AddressAttested: hostile, AddressAttestedBy: hostile, Differences: []string{hostile}, Facts: []*adminv1.Fact{{Field: hostile, Value: hostile, Origin: hostile}}}
	task := &adminv1.Task{Device: "devices/" + hostile, Question: hostile, State: hostile, Reason: hostile, Detail: hostile, Facts: d.GetFacts()}
	hold := &adminv1.Hold{Name: hostile, Value: hostile, Reason: hostile, State: "LIFTED", LiftedBy: hostile, LiftReason: hostile, InForce: []string{hostile}, Pending: []string{hostile}}
	run := &adminv1.Run{Name: hostile, State: hostile, Window: hostile, Tasks: map[string]uint32{hostile: 1}}
	plan := &adminv1.Plan{Name: hostile, Window: hostile, State: hostile, ApprovedBy: []string{hostile}, Items: []*adminv1.PlanItem{{DeviceName: hostile, Place: hostile,
		Messages: []*adminv1.PlannedMessage{{Words: hostile, Hex: hostile}}}}, Refusals: []*adminv1.PlanRefusal{{DeviceName: hostile, Reason: hostile, Detail: hostile, Why: hostile}}}
	said, _, err := evidence.Record{Kind: evidence.Outcome, Permit: hostile, Words: hostile, Result: &evidence.Result{Detail: hostile, Facts: []evidence.Fact{{Field: hostile, Value: hostile}}}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, answers{
		"GetDevice": says(d), "ListDevices": says(&adminv1.ListDevicesResponse{Devices: []*adminv1.Device{d}}), "ListTasks": says(&adminv1.ListTasksResponse{Tasks: []*adminv1.Task{task}}),
		"Probe": says(&adminv1.ProbeResponse{Task: task}), "ListHolds": says(&adminv1.ListHoldsResponse{Holds: []*adminv1.Hold{hold}}), "GetRun": says(run),
		"ListRuns": says(&adminv1.ListRunsResponse{Runs: []*adminv1.Run{run}}), "GetPlan": says(plan), "GetReport": says(&adminv1.Report{Content: hostile + "\n" + hostile}),
		"ListPlans":   says(&adminv1.ListPlansResponse{Plans: []*adminv1.Plan{plan}}),
		"ListWindows": says(&adminv1.ListWindowsResponse{Windows: []*adminv1.Window{{Name: hostile, Recurrence: hostile}}}),
		"ListAgents":  says(&adminv1.ListAgentsResponse{Agents: []*adminv1.Agent{{Name: hostile, Version: hostile}}}),
		"GetTouched": says(&adminv1.Touched{Also: []string{hostile}, Records: []*adminv1.TouchRecord{{Agent: hostile, Kind: hostile, Raw: []byte(hostile)}, {Raw: said}},
			Before: &adminv1.TouchRecord{Raw: said}, Leaves: []*adminv1.Leave{{Permit: hostile, Plan: hostile, Caller: hostile, ApprovedBy: []string{hostile}, Standing: hostile}}, Journals: []*adminv1.JournalCover{{Agent: hostile}}}),
		"GetRelease":            says(&adminv1.ListRelease{Site: hostile}),
		"ListStandingApprovals": says(&adminv1.ListStandingApprovalsResponse{StandingApprovals: []*adminv1.StandingApproval{{Name: hostile, Caller: hostile}}}),
		"ExplainQuestion":       says(&adminv1.ExplainQuestionResponse{Explanations: []*adminv1.Explanation{{Question: hostile, Detail: hostile, Evidence: []string{hostile}}}}),
		"CancelRun":             fails(status.Error(codes.Internal, hostile)), "LiftHold": fails(withReason(t, codes.FailedPrecondition, hostile, hostile)),
		"CreatePlan": fails(withReason(t, codes.FailedPrecondition, "HELD", hostile)), "CreateEnrollmentToken": fails(status.Error(codes.Unavailable, hostile)),
	})
	for _, args := range [][]string{{"devices", "show", "1"}, {"devices", "list"}, {"devices", "list", "--moved"}, {"tasks", "1"}, {"probe", "1", "snmp.get"}, {"hold", "list"}, {"run", "show", "1"}, {"run", "list"},
		{"plans", "show", "1"}, {"plans", "list"}, {"report", "1"}, {"report", "1", "--format", "json"}, {"window", "list"}, {"agents", "list"}, {"list", "show"}, {"standing", "list"}, {"explain", "1"}, {"touched", "1", "--between", "2026-11-24", "2026-11-25"},
		{"run", "cancel", "1", "--reason", "r"}, {"hold", "lift", "1", "--reason", "r"}, {"plan", "n"}, {"agents", "token", "a"}} {
		for _, output := range []string{"text", "json"} {
			out, complaints, code := s.primum(nil, append([]string{"--output", output}, args...)...)
			text := out + complaints
			if code == exitUsage || !strings.Contains(text, "a") || len(text) < 10 {
				t.Errorf("%v as %s: exit %d: %s", args, output, code, text)
			}
			for _, r := range text {
				if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028') {
					t.Errorf("%v as %s: %U reaches the terminal: %q", args, output, r, text)
					break
				}
			}
		}
	}
}

func TestJSONMeansTheSameAfterItWasMadeSafe(t *testing.T) {
	d := &adminv1.Device{Name: "devices/1", Model: hostile + "\U000E0001 \"é\" \\ 漢", Differences: []string{"\u202e"}}
	s := serve(t, answers{"GetDevice": says(d)})
	out, _, code := s.primum(nil, "--output", "json", "devices", "show", "1")
	want(t, "show", out, code, exitDone)
	var got adminv1.Device
	if err := protojson.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	if diff := cmp.Diff(d, &got, protocmp.Transform()); diff != "" {
		t.Errorf("device (-want +got):\n%s", diff)
	}
	if strings.Count(out, "\n") != 1 || !json.Valid([]byte(out)) {
		t.Errorf("not one object on one line: %q", out)
	}
}

func TestAnApprovedTimeOpensOnAWholeSecondOfItsZone(t *testing.T) {
	vienna, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 24, 10, 0, 0, 1, time.UTC)
	for _, c := range []struct {
		now  time.Time
		in   time.Duration
		want string
	}{
		{now, 8 * time.Second, "DTSTART:20261124T110009"},
		{now.Add(-1), 8 * time.Second, "DTSTART:20261124T110008"},
		{now, 24 * time.Hour, "DTSTART:20261125T110001"},
		{time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC), 0, ""}, // 02:30 in summer
		{time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC), 0, ""}, // 02:30 again
		{time.Date(2026, 10, 25, 2, 0, 0, 0, time.UTC), 0, "DTSTART:20261025T030000"},
	} {
		got, err := once(c.now, c.in, vienna)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s and %s: %q, not %q: %v", c.now, c.in, got, c.want, err)
		}
	}
}
