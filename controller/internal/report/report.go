// Package report says what came of a run, for the technician who had it asked: as text, as JSON for
// programs, and as a table. It is pure.
package report

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"

	list "primum/safetylists"
	"primum/safetylists/permit"
)

// Input is everything that a report tells of.
type Input struct {
	Run         Run
	Plan        permit.Plan
	Tasks       []Task
	Site        string
	Differences []Difference
	Now         time.Time
}

// Run is the run that the report is of.
type Run struct {
	Name, Window, State, Reason   string
	Opens, Closes, Started, Ended time.Time
}

// Task is one question of the plan, with its end.
type Task struct {
	Item                                                 int
	Device, Name, Place, Question, State, Reason, Detail string
	Asked                                                time.Time
	Took                                                 time.Duration
	Messages, Octets                                     int
	Facts                                                []Fact
}

// Fact is one claim of a device about itself, with the protocol field that it was read from.
type Fact struct{ Field, Value, Origin string }

// Difference is one sentence on where an answer differs from the CMMS.
type Difference struct{ Device, Name, Place, Sentence string }

// unsure reports whether no record says that anything was sent, nor that nothing was: the agent is away, or did not come back in time.
func (t Task) unsure() bool { return t.State == "UNKNOWN" && t.Asked.IsZero() && t.Messages == 0 }

// asked reports whether a record says that the question was begun, so that the device may have received it.
func (t Task) asked() bool {
	switch t.State {
	case "QUEUED":
		return false
	case "UNKNOWN":
		return !t.unsure()
	case "REFUSED", "STOPPED":
		return t.Messages > 0
	default:
		return true
	}
}

// waits reports whether the question is still to be asked: the run has not ended.
func (t Task) waits() bool { return t.State == "QUEUED" }

// Totals are the counts of a report. Each question counts once.
type Totals struct {
	Asked    int            `json:"asked"`    // begun, so that the device may have received it
	ByState  map[string]int `json:"by_state"` // of those that were asked
	Unsure   int            `json:"unsure"`   // may have been asked; no record tells yet
	NotAsked int            `json:"not_asked"`
	Waiting  int            `json:"waiting"` // still to be asked
	Messages int            `json:"messages"`
	Octets   int            `json:"octets"`
}

func (in Input) totals() Totals {
	n := Totals{ByState: map[string]int{}, NotAsked: len(in.Plan.Refusals)}
	for _, t := range in.Tasks {
		n.Messages += t.Messages
		n.Octets += t.Octets
		if t.waits() {
			n.Waiting++
			continue
		}
		if t.unsure() {
			n.Unsure++
			continue
		}
		if !t.asked() {
			n.NotAsked++
			continue
		}
		n.Asked++
		n.ByState[t.State]++
	}
	return n
}

// refusal is one question that was not asked, whether by the plan or on the way.
type refusal struct {
	Device   string      `json:"device"`
	Name     string      `json:"name"`
	Place    string      `json:"place"`
	Question string      `json:"question"`
	Reason   list.Reason `json:"reason"`
	Detail   string      `json:"detail,omitempty"`
	What     string      `json:"what"`
	Why      string      `json:"why"`
	Do       string      `json:"do"`
}

// refusals are grouped by reason, in the order of the codes.
func (in Input) refusals() []refusal {
	var out []refusal
	add := func(r refusal) {
		w := r.Reason.Words()
		r.What, r.Why, r.Do = w.What, w.Why, w.Do
		out = append(out, r)
	}
	for _, r := range in.Plan.Refusals {
		add(refusal{Device: r.Device, Name: r.Name, Place: r.Place, Question: r.Question, Reason: r.Reason, Detail: r.Detail})
	}
	for _, t := range in.Tasks {
		if !t.asked() && !t.waits() && !t.unsure() {
			reason := list.Reason(t.Reason)
			if reason == "" && t.State == "STOPPED" {
				reason = list.Stopped
			}
			add(refusal{Device: t.Device, Name: t.Name, Place: t.Place, Question: t.Question, Reason: reason, Detail: t.Detail})
		}
	}
	slices.SortStableFunc(out, func(a, b refusal) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Device, b.Device))
	})
	return out
}

// plain makes text of devices and files safe on a terminal: no control character, no change of the
// writing direction.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return '?'
		}
		return r
	}, s)
}
