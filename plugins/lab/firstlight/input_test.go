package firstlight

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBadInputGetsASentenceKeepsWhatWasThereAndSendsNothing(t *testing.T) {
	s := open(t)
	good, err := os.ReadFile(s.path("lab/inventory.csv"))
	if err != nil {
		t.Fatal(err)
	}
	before := s.primum("devices", "list")
	file := func(name, text string) string {
		if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return s.path(name)
	}
	lines := strings.SplitAfter(string(good), "\n")
	bad := file("bad.csv", strings.Replace(string(good), "127.42.1.1,", "127.42.1.999,", 1))
	twice := file("twice.csv", string(good)+lines[1])
	deaf := []string{"--server", "127.0.0.1:1", "--authority", s.path("controller/authority.crt"), "--token-file", s.path("controller/admin.token")}
	window := func(name, recurrence, zone string) []string {
		return []string{"window", "create", name, "--recurrence", recurrence, "--zone", zone, "--duration", "30s", "--agent", "demo"}
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"a malformed address":    {[]string{"devices", "import", bad}, 2, []string{"row 2, column ip", "nothing was taken"}},
		"a device twice":         {[]string{"devices", "import", twice}, 2, []string{"column asset_tag", "stands in line 2 too", "nothing was taken"}},
		"no such file":           {[]string{"devices", "import", s.path("none.csv")}, 2, []string{"cannot be read"}},
		"a bad recurrence":       {window("w1", `DTSTART:20270110T030000\nRRULE:FREQ=SECONDLY`, "UTC"), 2, []string{"FREQ=DAILY, WEEKLY or MONTHLY"}},
		"an unknown zone":        {window("w2", "DTSTART:20270110T030000", "Europe/Wien"), 2, []string{"Europe/Wien", "IANA"}},
		"an agent of nobody":     {[]string{"window", "create", "w4", "--recurrence", "DTSTART:20370110T030000", "--zone", "UTC", "--duration", "30s", "--agent", "nobody"}, 2, []string{"there is no agent nobody"}},
		"it is over":             {window("w3", "DTSTART:20200110T030000", "UTC"), 2, []string{"never opens again"}},
		"no controller":          {append(deaf, "devices", "list"), 4, []string{"127.0.0.1:1", "cannot be reached"}},
		"an unknown device":      {[]string{"devices", "show", "10-9999"}, 2, []string{"there is no device 10-9999"}},
		"an unknown window":      {[]string{"plan", "nightly"}, 2, []string{"there is no approved time nightly"}},
		"a key that is none":     {[]string{"approve", "x", "--key", bad, "--by", "me"}, 2, []string{"is not a private key"}},
		"a release of no key":    {[]string{"list", "publish", file("bundle", "{}")}, 3, []string{"LIST_UNTRUSTED"}},
		"a list that is none":    {[]string{"list", "publish", bad}, 2, []string{"is no bundle"}},
		"a community of nothing": {[]string{"secret", "set", "--agent", "demo", "--any", "--file", file("empty", "\n")}, 2, []string{"0 octets"}},
		"an unknown command":     {[]string{"fly"}, 2, []string{"fly"}},
	} {
		out, complaints, code := s.try("primum", "", c.args...)
		if code != c.code {
			t.Errorf("%s: exit %d, not %d: %s%s", name, code, c.code, out, complaints)
		}
		for _, words := range c.says {
			if !strings.Contains(complaints, words) {
				t.Errorf("%s: does not say %q: %s", name, words, complaints)
			}
		}
	}
	if after := s.primum("devices", "list"); after != before {
		t.Errorf("the inventory changed:\n%s\nthen\n%s", before, after)
	}
	if out := s.primum("window", "list"); strings.Contains(out, "w1") || strings.Contains(out, "w2") || strings.Contains(out, "w3") {
		t.Errorf("an approved time was made: %s", out)
	}
	if r := s.received(); r.Totals.Conversations != 0 {
		t.Errorf("something was sent: %v", r.Totals)
	}
}

func TestAProbeThatIsNotTheOneTheAgentWasBuiltForDoesNotStart(t *testing.T) {
	s := open(t)
	s.agent.kill()
	other := s.path("probes")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"snmp", "dicom", "hl7"} {
		// a program that dies at start
		if err := os.WriteFile(filepath.Join(other, "primum-probe-"+p), []byte("#!/bin/sh\nexit 3\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	_, complaints, code := s.try("primum-agent", "", "serve", "--data", s.path("agent"), "--policy", "lab", "--leases", s.path("lab/dnsmasq.leases"), "--plugins", other)
	if code != 1 || !strings.Contains(complaints, "primum-probe-") {
		t.Errorf("exit %d: %s", code, complaints)
	}
	if r := s.received(); r.Totals.Conversations != 0 {
		t.Errorf("something was sent: %v", r.Totals)
	}
}
