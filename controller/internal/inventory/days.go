package inventory

import (
	"fmt"
	"time"

	list "primum/safetylists"
)

// MostOutOfUse is how long a person's word that a device is out of use holds: a shift, and not a standing belief (H-002).
const MostOutOfUse = 12 * time.Hour

const (
	// earliest is how much before its day in UTC a day begins somewhere on earth: who writes today's date there is not of the future.
	earliest = 14 * time.Hour
	// skew is what the clocks of the CMMS and of this machine may differ by.
	skew = time.Minute
)

// checkDays says which words of a row are of another time than now. Who imports them believes that they hold, and they would
// hold for nothing (H-045, H-046), or for longer than any word may (H-002). What was kept and has ended since is no fault:
// only a file is checked.
func checkDays(cells map[string]string, now time.Time) []Problem {
	var out []Problem
	add := func(column, format string, args ...any) {
		out = append(out, Problem{Column: column, Words: fmt.Sprintf(format, args...)})
	}
	for _, c := range []string{"firmware_attested_on", "address_attested_on"} {
		if on, err := time.Parse(time.DateOnly, cells[c]); err == nil && on.After(now.Add(earliest)) {
			add(c, "%s is still to come; write the day on which the person found it", cells[c])
		}
	}
	if until, err := time.Parse(time.DateOnly, cells["address_attested_until"]); err == nil && !now.Before(until) {
		add("address_attested_until", "the word of %s ended on %s; have the address attested anew, or leave its four cells empty", shown(cells["address_attested_by"]), cells["address_attested_until"])
	}
	if at, err := time.Parse(time.RFC3339, cells["cmms_status_at"]); err == nil && at.After(now.Add(skew)) {
		add("cmms_status_at", "%s is still to come; write the time at which the CMMS said it, and look at the clock and zone of the CMMS", cells["cmms_status_at"])
	}
	if until, err := time.Parse(time.RFC3339, cells["out_of_use_confirmed_until"]); err == nil && until.After(now.Add(MostOutOfUse+skew)) {
		add("out_of_use_confirmed_until", "%s is more than %d hours ahead; a confirmation holds no longer, and has to be given again then", cells["out_of_use_confirmed_until"], int(MostOutOfUse.Hours()))
	}
	return out
}

// Over says which words of a row have an end that is behind them, and count for nothing though they stand there.
func (r Row) Over(now time.Time) []string {
	var out []string
	if until, err := time.Parse(time.RFC3339, r.Cell("out_of_use_confirmed_until")); err == nil && !now.Before(until) {
		out = append(out, "the confirmation of its being out of use has ended")
	}
	if at, err := time.Parse(time.RFC3339, r.Cell("cmms_status_at")); err == nil && now.Sub(at) > list.MostFresh {
		out = append(out, fmt.Sprintf("its CMMS status is more than %d hours old", int(list.MostFresh.Hours())))
	}
	return out
}
