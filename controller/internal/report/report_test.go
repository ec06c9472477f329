package report

import (
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	list "primum/safetylists"
	"primum/safetylists/permit"
)

var update = flag.Bool("update", false, "write the golden files anew")

func sample() Input {
	at := time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)
	return Input{Site: "demo", Now: at.Add(time.Hour),
		Run: Run{Name: "r1", Window: "windows/night", State: "PARTIAL", Opens: at, Closes: at.Add(time.Minute), Started: at, Ended: at.Add(40 * time.Second)},
		Plan: permit.Plan{Refusals: []permit.PlanRefusal{
			{Device: "10-8001", Name: "Dräger Infinity Delta", Place: "Emergency", Question: "snmp.get", Reason: list.Denied, Detail: "it restarts"},
			{Device: "10-8002", Name: "Ostrava Hummingbird", Place: "Emergency", Reason: list.NotApproved}}},
		Tasks: []Task{
			{Item: 0, Device: "10-1001", Name: "Aldane Vela 3", Place: "ICU 4", Question: "snmp.get", State: "ANSWERED", Asked: at, Took: time.Millisecond, Messages: 1, Octets: 95,
				Facts: []Fact{{"description", "Vela\x1b[31m 3\u202e", "sysDescr.0"}, {"name", "=HYPERLINK(1)", "sysName.0"}}},
			{Item: 1, Device: "10-1002", Name: "Aldane Vela 3", Place: "ICU 4", Question: "snmp.get", State: "UNKNOWN", Detail: "the agent stopped", Asked: at},
			{Item: 2, Device: "10-1003", Name: "Aldane Vela 3", Place: "ICU 4", Question: "snmp.get", State: "ABSENT", Asked: at, Messages: 1, Octets: 95},
			{Item: 3, Device: "10-1004", Name: "Aldane Vela 3", Place: "ICU 4", Question: "snmp.get", State: "REFUSED", Reason: "ADDRESS_MOVED", Detail: "held by 02:00:00:00:00:01"},
			{Item: 4, Device: "=10-1005", Name: "Aldane Vela 3", Place: "ICU 4", Question: "dicom.echo", State: "STOPPED", Reason: "HELD", Asked: at, Messages: 2, Octets: 175}},
		Differences: []Difference{{"10-1001", "Aldane Vela 3", "ICU 4", "Software found 2; CMMS says 1: verify at next PM."}}}
}

func TestReportsAreTheGoldenOnes(t *testing.T) {
	for name, write := range map[string]func(io.Writer, Input) error{"report.txt": Text, "report.json": JSON, "report.csv": CSV} {
		var got strings.Builder
		if err := write(&got, sample()); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTheTextCountsOnlyWhatADeviceMayHaveReceived(t *testing.T) {
	var got strings.Builder
	if err := Text(&got, sample()); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"4 questions asked: 1 answered, 1 absent, 1 stopped, 1 unknown. 3 not asked.", "In all 4 messages with 365 octets were sent."} {
		if !strings.Contains(got.String(), line+"\n") {
			t.Errorf("it does not say %q:\n%s", line, got.String())
		}
	}
	if strings.ContainsAny(got.String(), "\x1b\u202e") {
		t.Error("a device writes on the terminal")
	}
}

func TestNoCellOfTheTableIsAFormula(t *testing.T) {
	var got strings.Builder
	if err := CSV(&got, sample()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got.String(), "\n'=10-1005,") {
		t.Errorf("unguarded:\n%s", got.String())
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestAReportThatCannotBeWrittenIsAnError(t *testing.T) {
	for _, write := range []func(io.Writer, Input) error{Text, JSON, CSV} {
		if write(full{}, sample()) == nil {
			t.Error("written to nowhere without an error")
		}
	}
}

// H-024: what a device or a file says can forge no screen through any report, nor through what a program makes of
// the JSON one.
func TestNoReportCarriesTextThatForgesAScreen(t *testing.T) {
	const evil = "x\x1b]0;t\a\u009b31m\u202e\u2066\u200b\u2028\r\n\x00y"
	in := sample()
	in.Site, in.Run.Name, in.Run.Window, in.Run.State, in.Run.Reason = evil, evil, evil, evil, evil
	for i := range in.Plan.Refusals {
		r := &in.Plan.Refusals[i]
		r.Device, r.Name, r.Place, r.Question, r.Detail, r.Reason = evil, evil, evil, evil, evil, list.Reason(evil)
	}
	in.Tasks = append(in.Tasks, Task{State: "QUEUED"}, Task{State: "REFUSED"})
	for i := range in.Tasks {
		x := &in.Tasks[i]
		x.Device, x.Name, x.Place, x.Question, x.Reason, x.Detail = evil, evil, evil, evil, evil, evil
		x.Facts = []Fact{{evil, evil, evil}}
	}
	in.Differences = []Difference{{evil, evil, evil, evil}}
	for name, write := range map[string]func(io.Writer, Input) error{"text": Text, "json": JSON, "csv": CSV} {
		var got strings.Builder
		if err := write(&got, in); err != nil {
			t.Fatal(err)
		}
		texts := strings.Split(got.String(), "\n")
		if name == "json" {
			d := json.NewDecoder(strings.NewReader(got.String()))
			for {
				token, err := d.Token()
				if err != nil {
					break
				}
				if s, ok := token.(string); ok {
					texts = append(texts, s)
				}
			}
			if len(texts) < 60 {
				t.Errorf("only %d texts", len(texts))
			}
		}
		for _, s := range texts {
			if plain(s) != s || strings.ContainsAny(s, "\u200b\u2066") {
				t.Errorf("%s: %q", name, s)
			}
		}
	}
	if got := in.Tasks[0].Facts[0].Value; got != evil {
		t.Errorf("the input was changed: %q", got)
	}
}
