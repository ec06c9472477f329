package firstlight

import (
	"os"
	"strings"
	"testing"
)

func TestGrpcurlGetsAnAnswerUnderAStandingApprovalAndElseTheReason(t *testing.T) {
	s := open(t)
	address, err := os.ReadFile(s.path("controller/admin.address"))
	if err != nil {
		t.Fatal(err)
	}
	token, complaints, code := s.try("primum-controller", "", "token", "create", "--data", s.path("controller"), "--name", "ehr-tool", "--role", "tool")
	if code != 0 {
		t.Fatal(complaints)
	}
	grpcurl := func(args ...string) (string, int) {
		t.Helper()
		all := append([]string{"-cacert", s.path("controller/authority.crt"), "-H", "authorization: Bearer " + strings.TrimSpace(token)}, args...)
		out, complaints, code := s.try("grpcurl", "", all...)
		return out + complaints, code
	}
	at := strings.TrimSpace(string(address))
	probe := func(device, id string) (string, int) {
		t.Helper()
		return grpcurl("-d", `{"device":"devices/`+device+`","kind":"snmp.get","request_id":"`+id+`"}`, at, "primum.admin.v1.ProbeService/Probe")
	}
	if out, _ := grpcurl(at, "list"); !strings.Contains(out, "primum.admin.v1.ProbeService") {
		t.Errorf("reflection: %s", out)
	}
	if out, _ := grpcurl(at, "grpc.health.v1.Health/Check"); !strings.Contains(out, "SERVING") {
		t.Errorf("health: %s", out)
	}
	refused := func(why, device, id, reason string) {
		t.Helper()
		before := s.received().Totals
		out, code := probe(device, id)
		if code == 0 || !strings.Contains(out, `"`+reason+`"`) || !strings.Contains(out, "FailedPrecondition") {
			t.Errorf("%s: want %s, got exit %d: %s", why, reason, code, out)
		}
		if after := s.received().Totals; after != before {
			t.Errorf("%s: something was sent: %v, then %v", why, before, after)
		}
	}
	refused("no standing approval", "10-1001", "id-1", "PLAN_NOT_APPROVED")
	refused("a denied product", "10-8001", "id-2", "DENIED")
	refused("nobody approved it", "10-8002", "id-3", "NOT_APPROVED")

	for wrong, words := range map[string][]string{"no such device": {"10-9999", "lab.aldane.vela-3.snmp", "there is no device 10-9999"}, "no such allowance": {"10-1001", "lab.aldane.vela-4.snmp", "no allowance lab.aldane.vela-4.snmp"},
		"a denial": {"10-1001", "draeger-infinity-delta", "no allowance draeger-infinity-delta"}} {
		out, complaints, code := s.try("primum", "", "standing", "create", "--id", "wrong", "--caller", "ehr-tool", "--device", words[0], "--statement", words[1],
			"--per-day", "3", "--key", s.path("approver.key"), "--by", "head-of-htm")
		if code != 2 || !strings.Contains(complaints, words[2]) {
			t.Errorf("%s: exit %d: %s%s", wrong, code, out, complaints)
		}
	}
	s.primum("standing", "create", "--id", "ehr", "--caller", "ehr-tool", "--device", "10-1001", "--device", "10-1005", "--statement", "lab.aldane.vela-3.snmp",
		"--per-day", "3", "--key", s.path("approver.key"), "--by", "head-of-htm")
	refused("a device that the approval does not name", "10-1002", "id-4", "PLAN_NOT_APPROVED")

	held := s.primum("hold", "place", "--device", "10-1001", "--reason", "in use")
	refused("held", "10-1001", "id-5", "HELD")
	if out, _ := probe("10-1001", "id-5b"); !strings.Contains(out, "hold 1 of device 10-1001, by ") {
		t.Errorf("it does not say which hold: %s", out)
	}
	if out, complaints, code := s.try("primum", "", "hold", "lift", strings.Fields(held)[0], "--reason", "free again"); code != 0 {
		t.Fatal(out, complaints)
	}
	first, code := probe("10-1001", "id-6")
	if code != 0 || !strings.Contains(first, `"ANSWERED"`) || !strings.Contains(first, "Vela 3") {
		t.Fatalf("exit %d: %s", code, first)
	}
	if said := s.primum("explain", "10-1001", "snmp.get"); !strings.Contains(said, "ALLOWED by the list, and not asked now") || !strings.Contains(said, "not now: it was asked this at ") {
		t.Errorf("explain does not say that the device rests: %s", said)
	}
	again, code := probe("10-1001", "id-6")
	if code != 0 || between(again, `"run": "`, `"`) != between(first, `"run": "`, `"`) || between(first, `"run": "`, `"`) == "" {
		t.Errorf("the same request_id: exit %d: %s", code, again)
	}
	if out, code := probe("10-1005", "id-6"); code == 0 || !strings.Contains(out, "InvalidArgument") {
		t.Errorf("the same request_id for another device: %s", out)
	}
	if d := s.device("10-1001"); d.Messages != 1 || d.Harmed() {
		t.Errorf("10-1001 received %+v", d)
	}
	refused("asked a moment ago", "10-1001", "id-7", "MIN_INTERVAL")
	refused("its address belongs to something else", "10-1005", "id-8", "ADDRESS_MOVED")
	if said := s.primum("devices", "list", "--moved"); !strings.Contains(said, "10-1005 ") || !strings.Contains(said, "127.42.1.5 ") || !strings.Contains(said, "02:77:5e:00:c4:19") || strings.Contains(said, "10-1001") {
		t.Errorf("devices that moved: %s", said)
	}
	if said := s.primum("devices", "show", "10-1005"); !strings.Contains(said, "! it is no longer at 127.42.1.5") {
		t.Errorf("a device that moved: %s", said)
	}
	if said := s.primum("explain", "10-1005", "snmp.get"); !strings.Contains(said, "ALLOWED by the list, and not asked now\n  not now: it was no longer at 127.42.1.5 when an agent looked at ") || !strings.Contains(said, "02:77:5e:00:c4:19") {
		t.Errorf("a device that moved, explained: %s", said)
	}
	if said := s.primum("plans", "show", s.plan("later", "1h", "30s", "10-1004", "10-1005")); !strings.Contains(said, "NOTE: 10-1005 was no longer at 127.42.1.5 when an agent looked at ") || strings.Count(said, "NOTE") != 1 {
		t.Errorf("a device that moved, planned: %s", said)
	}
	if out, code := grpcurl("-d", `{"bundle":"AAAA"}`, at, "primum.admin.v1.ListService/PublishRelease"); code == 0 || !strings.Contains(out, "PermissionDenied") {
		t.Errorf("a tool publishes a release: %s", out)
	}
	for _, word := range []struct{ word, says, list string }{{"stop", "This agent asks nothing", ": smoke in bay 4"}, {"resume", "This agent asks again", "  -\n"}, {"resume", "It was not stopped here. This agent asks", "  -\n"}} {
		out, complaints, code := s.try("primum-agent", "", word.word, "--data", s.path("agent"), "--reason", "smoke in bay 4")
		if code != 0 || !strings.HasPrefix(out, word.says) {
			t.Errorf("%s at the site: exit %d: %s%s", word.word, code, out, complaints)
		}
		s.until("the list of agents tells the word of the site", bound, func() bool { return strings.Contains(s.primum("agents", "list"), word.list) })
		if said := s.primum("explain", "10-1004", "snmp.get"); strings.Contains(said, "not now: agent demo was stopped at the site by ") != (word.word == "stop") {
			t.Errorf("explained after %s: %s", word.word, said)
		}
	}
	s.agent.kill()
	s.until("the controller misses the agent", bound, func() bool { return !strings.Contains(s.primum("agents", "list"), " CONNECTED ") })
	s.primum("standing", "create", "--id", "ehr2", "--caller", "ehr-tool", "--device", "10-1003", "--statement", "lab.aldane.vela-3.snmp",
		"--per-day", "9", "--key", s.path("approver.key"), "--by", "head-of-htm")
	refused("the agent is away", "10-1003", "id-9", "AGENT_OFFLINE")
	if r := s.received(); !r.Clean() || r.Totals.Messages != 1 {
		t.Errorf("in the end: %v", r.Totals)
	}
}
