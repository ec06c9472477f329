package schedule

import (
	"strings"
	"testing"
	"time"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestNextFollowsTheZone(t *testing.T) {
	for _, c := range []struct {
		name, recurrence, zone string
		duration               time.Duration
		at, opens, closes      string
	}{
		{"before", "DTSTART:20270110T030000\nRRULE:FREQ=DAILY", "Europe/Vienna", time.Hour, "2027-01-12T12:00:00Z", "2027-01-13T02:00:00Z", "2027-01-13T03:00:00Z"},
		{"while it is open", "DTSTART:20270110T030000\nRRULE:FREQ=DAILY", "Europe/Vienna", time.Hour, "2027-01-12T02:30:00Z", "2027-01-12T02:00:00Z", "2027-01-12T03:00:00Z"},
		{"at its end the next one", "DTSTART:20270110T030000\nRRULE:FREQ=DAILY", "Europe/Vienna", time.Hour, "2027-01-12T03:00:00Z", "2027-01-13T02:00:00Z", "2027-01-13T03:00:00Z"},
		{"summer time", "DTSTART:20270110T030000\nRRULE:FREQ=DAILY", "Europe/Vienna", time.Hour, "2027-07-01T12:00:00Z", "2027-07-02T01:00:00Z", "2027-07-02T02:00:00Z"},
		{"skipped hour moves forward", "DTSTART:20270320T023000\nRRULE:FREQ=DAILY", "Europe/Vienna", time.Hour, "2027-03-27T12:00:00Z", "2027-03-28T01:30:00Z", "2027-03-28T02:30:00Z"},
		{"and is back a day later", "DTSTART:20270320T023000\nRRULE:FREQ=DAILY", "Europe/Vienna", time.Hour, "2027-03-28T12:00:00Z", "2027-03-29T00:30:00Z", "2027-03-29T01:30:00Z"},
		{"doubled hour opens at the first", "DTSTART:20271020T023000\nRRULE:FREQ=DAILY", "Europe/Vienna", time.Hour, "2027-10-30T12:00:00Z", "2027-10-31T00:30:00Z", "2027-10-31T01:30:00Z"},
		{"doubled hour opens once", "DTSTART:20271020T023000\nRRULE:FREQ=DAILY", "Europe/Vienna", 30 * time.Minute, "2027-10-31T01:00:00Z", "2027-11-01T01:30:00Z", "2027-11-01T02:00:00Z"},
		{"once", "DTSTART;TZID=America/New_York:20270110T030000", "America/New_York", time.Hour, "2027-01-01T00:00:00Z", "2027-01-10T08:00:00Z", "2027-01-10T09:00:00Z"},
		{"second tuesday", "DTSTART:20270101T030000\nRRULE:FREQ=MONTHLY;BYDAY=2TU", "UTC", time.Hour, "2027-01-20T00:00:00Z", "2027-02-09T03:00:00Z", "2027-02-09T04:00:00Z"},
		{"in universal time", "DTSTART:20270110T030000Z\nRRULE:FREQ=WEEKLY;COUNT=3", "Europe/Vienna", time.Minute, "2027-01-20T00:00:00Z", "2027-01-24T03:00:00Z", "2027-01-24T03:01:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Parse(c.recurrence, c.zone, c.duration)
			if err != nil {
				t.Fatal(err)
			}
			o, ok := s.Next(at(t, c.at))
			if !ok || !o.Opens.Equal(at(t, c.opens)) || !o.Closes.Equal(at(t, c.closes)) {
				t.Errorf("Next = %v, %v; want %s to %s", o, ok, c.opens, c.closes)
			}
		})
	}
}

func TestNextHasAnEnd(t *testing.T) {
	for name, recurrence := range map[string]string{
		"once":        "DTSTART:20270110T030000",
		"counted":     "DTSTART:20270110T030000\nRRULE:FREQ=DAILY;COUNT=3",
		"until":       "DTSTART:20270110T030000\nRRULE:FREQ=DAILY;UNTIL=20270112T040000Z",
		"never comes": "DTSTART:20270110T030000\nRRULE:FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=31",
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Parse(recurrence, "UTC", time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			if o, ok := s.Next(at(t, "2027-02-01T00:00:00Z")); ok {
				t.Errorf("Next = %v after the end", o)
			}
		})
	}
	if o, ok := (Schedule{}).Next(time.Unix(0, 0)); ok {
		t.Errorf("the zero schedule opens at %v", o)
	}
}

func TestParseRefusesWithASentence(t *testing.T) {
	for _, c := range []struct {
		recurrence, zone string
		duration         time.Duration
		want             string
	}{
		{"DTSTART:20270110T030000", "Europe/Wien", time.Hour, `zone "Europe/Wien" is not known`},
		{"DTSTART:20270110T030000", "", time.Hour, "zone is missing"},
		{"DTSTART:20270110T030000", "Local", time.Hour, "zone is missing"},
		{"DTSTART:20270110T030000", "UTC", time.Second, "lasts from"},
		{"DTSTART:20270110T030000", "UTC", 25 * time.Hour, "lasts from"},
		{"DTSTART:yesterday", "UTC", time.Hour, "is not a time"},
		{"DTSTART:19500110T030000", "UTC", time.Hour, "in the year 1950"},
		{"DTSTART;TZID=Europe/Vienna:20270110T030000", "UTC", time.Hour, "have to be the same"},
		{"RRULE:FREQ=DAILY", "UTC", time.Hour, "no DTSTART"},
		{"DTSTART:20270110T030000\nRRULE:FREQ=SECONDLY", "UTC", time.Hour, "FREQ=DAILY, WEEKLY or MONTHLY"},
		{"DTSTART:20270110T030000\nRRULE:FREQ=DAILY;BYSECOND=1", "UTC", time.Hour, "part BYSECOND"},
		{"DTSTART:20270110T030000\nRRULE:FREQ=DAILY;COUNT=0", "UTC", time.Hour, "COUNT=0"},
		{"DTSTART:20270110T030000\nRRULE:FREQ=DAILY;INTERVAL=99999", "UTC", time.Hour, "INTERVAL=99999"},
		{"DTSTART:20270110T030000\nRRULE:FREQ=DAILY;COUNT=2;UNTIL=20280101T000000Z", "UTC", time.Hour, "takes one of them"},
		{"DTSTART:20270110T030000\nEXDATE:20270110T030000", "UTC", time.Hour, "at most one RRULE"},
		{"DTSTART:20270110T030000\nRRULE:FREQ=MONTHLY;BYDAY=XX", "UTC", time.Hour, "BYDAY has \"XX\""},
	} {
		_, err := Parse(c.recurrence, c.zone, c.duration)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Parse(%q, %q, %s) = %v; want %q", c.recurrence, c.zone, c.duration, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("DTSTART:20270110T030000\nRRULE:FREQ=MONTHLY;BYDAY=2TU;BYSETPOS=-1", "Europe/Vienna")
	f.Fuzz(func(t *testing.T, recurrence, zone string) {
		s, err := Parse(recurrence, zone, time.Hour)
		if err != nil {
			return
		}
		now := time.Date(2027, 5, 1, 0, 0, 0, 0, time.UTC)
		began := time.Now()
		if o, ok := s.Next(now); ok && !now.Before(o.Closes) {
			t.Errorf("Next returns %v, which is over at %v", o, now)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("Next took %s", took)
		}
	})
}

// H-019: a DTSTART that the clock skips moves its own day forward, and no other: each later day opens at the time
// that people have written.
func TestAStartThatTheClockSkipsMovesItsOwnDayAlone(t *testing.T) {
	for zone, c := range map[string]struct{ start, first, second string }{
		"Europe/Vienna":    {"20270328T023000", "2027-03-28T01:30:00Z", "2027-03-29T00:30:00Z"},
		"America/New_York": {"20270314T021500", "2027-03-14T07:15:00Z", "2027-03-15T06:15:00Z"},
		"Antarctica/Troll": {"20270328T023000", "2027-03-28T02:30:00Z", "2027-03-29T00:30:00Z"},
	} {
		s, err := Parse("DTSTART:"+c.start+"\nRRULE:FREQ=DAILY;COUNT=2", zone, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		first, ok := s.Next(at(t, c.first).Add(-12 * time.Hour))
		if !ok || !first.Opens.Equal(at(t, c.first)) {
			t.Errorf("%s: the first day opens at %s", zone, first.Opens)
		}
		second, ok := s.Next(first.Closes)
		if !ok || !second.Opens.Equal(at(t, c.second)) {
			t.Errorf("%s: the second day opens at %s", zone, second.Opens)
		}
		if third, ok := s.Next(second.Closes); ok {
			t.Errorf("%s: a third of two: %v", zone, third)
		}
	}
}

// A rule that the library falls over is refused with a sentence: a controller that fell would fall again at every
// look at its approved times.
func TestADayOfTheWeekHasANumberThatAMonthHas(t *testing.T) {
	for _, c := range []struct {
		rule string
		good bool
	}{
		{"FREQ=MONTHLY;BYDAY=+53MO", false}, {"FREQ=MONTHLY;BYDAY=MO,-53SU", false}, {"FREQ=MONTHLY;BYDAY=6MO", false}, {"FREQ=MONTHLY;BYDAY=0MO", false},
		{"FREQ=WEEKLY;BYDAY=1MO", false}, {"FREQ=DAILY;BYDAY=-1MO", false}, {"FREQ=MONTHLY;BYDAY=XX", false}, {"FREQ=MONTHLY;BYDAY=99999999999999999999MO", false},
		{"FREQ=MONTHLY;BYDAY=5MO,-5SU,+1TU", true}, {"FREQ=WEEKLY;BYDAY=MO,SU", true},
	} {
		s, err := Parse("DTSTART:20261001T030000\nRRULE:"+c.rule, "Europe/Vienna", time.Hour)
		if (err == nil) != c.good {
			t.Errorf("%s: %v", c.rule, err)
		}
		if err == nil {
			s.Next(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
		}
	}
}
