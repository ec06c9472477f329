package safetylists_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	. "primum/safetylists"
)

// H-047: a ward's hours are those of the clock on its wall, on the days too on which that clock is set.
func TestAWardIsQuietByTheClockOnItsWall(t *testing.T) {
	files := []*File{velaFile(t, regexp.MustCompile(`expires: .*`).ReplaceAllString(velaAllow, `expires: "2028-01-01"`))}
	list := func(more string) *List {
		site := signedOffBy(files, Real, "M. Lindqvist")
		s := siteWith(t, more)
		site.Zone, site.Quiet = s.Zone, s.Quiet
		return compile(t, files, site)
	}
	const day, night = `quiet: [{place: Intensive care, from: "07:00", to: "19:00"}]`, `quiet: [{place: ICU 4, from: "22:00", to: "02:30"}]`
	for name, c := range map[string]struct {
		quiet, place, at string
		asked            bool
	}{
		"before them":                       {day, "Intensive care, ICU 4", "2026-12-01T05:59:40Z", true},
		"so that it would end within them":  {day, "Intensive care, ICU 4", "2026-12-01T05:59:59Z", false},
		"at their beginning":                {day, "Intensive care, ICU 4", "2026-12-01T06:00:00Z", false},
		"at their last moment":              {day, "Intensive care, ICU 4", "2026-12-01T17:59:59Z", false},
		"at their end":                      {day, "Intensive care, ICU 4", "2026-12-01T18:00:00Z", true},
		"in summer":                         {day, "Intensive care, ICU 4", "2027-03-29T05:00:00Z", false}, // 07:00 +02:00
		"in summer, after them":             {day, "Intensive care, ICU 4", "2027-03-29T17:00:00Z", true},
		"however the place is written":      {day, " INTENSIVE  CARE", "2026-12-01T12:00:00Z", false},
		"another ward":                      {day, "Recovery, ICU 4", "2026-12-01T12:00:00Z", true},
		"a ward whose name begins the same": {night, "ICU 41", "2026-12-01T23:00:00Z", true},
		"a place that nobody knows":         {day, "", "2026-12-01T12:00:00Z", false},
		"over midnight, before":             {night, "ICU 4, bed 12", "2026-12-01T20:59:00Z", true},
		"over midnight, in the evening":     {night, "ICU 4, bed 12", "2026-12-01T21:00:00Z", false},
		"over midnight, in the morning":     {night, "ICU 4, bed 12", "2026-12-02T01:29:00Z", false},
		"over midnight, after":              {night, "ICU 4, bed 12", "2026-12-02T01:30:00Z", true},
		// 2027-03-28: the clock goes from 02:00 to 03:00 at 01:00 UTC
		"the night of the lost hour, before it":      {night, "ICU 4", "2027-03-28T00:59:00Z", false},
		"the night of the lost hour, when it is set": {night, "ICU 4", "2027-03-28T01:00:00Z", true},
		// 2027-10-31: the clock goes from 03:00 to 02:00 at 01:00 UTC
		"the night of the double hour, first":      {night, "ICU 4", "2027-10-31T00:15:00Z", false},
		"the night of the double hour, in between": {night, "ICU 4", "2027-10-31T00:45:00Z", true},
		"the night of the double hour, again":      {night, "ICU 4", "2027-10-31T01:15:00Z", false},
		"the night of the double hour, over":       {night, "ICU 4", "2027-10-31T01:30:00Z", true},
		"all day":                                  {`quiet: [{place: ICU, from: "00:00", to: "24:00"}]`, "ICU", "2026-12-01T12:00:00Z", false},
		"all day, elsewhere":                       {`quiet: [{place: ICU, from: "00:00", to: "24:00"}]`, "Store", "2026-12-01T12:00:00Z", true},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		d := vela("1.2")
		d.Place = c.place
		l := list("zone: Europe/Vienna\n" + c.quiet + "\n")
		got := l.Decide(d, ask(t), at)
		if got.Allowed() != c.asked || !c.asked && got.Reason != QuietHours {
			t.Errorf("%s: %s %s", name, got.Reason, got.Detail())
		}
		if q, quiet := l.QuietWithin(d, at, at.Add(10*time.Second)); quiet == c.asked || quiet && q.String() == "" {
			t.Errorf("%s: within its time: %v", name, quiet)
		}
	}
	d := vela("1.2")
	d.Place = "ICU 4"
	if got := list("zone: Europe/Vienna\n"+night).Decide(d, ask(t), now().Add(13*time.Hour)); got.Detail() != "ICU 4, from 22:00 to 02:30" || len(got.Statements) != 1 {
		t.Errorf("%+v %s", got, got.Detail())
	}
}

// H-047: what a time has of quiet hours is found as a look at every moment of it would find it, in zones that set their
// clocks by an hour, by half of one, or never.
func TestAPartOfQuietHoursIsFoundInAnyTime(t *testing.T) {
	changes := map[string][]string{
		"Europe/Vienna":       {"2027-03-28T01:00:00Z", "2027-10-31T01:00:00Z"},
		"America/New_York":    {"2027-03-14T07:00:00Z", "2027-11-07T06:00:00Z"},
		"Australia/Lord_Howe": {"2027-04-03T15:00:00Z", "2027-10-02T15:30:00Z"},
		"Asia/Kolkata":        {"2027-05-01T00:00:00Z"},
	}
	found, free := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom([]string{"Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"}).Draw(t, "zone")
		change, err := time.Parse(time.RFC3339, rapid.SampledFrom(changes[zone]).Draw(t, "change"))
		if err != nil {
			t.Fatal(err)
		}
		from := rapid.IntRange(0, 1439).Draw(t, "from")
		to := (from + rapid.IntRange(1, 90).Draw(t, "minutes")) % 1440
		clock := func(m int) string { return time.Date(2000, 1, 1, 0, m, 0, 0, time.UTC).Format("15:04") }
		s := siteWith(t, "zone: "+zone+"\nquiet: [{place: ICU, from: \""+clock(from)+"\", to: \""+clock(to)+"\"}]\n")
		l := listOf(t, nil, s)
		a := change.Add(time.Duration(rapid.IntRange(-26*3600, 3600).Draw(t, "a")) * time.Second)
		b := a.Add(time.Duration(rapid.IntRange(1, 27*3600).Draw(t, "length")) * time.Second)
		want := false
		for at := a; at.Before(b) && !want; {
			local := at.In(s.Zone)
			m := local.Hour()*60 + local.Minute()
			want = from < to && m >= from && m < to || from > to && (m >= from || m < to)
			at = at.Truncate(time.Minute).Add(time.Minute)
		}
		if _, got := l.QuietWithin(Device{Place: "ICU"}, a, b); got != want {
			t.Fatalf("%s to %s: %v", a, b, got)
		}
		if want {
			found++
		} else {
			free++
		}
	})
	if found == 0 || free == 0 {
		t.Errorf("%d with hours, %d without", found, free)
	}
}

func TestHoursOfAWardAreReadStrictly(t *testing.T) {
	for more, says := range map[string]string{
		`quiet: [{place: ICU, from: "07:00", to: "19:00"}]`: "has no zone",
		"zone: Mars/Olympus":     "Mars/Olympus",
		"zone: Local":            "Local",
		"zone: ../../etc/passwd": "not known",
		"zone: UTC\n" + `quiet: [{place: "", from: "07:00", to: "19:00"}]`:                            "place",
		"zone: UTC\n" + `quiet: [{place: " - ", from: "07:00", to: "19:00"}]`:                         "",
		"zone: UTC\n" + `quiet: [{place: ICU, from: "7:00", to: "19:00"}]`:                            `"7:00"`,
		"zone: UTC\n" + `quiet: [{place: ICU, from: "07:00", to: "25:00"}]`:                           `"25:00"`,
		"zone: UTC\n" + `quiet: [{place: ICU, from: "07:00", to: "07:00"}]`:                           "no time",
		"zone: UTC\n" + `quiet: [{place: ICU, from: "24:00", to: "07:00"}]`:                           "no time",
		"zone: UTC\n" + `quiet: [{place: ICU, from: "07:00"}]`:                                        `""`,
		"zone: UTC\n" + `quiet: [{ward: ICU, place: ICU, from: "07:00", to: "19:00"}]`:                "ward",
		"zone: UTC\nquiet: [" + strings.Repeat(`{place: I, from: "07:00", to: "08:00"},`, 1001) + "]": "1001 entries",
	} {
		text, _ := siteText(t, more+"\n")
		if _, err := LoadSite([]byte(text), nil); says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%.90s: %v", more, err)
		}
	}
}

// H-047: hours of a place where no device is are told, for a mistyped name leaves its ward without them.
func TestHoursOfAPlaceWhereNoDeviceIsAreTold(t *testing.T) {
	files := []*File{velaFile(t, velaAllow)}
	site := signedOffBy(files, Real, "M. Lindqvist")
	s := siteWith(t, "zone: Europe/Vienna\n"+`quiet: [{place: ICU 4, from: "07:00", to: "19:00"}, {place: Radiolgy, from: "07:00", to: "19:00"}, {place: ICU, from: "00:00", to: "24:00"}]`)
	site.Zone, site.Quiet = s.Zone, s.Quiet
	l := compile(t, files, site)
	var got []string
	for _, q := range l.QuietNowhere([]Device{{Place: "Intensive care, ICU 4, bed 12"}, {Place: "Radiology, CT room 1"}, {}}) {
		got = append(got, q.Place)
	}
	if want := []string{"Radiolgy"}; len(got) != 1 || got[0] != want[0] {
		t.Errorf("%v, not %v", got, want)
	}
	if all := l.QuietNowhere(nil); len(all) != 3 {
		t.Errorf("without any device: %v", all)
	}
}
