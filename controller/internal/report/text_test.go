package report

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// A question of a run that goes on is no refusal, and nobody is told to report it.
func TestAQuestionThatIsStillToComeIsNotRefused(t *testing.T) {
	in := sample()
	in.Run.State = "RUNNING"
	in.Tasks = append(in.Tasks, Task{Item: 5, Device: "10-1006", Name: "Aldane Vela 3", Place: "ICU 4", Question: "snmp.get", State: "QUEUED"},
		Task{Item: 6, Device: "10-1007", Name: "Aldane Vela 3", Place: "ICU 4", Question: "snmp.get", State: "DISPATCHED"})
	var text, table, program strings.Builder
	for _, err := range []error{Text(&text, in), CSV(&table, in), JSON(&program, in)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"5 questions asked: 1 answered, 1 absent, 1 stopped, 1 unknown, 1 under way. 3 not asked. 1 still to be asked. ",
		"STILL TO BE ASKED 10-1006 Aldane Vela 3 (ICU 4): snmp.get "} {
		if !strings.Contains(strings.Join(strings.Fields(text.String()), " "), want) {
			t.Errorf("it does not say %q:\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "No decision was made") {
		t.Error("a waiting question is called an error")
	}
	if !strings.Contains(table.String(), "\n10-1006,Aldane Vela 3,ICU 4,snmp.get,QUEUED,") || strings.Count(table.String(), "10-1006") != 1 {
		t.Errorf("table:\n%s", table.String())
	}
	if !strings.Contains(program.String(), `"waiting": 1`) || strings.Count(program.String(), `"10-1006"`) != 1 {
		t.Errorf("for programs:\n%s", program.String())
	}
}

func TestNoRowIsWiderThanAPageUnlessOneWordIs(t *testing.T) {
	in := sample()
	in.Tasks[1].Detail = strings.Repeat("überaus lange Rede ", 40)
	in.Tasks[2].Detail = strings.Repeat("x", 300)
	var text strings.Builder
	if err := Text(&text, in); err != nil {
		t.Fatal(err)
	}
	for row := range strings.Lines(text.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(row, "\n")); n > width && !strings.Contains(row, "xxx") {
			t.Errorf("%d columns: %s", n, row)
		}
	}
	if n := strings.Count(text.String(), "lange"); n != 40 {
		t.Errorf("%d of 40 words came through", n)
	}
	word := strings.Repeat("y", width)
	if diff := cmp.Diff([]string{"  a", "    " + word, "    b"}, wrap("  a "+word+" b  ")); diff != "" {
		t.Error(diff)
	}
}

// A question at an agent that is away may have been asked: no record says that it was, and it is not counted as if one did.
func TestWhatNobodyKnowsToHaveBeenSentIsNotCountedAsAsked(t *testing.T) {
	in := sample()
	away := Task{Item: 5, Device: "10-1006", Name: "Aldane Vela 3", Place: "ICU 4", Question: "snmp.get", State: "UNKNOWN", Reason: "AGENT_OFFLINE", Detail: "agent icu has had no session since 02:00:10 UTC; the device may have been asked"}
	begun := away
	begun.Item, begun.Device, begun.Asked, begun.Messages, begun.Octets = 6, "10-1007", in.Run.Opens, 1, 95
	in.Tasks = append(in.Tasks, away, begun)
	var text, table, program strings.Builder
	for _, err := range []error{Text(&text, in), CSV(&table, in), JSON(&program, in)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	words := strings.Join(strings.Fields(text.String()), " ")
	for _, want := range []string{"5 questions asked: 1 answered, 1 absent, 1 stopped, 2 unknown. 1 may have been asked. 3 not asked. ",
		"MAY HAVE BEEN ASKED, NOBODY KNOWS YET 10-1006 Aldane Vela 3 (ICU 4): snmp.get agent icu has had no session since 02:00:10 UTC"} {
		if !strings.Contains(words, want) {
			t.Errorf("it does not say %q:\n%s", want, text.String())
		}
	}
	if strings.Count(words, "10-1006") != 1 || !strings.Contains(table.String(), "\n10-1006,Aldane Vela 3,ICU 4,snmp.get,UNKNOWN,AGENT_OFFLINE,") {
		t.Errorf("%s\n%s", text.String(), table.String())
	}
	var doc struct {
		Totals struct{ Asked, Unsure int }
		Unsure []struct{ Device string }
	}
	if err := json.Unmarshal([]byte(program.String()), &doc); err != nil || doc.Totals.Asked != 5 || doc.Totals.Unsure != 1 || len(doc.Unsure) != 1 || doc.Unsure[0].Device != "10-1006" {
		t.Errorf("%v: %s", err, program.String())
	}
	if strings.Count(program.String(), `"10-1006"`) != 1 {
		t.Error("it stands twice")
	}
}
