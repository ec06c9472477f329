//go:build primum_takenout

package agent

import (
	"os"
	"testing"
)

// Each control that "make demo-negative" takes out of this test build, by PRIMUM_TAKEN_OUT, must make
// the judge report harm; with none taken out it must not.
func TestTheJudgeHasTeeth(t *testing.T) {
	control := os.Getenv("PRIMUM_TAKEN_OUT")
	report, _, _ := labRun(t)
	if harmed := report.Totals.Harmed > 0; harmed != (control != "") {
		t.Fatalf("control taken out: %q; devices harmed: %d", control, report.Totals.Harmed)
	}
	for _, d := range report.Devices {
		for _, b := range d.Breaches {
			t.Logf("%s: %s", d.Tag, b.Words)
		}
	}
}
