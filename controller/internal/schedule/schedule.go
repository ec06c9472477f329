// Package schedule says when an approved time opens and closes: an RFC 5545 recurrence in an IANA
// zone. It is pure: the moment is an argument.
//
// Only DTSTART alone, and DAILY, WEEKLY and MONTHLY rules are read, so that a hostile rule cannot keep
// it busy. Daylight saving follows the zone: a time that the clock skips moves forward by the gap, a
// time that comes twice opens once, at the first of the two. Start at [Parse].
package schedule

import (
	"fmt"
	"slices"
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
	start    time.Time // what the clock on the wall says, written as UTC
	zone     *time.Location
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
	s := Schedule{duration: duration, zone: loc}
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
		if !s.rule.Until.IsZero() {
			s.rule.Until = onTheWall(s.rule.Until, loc)
		}
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
	t, err := time.Parse("20060102T150405", text)
	if err != nil {
		return time.Time{}, fmt.Errorf("DTSTART %q is not a time such as 20270110T030000", value)
	}
	if utc {
		t = onTheWall(t, loc)
	}
	if t.Year() < firstYear || t.Year() > lastYear {
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
	for day := range strings.SplitSeq(seen["BYDAY"], ",") {
		if err := checkDay(day, seen["FREQ"] == "MONTHLY"); err != nil {
			return nil, err
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

// checkDay holds one part of BYDAY: a day of the week, in a MONTHLY rule the first to the fifth of the month,
// from its beginning or its end (RFC 5545 3.3.10). The library reads larger numbers, and falls over them.
func checkDay(day string, monthly bool) error {
	if day == "" {
		return nil // no BYDAY; an empty part is refused by the library
	}
	number, name := "", day
	if len(day) > 2 {
		number, name = day[:len(day)-2], day[len(day)-2:]
	}
	if !slices.Contains([]string{"MO", "TU", "WE", "TH", "FR", "SA", "SU"}, name) {
		return fmt.Errorf("BYDAY has %q; a day is MO, TU, WE, TH, FR, SA or SU", day)
	}
	n, err := strconv.Atoi(number)
	switch {
	case number == "":
		return nil
	case !monthly:
		return fmt.Errorf("BYDAY has %q; a day is numbered in a MONTHLY rule alone", day)
	case err != nil || n == 0 || n < -5 || n > 5:
		return fmt.Errorf("BYDAY has %q; a day is numbered from 1 to 5, or -1 to -5", day)
	}
	return nil
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
	// The rule is followed on the wall, where every day has 24 hours, and each of its times is then looked up in
	// the zone: a time that the clock skips or shows twice moves itself and no other.
	rule, wall := *s.rule, onTheWall(at, s.zone)
	horizon := max(wall.Unix(), s.start.Unix()) + int64(lookAhead/time.Second)
	if limit := time.Unix(horizon, 0).UTC(); rule.Until.IsZero() || rule.Until.After(limit) {
		rule.Until = limit
	}
	r, err := rrule.NewRRule(rule)
	if err != nil {
		return Occurrence{}, false
	}
	opens := wall.Add(-s.duration - longestJump)
	for range 8 { // at most a day and a jump lie before the moment, and the times of a rule are a day apart
		if opens = r.After(opens, false); opens.IsZero() {
			return Occurrence{}, false
		}
		if o, ok = s.from(opens, at); ok {
			return o, true
		}
	}
	return Occurrence{}, false
}

// longestJump is more than any clock was ever moved within a day: Samoa left out a whole one.
const longestJump = 25 * time.Hour

func (s Schedule) from(wall, at time.Time) (o Occurrence, ok bool) {
	opens := inZone(wall, s.zone)
	o = Occurrence{opens.UTC(), opens.Add(s.duration).UTC()}
	return o, at.Before(o.Closes)
}

// onTheWall is what the clock of the zone shows at a moment, written as UTC.
func onTheWall(t time.Time, zone *time.Location) time.Time {
	t = t.In(zone)
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// inZone is the moment at which the clock of the zone shows a time: the first one where it shows it twice. A time
// that it skips is read by the clock from before the jump, and so moves forward (RFC 5545 3.3.5); Go alone
// would move it back in some zones, to before the approved time.
func inZone(wall time.Time, zone *time.Location) time.Time {
	var found time.Time
	for _, near := range []time.Duration{-longestJump, longestJump} {
		_, offset := wall.Add(near).In(zone).Zone()
		t := wall.Add(-time.Duration(offset) * time.Second)
		if onTheWall(t, zone).Equal(wall) && (found.IsZero() || t.Before(found)) {
			found = t
		}
	}
	if found.IsZero() {
		_, before := wall.Add(-longestJump).In(zone).Zone()
		found = wall.Add(-time.Duration(before) * time.Second)
	}
	return found
}
