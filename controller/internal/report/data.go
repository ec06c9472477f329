package report

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	list "primum/safetylists"
)

type jsonReport struct {
	Schema      string           `json:"schema"`
	Site        string           `json:"site"`
	Run         string           `json:"run"`
	Caller      string           `json:"caller"`
	State       string           `json:"state"`
	Reason      string           `json:"reason,omitempty"`
	Opens       time.Time        `json:"opens"`
	Closes      time.Time        `json:"closes"`
	Started     time.Time        `json:"started,omitzero"`
	Ended       time.Time        `json:"ended,omitzero"`
	Made        time.Time        `json:"made"`
	Totals      Totals           `json:"totals"`
	Questions   []jsonTask       `json:"questions"`
	Waiting     []jsonTask       `json:"waiting"`
	Unsure      []jsonTask       `json:"unsure"`
	NotAsked    []refusal        `json:"not_asked"`
	Differences []jsonDifference `json:"differences"`
}

type jsonTask struct {
	Device   string     `json:"device"`
	Name     string     `json:"name"`
	Place    string     `json:"place"`
	Question string     `json:"question"`
	State    string     `json:"state"`
	Reason   string     `json:"reason,omitempty"`
	Detail   string     `json:"detail,omitempty"`
	Asked    time.Time  `json:"asked,omitzero"`
	TookUS   int64      `json:"took_us,omitempty"`
	Messages int        `json:"messages"`
	Octets   int        `json:"octets"`
	Facts    []jsonFact `json:"facts,omitempty"`
}

type jsonFact struct {
	Field  string `json:"field"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

type jsonDifference struct {
	Device   string `json:"device"`
	Sentence string `json:"sentence"`
}

// JSON writes the report for programs. Its text is as safe as that of the others: what a program makes of it
// stands on a screen at last (H-024). What a device sent octet by octet is in the records.
func JSON(w io.Writer, in Input) error {
	in = in.safe()
	r := jsonReport{Schema: "primum-report/1", Site: in.Site, Run: in.Run.Name, Caller: in.Run.Window, State: in.Run.State, Reason: in.Run.Reason,
		Opens: in.Run.Opens, Closes: in.Run.Closes, Started: in.Run.Started, Ended: in.Run.Ended, Made: in.Now.UTC(), Totals: in.totals(),
		Questions: []jsonTask{}, Waiting: []jsonTask{}, Unsure: []jsonTask{}, NotAsked: append([]refusal{}, in.refusals()...), Differences: []jsonDifference{}}
	for _, t := range in.Tasks {
		if !t.asked() && !t.waits() && !t.unsure() {
			continue
		}
		q := jsonTask{Device: t.Device, Name: t.Name, Place: t.Place, Question: t.Question, State: t.State, Reason: t.Reason, Detail: t.Detail,
			Asked: t.Asked, TookUS: t.Took.Microseconds(), Messages: t.Messages, Octets: t.Octets}
		for _, f := range t.Facts {
			q.Facts = append(q.Facts, jsonFact(f))
		}
		switch {
		case t.waits():
			r.Waiting = append(r.Waiting, q)
		case t.unsure():
			r.Unsure = append(r.Unsure, q)
		default:
			r.Questions = append(r.Questions, q)
		}
	}
	for _, d := range in.Differences {
		r.Differences = append(r.Differences, jsonDifference{d.Device, d.Sentence})
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// safe is the same input with every text made [plain].
func (in Input) safe() Input {
	all := func(texts ...*string) {
		for _, t := range texts {
			*t = plain(*t)
		}
	}
	all(&in.Site, &in.Run.Name, &in.Run.Window, &in.Run.State, &in.Run.Reason)
	in.Tasks, in.Differences, in.Plan.Refusals = slices.Clone(in.Tasks), slices.Clone(in.Differences), slices.Clone(in.Plan.Refusals)
	for i := range in.Tasks {
		t := &in.Tasks[i]
		all(&t.Device, &t.Name, &t.Place, &t.Question, &t.State, &t.Reason, &t.Detail)
		t.Facts = slices.Clone(t.Facts)
		for k := range t.Facts {
			all(&t.Facts[k].Field, &t.Facts[k].Value, &t.Facts[k].Origin)
		}
	}
	for i := range in.Differences {
		d := &in.Differences[i]
		all(&d.Device, &d.Name, &d.Place, &d.Sentence)
	}
	for i := range in.Plan.Refusals {
		r := &in.Plan.Refusals[i]
		r.Reason = list.Reason(plain(string(r.Reason)))
		all(&r.Device, &r.Name, &r.Place, &r.Question, &r.Detail)
	}
	return in
}

// CSV writes one line for each question of the report, asked or not.
func CSV(w io.Writer, in Input) error {
	c := csv.NewWriter(w)
	write := func(cells ...string) {
		for i := range cells {
			cells[i] = guard(plain(cells[i]))
		}
		_ = c.Write(cells) // kept by the writer, and returned at the end
	}
	write("asset_tag", "name", "place", "question", "state", "reason", "detail", "asked", "messages", "octets", "facts")
	for _, t := range in.Tasks {
		if !t.asked() && !t.waits() && !t.unsure() {
			continue
		}
		asked := ""
		if !t.Asked.IsZero() {
			asked = t.Asked.UTC().Format(time.RFC3339)
		}
		var facts []string
		for _, f := range t.Facts {
			facts = append(facts, f.Field+"="+f.Value)
		}
		write(t.Device, t.Name, t.Place, t.Question, t.State, t.Reason, t.Detail, asked, strconv.Itoa(t.Messages), strconv.Itoa(t.Octets), strings.Join(facts, "; "))
	}
	for _, r := range in.refusals() {
		write(r.Device, r.Name, r.Place, r.Question, "NOT_ASKED", string(r.Reason), r.Detail, "", "0", "0", "")
	}
	c.Flush()
	return c.Error()
}

// guard keeps a spreadsheet from taking a cell for a formula.
func guard(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
