package firstlight

import (
	"encoding/csv"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// cellsOf writes the inventory anew, as it was written last, with some cells of one device.
func (s *site) cellsOf(tag string, cells map[string]string) string {
	s.t.Helper()
	b, err := os.ReadFile(s.path("changed.csv"))
	if err != nil {
		b, err = os.ReadFile(s.path("lab/inventory.csv"))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(b))).ReadAll()
	if err != nil {
		s.t.Fatal(err)
	}
	for name, cell := range cells {
		at := slices.Index(rows[0], name)
		if at < 0 {
			at = len(rows[0])
			for i := range rows {
				rows[i] = append(rows[i], "")
			}
			rows[0][at] = name
		}
		for i := range rows[1:] {
			if rows[i+1][slices.Index(rows[0], "asset_tag")] == tag {
				rows[i+1][at] = cell
			}
		}
	}
	var out strings.Builder
	if err := csv.NewWriter(&out).WriteAll(rows); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.path("changed.csv"), []byte(out.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return s.path("changed.csv")
}

// H-002, H-050: what the inventory learns between approval and question counts: a device that is on a patient after all, one that is of
// another model, and one that is at another address. A fourth one is asked, so that something was.
func TestWhatTheInventoryLearnsAfterTheApprovalStopsTheQuestion(t *testing.T) {
	s := openIn(t, crowd(20))
	patient, other, moved, same := tagOf(0), tagOf(1), tagOf(2), tagOf(4)
	until := time.Now().Add(3 * time.Hour).UTC().Format(time.RFC3339)
	s.primum("devices", "import", s.cellsOf(patient, map[string]string{"risk_class": "life-support", "out_of_use_confirmed_by": "M. Lindqvist", "out_of_use_confirmed_until": until}))
	plan := s.plan("learnt", "6s", "30s", patient, other, moved, same)
	s.approve(plan)
	s.primum("devices", "import", s.cellsOf(patient, map[string]string{"out_of_use_confirmed_by": "", "out_of_use_confirmed_until": "", "cmms_status": "on a patient, ICU 4", "cmms_status_at": time.Now().UTC().Format(time.RFC3339)}))
	s.primum("devices", "import", s.cellsOf(other, map[string]string{"manufacturer": "Smiths Medical", "model": "CADD-Solis VIP"}))
	s.primum("devices", "import", s.cellsOf(moved, map[string]string{"ip": "127.44.9.9"}))
	s.until("the run fires", bound, func() bool { return strings.Contains(s.state(plan), " FIRED ") })
	f := strings.Fields(s.state(plan))
	run := f[len(f)-1]
	s.until("the run ends", time.Minute, func() bool {
		out := s.primum("run", "show", run)
		return strings.Contains(out, " SUCCEEDED") || strings.Contains(out, " PARTIAL")
	})
	tasks := s.primum("tasks", run)
	for tag, want := range map[string]string{patient: "IN_USE_UNKNOWN", other: "STACK_HAZARD", moved: "ADDRESS_MOVED", same: "ANSWERED"} {
		d := s.device(tag)
		if !slices.ContainsFunc(strings.Split(tasks, "\n"), func(line string) bool {
			return strings.HasPrefix(line, tag+" ") && strings.Contains(line, " "+want+" ")
		}) || d.Messages > 0 != (tag == same) {
			t.Errorf("%s: want %s; it received %d messages\n%s", tag, want, d.Messages, tasks)
		}
	}
}
