package safetylists

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones, also where the machine has none
)

// Quiet are hours of the day in which a ward wants nothing to be asked, as the clock on its wall shows them. To
// is the first minute after them; with To before From they go over midnight.
type Quiet struct {
	Place    string // a department or a location, as the inventory names it
	From, To int    // minutes of the day
	words    string // of Place, as they are looked for
}

type quietSpec struct {
	Place string `yaml:"place"`
	From  string `yaml:"from"`
	To    string `yaml:"to"`
}

// maxQuiet bounds the entries of a site file.
const maxQuiet = 1000

// quiet reads the zone of the site and the hours of its wards.
func (spec siteSpec) quiet(s *Site) error {
	if spec.Zone != "" {
		zone, err := time.LoadLocation(spec.Zone)
		if err != nil || spec.Zone == "Local" {
			return fmt.Errorf("site file: zone: %q is not known; it is an IANA name such as Europe/Vienna", spec.Zone)
		}
		s.Zone = zone
	}
	switch {
	case len(spec.Quiet) > 0 && s.Zone == nil:
		return fmt.Errorf("site file: quiet: hours are those of a clock; the site file has no zone, such as Europe/Vienna")
	case len(spec.Quiet) > maxQuiet:
		return fmt.Errorf("site file: quiet: %d entries; at most %d are taken", len(spec.Quiet), maxQuiet)
	}
	for i, q := range spec.Quiet {
		entry := Quiet{Place: q.Place, words: wordsOf(q.Place)}
		var err error
		if entry.From, err = minuteOfDay(q.From); err == nil {
			entry.To, err = minuteOfDay(q.To)
		}
		switch {
		case entry.words == "":
			return fmt.Errorf("site file: quiet %d: place: a department or a location of the inventory is required", i+1)
		case err != nil:
			return fmt.Errorf("site file: quiet %d (%s): %w", i+1, q.Place, err)
		case entry.From == entry.To || entry.From == minutesOfDay:
			return fmt.Errorf("site file: quiet %d (%s): from %s to %s is no time; a whole day is 00:00 to 24:00", i+1, q.Place, q.From, q.To)
		}
		s.Quiet = append(s.Quiet, entry)
	}
	return nil
}

// wordsOf is a place as it is looked for: its words, each with a blank on both sides; empty if it has none.
func wordsOf(place string) string {
	if place = strings.TrimSpace(spaced(fold(place))); place == "" {
		return ""
	}
	return " " + place + " "
}

const minutesOfDay = 24 * 60

func minuteOfDay(text string) (int, error) {
	if text == "24:00" {
		return minutesOfDay, nil
	}
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, fmt.Errorf("%q is not a time of the day such as 07:00", text)
	}
	return t.Hour()*60 + t.Minute(), nil
}

// String is the entry for a person.
func (q Quiet) String() string {
	return fmt.Sprintf("%s, from %02d:%02d to %02d:%02d", q.Place, q.From/60, q.From%60, q.To/60, q.To%60)
}

// holds reports whether the entry is of a place. A device whose place nobody knows could be in that ward.
func (q Quiet) holds(place string) bool {
	return place == "" || strings.Contains(place, q.words)
}

// at reports whether the clock shows one of the hours.
func (q Quiet) at(t time.Time, zone *time.Location) bool {
	local := t.In(zone)
	m := local.Hour()*60 + local.Minute()
	if q.From < q.To {
		return m >= q.From && m < q.To
	}
	return m >= q.From || m < q.To
}

// within reports whether any moment from a up to b, without it, is one of the hours. It looks where they may begin:
// at a, where the clock of the zone is set, and wherever the clock shows their beginning by any offset that it has
// in that time (H-047).
func (q Quiet) within(a, b time.Time, zone *time.Location) bool {
	if q.at(a, zone) {
		return true
	}
	begins := func(day time.Time, offset int) bool {
		t := time.Date(day.Year(), day.Month(), day.Day(), 0, q.From, 0, 0, time.UTC).Add(-time.Duration(offset) * time.Second)
		return t.After(a) && t.Before(b) && q.at(t, zone)
	}
	for t := a; ; {
		_, offset := t.In(zone).Zone()
		_, end := t.In(zone).ZoneBounds()
		last := end.IsZero() || !end.Before(b)
		until := end
		if last {
			until = b
		}
		first := t.Add(time.Duration(offset) * time.Second).UTC()
		for day := first; !day.After(until.Add(time.Duration(offset)*time.Second + 24*time.Hour)); day = day.Add(24 * time.Hour) {
			if begins(day, offset) {
				return true
			}
		}
		if last {
			return false
		}
		if t = end; q.at(t, zone) {
			return true
		}
	}
}

// longestQuiet bounds what is looked through for hours: no approved time is longer.
const longestQuiet = 48 * time.Hour

// QuietWithin returns the hours of its ward that a time from a up to b, without it, has a part in; ok is false when it
// has none.
func (l *List) QuietWithin(d Device, a, b time.Time) (q Quiet, ok bool) {
	s := Know(d)
	return l.site.quiet(s.place, a, b)
}

// QuietNowhere returns the hours whose place is that of no device: a name that is mistyped, or a ward that was renamed, leaves the
// devices there without their hours (H-047). A device whose place nobody knows says nothing about a name.
func (l *List) QuietNowhere(all []Device) (out []Quiet) {
	for _, q := range l.site.Quiet {
		if !slices.ContainsFunc(all, func(d Device) bool { return strings.Contains(wordsOf(d.Place), q.words) }) {
			out = append(out, q)
		}
	}
	return out
}

func (s *Site) quiet(place string, a, b time.Time) (Quiet, bool) {
	if b.Sub(a) > longestQuiet {
		b = a.Add(longestQuiet)
	}
	for _, q := range s.Quiet {
		if q.holds(place) && (s.Zone == nil || q.within(a, b, s.Zone)) {
			return q, true
		}
	}
	return Quiet{}, false
}
