package firstlight

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	list "primum/safetylists"
	"primum/safetylists/budget"
)

// crowd is a hospital of so many devices: monitors that are asked one question, and analysers and archives that are asked
// two, over subnets of 200.
func crowd(units int) string {
	var b strings.Builder
	b.WriteString("hospital: crowd\nmodels:\n" + vela + `  lumen-archive:
    manufacturer: Corvus Imaging
    model: Lumen Archive
    version: "2.8.0"
    clinical_use: imaging
    risk_class: other
    attested: true
    snmp: {port: 10161, descr: "Corvus Imaging Lumen Archive 2.8.0 (image archive)", object_id: 1.3.6.1.4.1.99992.7.1, uptime: 1004h3m}
    dicom: {port: 11112, calling_ae: PRIMUM, class_uid: 2.25.99992.7.2.8.0, version_name: LUMENARC_280}
  assay-9:
    manufacturer: Brightwell Diagnostics
    model: Assay 9
    version: "1.12.3"
    clinical_use: laboratory
    risk_class: other
    attested: true
    snmp: {port: 10161, descr: "Brightwell Diagnostics Assay 9 analyser V1.12.3", object_id: 1.3.6.1.4.1.99994.9, uptime: 502h11m}
    hl7: {port: 12575, site: DEMOSITE, application: ASSAY9, facility: DEMOLAB, version: "2.5.1", code: AR}
units:
`)
	for i := range units {
		of := "vela-3"
		switch i % 10 {
		case 3:
			of = "lumen-archive"
		case 7:
			of = "assay-9"
		}
		fmt.Fprintf(&b, "  - {of: %s, tag: %s, serial: S%d, mac: \"02:a1:d0:02:%02x:%02x\", address: 127.44.%d.%d, hostname: h%d, department: Ward, location: \"bed %d\", owner: Clinical engineering, fragile: true",
			of, tagOf(i), i, i/200, i%200, i/200, 1+i%200, i, i)
		if of == "lumen-archive" {
			fmt.Fprintf(&b, ", ae_title: ARC%d", i)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func tagOf(i int) string { return fmt.Sprintf("30-%05d", i) }

// inBoth is how many devices stand in the plans of both agents.
const inBoth = 10

// G8, G9, H-041, H-049: two agents work off a plan each, while tools call for the same devices, call again with the same id and with new
// ones. Ten devices stand in both plans. Every device is fragile and counts for itself: no question twice, no gap too short, no two conversations, and in no window of
// 100 ms, 1 s and 60 s more packets at any device, model, subnet or at all of them than the budgets let pass.
// PRIMUM_CROWD says how many devices; "make judge" has 10,000.
func TestWhatTwoAgentsAndManyCallersSendStaysWithinEveryWindow(t *testing.T) {
	units := 60
	if s := os.Getenv("PRIMUM_CROWD"); s != "" {
		var err error
		if units, err = strconv.Atoi(s); err != nil || units < 20 || units > 10_000 {
			t.Fatalf("PRIMUM_CROWD is %q; it is from 20 to 10000", s)
		}
	}
	began := time.Now()
	s := openIn(t, crowd(units))
	s.enroll("east", "east")
	s.start("primum-agent", "serve", "--data", s.path("east"), "--policy", "lab", "--leases", s.path("lab/dnsmasq.leases"))
	s.until("the other agent connects", bound, func() bool { return strings.Count(s.primum("agents", "list"), " CONNECTED ") == 2 })
	s.primum("secret", "set", "--agent", "east", "--any", "--file", s.path("lab/community"))
	var plans []string
	for i, agent := range []string{"demo", "east"} {
		args := []string{"window", "create", agent, "--opens-in", "5s", "--duration", "3h", "--zone", "UTC", "--agent", agent}
		for unit := range units {
			if unit%2 == i || unit < inBoth {
				args = append(args, "--device", tagOf(unit))
			}
		}
		s.primum(args...)
		plan := between(s.primum("plan", agent, "--summary"), "Plan ", ",")
		s.approve(plan)
		plans = append(plans, plan)
	}
	token, complaints, code := s.try("primum-controller", "", "token", "create", "--data", s.path("controller"), "--name", "ehr-tool", "--role", "tool")
	if code != 0 {
		t.Fatal(complaints)
	}
	if err := os.WriteFile(s.path("ehr.token"), []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	s.primum("standing", "create", "--id", "ehr", "--caller", "ehr-tool", "--device", "*", "--statement", "lab.aldane.vela-3.snmp", "--statement", "lab.corvus.lumen-archive.snmp",
		"--per-day", "1000", "--key", s.path("approver.key"), "--by", "head-of-htm")
	t.Logf("%d devices are ready after %s", units, time.Since(began).Round(time.Second))

	var over atomic.Bool
	var answered, refused atomic.Int64
	var callers sync.WaitGroup
	for caller := range 3 {
		callers.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(caller), 1))
			for call := 0; !over.Load() && call < 2000; call++ {
				tag, id := tagOf(rnd.IntN(units)), fmt.Sprintf("00000000-0000-4000-8000-%04d%08d", caller, call)
				for range 1 + rnd.IntN(3) { // an impatient caller
					_, _, code := s.try("primum", "", "probe", tag, "snmp.get", "--request-id", id, "--token-file", s.path("ehr.token"))
					if code == 0 {
						answered.Add(1)
					} else {
						refused.Add(1)
					}
				}
			}
		})
	}
	held := ""
	ended := func(plan string) bool {
		f := strings.Fields(s.state(plan))
		if len(f) < 5 || f[len(f)-1] == "-" {
			return false
		}
		out, _, _ := s.try("primum", "", "run", "show", f[len(f)-1])
		if strings.Contains(out, " HELD") { // devices on a busy machine answer too slowly to be well: what was sent until then is judged all the same
			held = s.primum("hold", "list")
			return true
		}
		return strings.Contains(out, " SUCCEEDED") || strings.Contains(out, " PARTIAL")
	}
	began = time.Now()
	s.until("both runs end", 2*time.Minute+time.Duration(units)*300*time.Millisecond, func() bool {
		time.Sleep(time.Second)
		return ended(plans[0]) && ended(plans[1])
	})
	took := time.Since(began).Round(time.Second)
	over.Store(true)
	callers.Wait()

	r := s.received()
	if !r.Clean() {
		for _, d := range r.Devices {
			if d.Harmed() {
				t.Errorf("%s: %+v", d.Tag, d.Breaches)
			}
		}
	}
	asked := 0
	for i, d := range r.Devices {
		conversations, messages := 1, 1
		switch i % 10 {
		case 3:
			conversations, messages = 2, 4
		case 7:
			conversations, messages = 2, 2
		}
		if d.Conversations > conversations || d.Messages > messages {
			t.Errorf("%s had %d conversations with %d messages", d.Tag, d.Conversations, d.Messages)
		}
		if d.Conversations > 0 {
			asked++
		}
	}
	if held != "" && asked > 0 {
		t.Logf("the devices were too slow for their vital signs, and the rest was not asked:\n%s", held)
	} else if asked < units*95/100 || answered.Load() == 0 || refused.Load() == 0 {
		t.Errorf("%d of %d devices were asked; %d calls had an answer, %d a refusal", asked, units, answered.Load(), refused.Load())
	}
	scales := map[string]budget.Scale{"device": budget.Device, "model": budget.Model, "subnet": budget.Subnet, "hospital": budget.Site}
	if len(r.Crowd) != 3*len(scales) {
		t.Errorf("the judge has %d windows", len(r.Crowd))
	}
	for _, c := range r.Crowd {
		if most := budget.Of(scales[c.Scale], list.Lab).Most(c.Window); c.Most > most {
			t.Errorf("%s; %d may", c, most)
		}
		t.Log(c)
	}
	t.Logf("%d devices, %d asked in %s, %d messages; callers had %d answers and %d refusals", units, asked, took, r.Totals.Messages, answered.Load(), refused.Load())
}
