package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	list "primum/safetylists"
)

// states is the order in which ends are counted, and what each means to a technician.
func states() []struct{ state, words string } {
	return []struct{ state, words string }{
		{"ANSWERED", "answered"}, {"ABSENT", "absent"}, {"BUSY", "busy"}, {"DECLINED", "declined"}, {"DISTRESS", "in distress"},
		{"INCIDENT", "incident"}, {"STOPPED", "stopped"}, {"REFUSED", "refused in mid-conversation"}, {"UNKNOWN", "unknown"}, {"DISPATCHED", "under way"},
	}
}

func meaning(state string) string {
	switch state {
	case "ABSENT":
		return "did not answer; it may be switched off"
	case "BUSY":
		return "said that it is busy"
	case "DECLINED":
		return "declined the question"
	case "DISTRESS":
		return "answered as it should not; it is left in peace until a person has looked"
	case "INCIDENT":
		return "something happened that must not; see the detail"
	case "UNKNOWN":
		return "may have been asked; nobody knows what became of it"
	case "DISPATCHED":
		return "is still under way"
	default:
		return "ended early"
	}
}

// Text writes the report for a person.
func Text(w io.Writer, in Input) error {
	p := &printer{w: w}
	n := in.totals()
	p.line("Report of run %s at site %s", in.Run.Name, in.Site)
	p.line("Asked by %s, approved time %s to %s UTC; state %s", in.Run.Window, in.Run.Opens.UTC().Format(time.DateTime), in.Run.Closes.UTC().Format(time.TimeOnly), in.Run.State)
	if in.Run.Reason != "" {
		p.line("Reason: %s", in.Run.Reason)
	}
	p.line("")
	var counts []string
	for _, s := range states() {
		if n.ByState[s.state] > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n.ByState[s.state], s.words))
		}
	}
	if len(counts) == 0 {
		counts = []string{"none"}
	}
	unsure := ""
	if n.Unsure > 0 {
		unsure = fmt.Sprintf(" %d may have been asked.", n.Unsure)
	}
	p.row(fmt.Sprintf("%d questions asked: %s.%s %d not asked.", n.Asked, strings.Join(counts, ", "), unsure, n.NotAsked))
	if n.Waiting > 0 {
		p.line("%d still to be asked.", n.Waiting)
	}
	p.learned(in)
	p.differences(in)
	p.unanswered(in)
	p.some("MAY HAVE BEEN ASKED, NOBODY KNOWS YET", in, Task.unsure)
	p.some("STILL TO BE ASKED", in, Task.waits)
	p.notAsked(in)
	p.line("")
	p.line("In all %d messages with %d octets were sent.", n.Messages, n.Octets)
	return p.err
}

type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err != nil {
		return
	}
	for i, a := range args {
		switch s := a.(type) {
		case string:
			args[i] = plain(s)
		case list.Reason:
			args[i] = plain(string(s))
		}
	}
	for _, row := range wrap(fmt.Sprintf(format, args...)) {
		p.row(row)
	}
}

// row writes one row as it is: scripts read the totals as one, however many counts there are.
func (p *printer) row(row string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, row)
	}
}

// width is how many columns a row of the text has at most, unless one word alone has more.
const width = 100

// wrap breaks a line between words; what follows is set two columns deeper than the line began.
func wrap(line string) []string {
	line = strings.TrimRight(line, " ")
	indent := strings.Repeat(" ", min(len(line)-len(strings.TrimLeft(line, " "))+2, width/2))
	var rows []string
	for utf8.RuneCountInString(line) > width {
		at, column := -1, 0
		begun := false // a blank of the indent is no place to break
		for i, r := range line {
			if r == ' ' && begun && (column <= width || at < 0) {
				at = i
			}
			begun = begun || r != ' '
			if column++; column > width && at >= 0 {
				break
			}
		}
		if at < 0 {
			break
		}
		rows = append(rows, strings.TrimRight(line[:at], " "))
		line = indent + strings.TrimLeft(line[at:], " ")
	}
	return append(rows, line)
}

func (p *printer) learned(in Input) {
	title := false
	for _, t := range in.Tasks {
		if t.State != "ANSWERED" || len(t.Facts) == 0 {
			continue
		}
		if !title {
			p.line("")
			p.line("WHAT WAS LEARNED")
			title = true
		}
		p.line("  %-10s %s", t.Device, list.NameAt(t.Name, t.Place))
		for _, f := range t.Facts {
			p.line("             %-14s %s", f.Field, f.Value)
		}
	}
}

func (p *printer) differences(in Input) {
	if len(in.Differences) == 0 {
		return
	}
	p.line("")
	p.line("WHAT DIFFERS FROM THE CMMS")
	for _, d := range in.Differences {
		p.line("  %-10s %s", d.Device, list.NameAt(d.Name, d.Place))
		p.line("             %s", d.Sentence)
	}
}

func (p *printer) unanswered(in Input) {
	title := false
	for _, t := range in.Tasks {
		if t.State == "ANSWERED" || !t.asked() {
			continue
		}
		if !title {
			p.line("")
			p.line("ASKED, WITHOUT A PROPER ANSWER")
			title = true
		}
		p.line("  %-10s %s: %s", t.Device, list.NameAt(t.Name, t.Place), t.Question)
		why := ""
		if t.Reason != "" {
			why = " (" + t.Reason + ")"
		}
		p.line("             %s%s: %s", t.State, why, meaning(t.State))
		if t.Detail != "" {
			p.line("             %s", t.Detail)
		}
	}
}

// some names the questions of one kind, below a title if there are any.
func (p *printer) some(title string, in Input, of func(Task) bool) {
	begun := false
	for _, t := range in.Tasks {
		if !of(t) {
			continue
		}
		if !begun {
			p.line("")
			p.line("%s", title)
			begun = true
		}
		p.line("  %-10s %s: %s", t.Device, list.NameAt(t.Name, t.Place), t.Question)
		if t.Detail != "" {
			p.line("             %s", t.Detail)
		}
	}
}

func (p *printer) notAsked(in Input) {
	all := in.refusals()
	if len(all) == 0 {
		return
	}
	p.line("")
	p.line("NOT ASKED, AND WHY")
	for len(all) > 0 {
		end := slices.IndexFunc(all, func(r refusal) bool { return r.Reason != all[0].Reason })
		if end < 0 {
			end = len(all)
		}
		p.line("  %s", string(all[0].Reason))
		p.line("    %s %s", all[0].What, all[0].Why)
		p.line("    %s", all[0].Do)
		for _, r := range all[:end] {
			p.line("      %-10s %s %s", r.Device, list.NameAt(r.Name, r.Place), r.Question)
			if r.Detail != "" {
				p.line("                 %s", r.Detail)
			}
		}
		all = all[end:]
	}
}
