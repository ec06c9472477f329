//go:build primum_takenout

package agent

import (
	"os"
	"testing"
	"time"
)

// Each control that "make demo-negative" takes out of this test build, by PRIMUM_TAKEN_OUT, must make
// the judge report harm; with none taken out it must not, not even with a faulty probe, nor when the
// approved time is too short for what was planned.
func TestTheJudgeHasTeeth(t *testing.T) {
	control := os.Getenv("PRIMUM_TAKEN_OUT")
	approved := 5 * time.Minute
	if os.Getenv("PRIMUM_SHORT_TIME") != "" {
		approved = 4 * time.Second // less than the rest of a device between two conversations
	}
	report, results, _ := labRun(t, approved)
	if harmed := report.Totals.Harmed > 0; harmed != (control != "") {
		t.Errorf("control taken out: %q; devices harmed: %d", control, report.Totals.Harmed)
	}
	for _, d := range report.Devices {
		for _, b := range d.Breaches {
			t.Logf("%s: %s", d.Tag, b.Words)
		}
	}
	ends := map[string]int{}
	for _, all := range results {
		for _, r := range all {
			ends[string(r.State)+" "+string(r.Reason)]++
		}
	}
	t.Logf("devices harmed %d, ends %v", report.Totals.Harmed, ends)
	if control == "" && os.Getenv("PRIMUM_FAULTY_PROBE") != "" && ends["INCIDENT PLUGIN_BREACH"] == 0 {
		t.Error("the faulty probe was not found out")
	}
}
