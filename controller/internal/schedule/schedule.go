// Package schedule says when an approved time opens and closes: an RFC 5545 recurrence in an IANA
// zone. It is pure: the moment is an argument.
//
// Only DTSTART alone, and DAILY, WEEKLY and MONTHLY rules are read, so that a hostile rule cannot keep
// it busy. Daylight saving follows the zone: a time that the clock skips moves forward by the gap, a
// time that comes twice opens once, at the first of the two. Start at [Parse].
package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones, also where the machine has none

	"github.com/teambition/rrule-go"
)

// The bounds of an approved time.
const (
	MinDuration = 10 * time.Second
	MaxDuration = 24 * time.Hour

	maxText     = 512
	maxCount    = 10_000
	maxInterval = 366
	firstYear   = 2000
	lastYear    = 2200
	// lookAhead bounds the search for the next occurrence: a rule that is silent for longer has none.
	lookAhead = 5 * 366 * 24 * time.Hour
)

// Schedule is a parsed recurrence. The zero value never opens. It is safe for concurrent use.
type Schedule struct {
	start    time.Time // in the zone
	rule     *rrule.ROption
	duration time.Duration
}

// Occurrence is one approved time: from Opens, up to but not including Closes.
type Occurrence struct{ Opens, Closes time.Time }

// Contains reports whether the moment is within the occurrence.
func (o Occurrence) Contains(at time.Time) bool { return !at.Before(o.Opens) && at.Before(o.Closes) }

// Parse reads a recurrence: a DTSTART line, and an RRULE line unless it happens once. Errors are
// sentences for a person.
func Parse(recurrence, zone string, duration time.Duration) (Schedule, error) {
	if duration < MinDuration || duration > MaxDuration {
		return Schedule{}, fmt.Errorf("an approved time lasts from %s to %s, not %s", MinDuration, MaxDuration, duration)
	}
	loc, err := parseZone(zone)
	if err != nil {
		return Schedule{}, err
	}
	if len(recurrence) > maxText {
		return Schedule{}, fmt.Errorf("the recurrence is longer than %d characters", maxText)
	}
	s := Schedule{duration: duration}
	for line := range strings.Lines(strings.TrimSpace(strings.ReplaceAll(recurrence, "\r\n", "\n"))) {
		line = strings.TrimSpace(line)
		name, _, _ := strings.Cut(line, ":")
		name, _, _ = strings.Cut(name, ";")
		switch {
		case name == "DTSTART" && s.start.IsZero():
			if s.start, err = parseStart(line, zone, loc); err != nil {
				return Schedule{}, err
			}
		case name == "RRULE" && s.rule == nil:
			if s.rule, err = parseRule(strings.TrimPrefix(line, "RRULE:"), loc); err != nil {
				return Schedule{}, err
			}
		default:
			return Schedule{}, fmt.Errorf("the recurrence has a line %q; it takes one DTSTART line and at most one RRULE line", line)
		}
	}
	if s.start.IsZero() {
		return Schedule{}, fmt.Errorf("the recurrence has no DTSTART line, such as DTSTART:20270110T030000")
	}
	if s.rule != nil {
		s.rule.Dtstart = s.start
		if _, err := rrule.NewRRule(*s.rule); err != nil {
			return Schedule{}, fmt.Errorf("the rule cannot be read: %w", err)
		}
	}
	return s, nil
}

func parseZone(zone string) (*time.Location, error) {
	if zone == "" || zone == "Local" {
		return nil, fmt.Errorf("the zone is missing; it is an IANA name such as Europe/Vienna")
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("the zone %q is not known; it is an IANA name such as Europe/Vienna", zone)
	}
	return loc, nil
}

func parseStart(line, zone string, loc *time.Location) (time.Time, error) {
	head, value, _ := strings.Cut(line, ":")
	_, param, has := strings.Cut(head, ";")
	if has && param != "TZID="+zone {
		return time.Time{}, fmt.Errorf("DTSTART names %q, and the window the zone %s; they have to be the same", param, zone)
	}
	text, utc := strings.CutSuffix(value, "Z")
	in := loc
	if utc {
		in = time.UTC
	}
	t, err := time.ParseInLocation("20060102T150405", text, in)
	if err != nil {
		return time.Time{}, fmt.Errorf("DTSTART %q is not a time such as 20270110T030000", value)
	}
	if t = t.In(loc); t.Year() < firstYear || t.Year() > lastYear {
		return time.Time{}, fmt.Errorf("DTSTART is in the year %d; it is from %d to %d", t.Year(), firstYear, lastYear)
	}
	return t, nil
}

func parseRule(text string, loc *time.Location) (*rrule.ROption, error) {
	seen := map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		key, value, ok := strings.Cut(part, "=")
		if !ok || value == "" || seen[key] != "" {
			return nil, fmt.Errorf("the rule has a part %q; each part is NAME=VALUE, once", part)
		}
		switch key {
		case "FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "WKST":
		default:
			return nil, fmt.Errorf("the rule has a part %s; only FREQ, INTERVAL, COUNT, UNTIL, BYDAY, BYMONTHDAY, BYMONTH, BYSETPOS and WKST are read", key)
		}
		seen[key] = value
	}
	switch seen["FREQ"] {
	case "DAILY", "WEEKLY", "MONTHLY":
	default:
		return nil, fmt.Errorf("the rule repeats %q; it has to be FREQ=DAILY, WEEKLY or MONTHLY", seen["FREQ"])
	}
	for key, most := range map[string]int{"COUNT": maxCount, "INTERVAL": maxInterval} {
		if v := seen[key]; v != "" {
			if n, err := strconv.Atoi(v); err != nil || n < 1 || n > most {
				return nil, fmt.Errorf("%s=%s: it is from 1 to %d", key, v, most)
			}
		}
	}
	if seen["COUNT"] != "" && seen["UNTIL"] != "" {
		return nil, fmt.Errorf("the rule has COUNT and UNTIL; it takes one of them")
	}
	rule, err := rrule.StrToROptionInLocation(text, loc)
	if err != nil {
		return nil, fmt.Errorf("the rule cannot be read: %w", err)
	}
	return rule, nil
}

// Next returns the first occurrence that has not closed at a moment: the one that is open, or else the
// next one. ok is false when there is none within five years.
func (s Schedule) Next(at time.Time) (o Occurrence, ok bool) {
	if s.start.IsZero() {
		return Occurrence{}, false
	}
	if s.rule == nil {
		return s.from(s.start, at)
	}
	rule := *s.rule
	horizon := max(at.Unix(), s.start.Unix()) + int64(lookAhead/time.Second)
	if limit := time.Unix(horizon, 0); rule.Until.IsZero() || rule.Until.After(limit) {
		rule.Until = limit
	}
	r, err := rrule.NewRRule(rule)
	if err != nil {
		return Occurrence{}, false
	}
	opens := r.After(at.Add(-s.duration), false)
	if o, ok = s.from(opens, at); ok || opens.IsZero() {
		return o, ok
	}
	return s.from(r.After(opens, false), at)
}

func (s Schedule) from(opens, at time.Time) (o Occurrence, ok bool) {
	opens = firstOfTwo(opens)
	o = Occurrence{opens.UTC(), opens.Add(s.duration).UTC()}
	return o, !opens.IsZero() && at.Before(o.Closes)
}

// firstOfTwo moves a time that comes twice to the first of the two (RFC 5545 3.3.5); the zone database
// of Go may have chosen the second.
func firstOfTwo(t time.Time) time.Time {
	_, now := t.Zone()
	_, before := t.Add(-3 * time.Hour).Zone()
	earlier := t.Add(-time.Duration(before-now) * time.Second)
	if before > now && earlier.Format(time.DateTime) == t.Format(time.DateTime) {
		return earlier
	}
	return t
}
