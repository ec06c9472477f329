package agent

import (
	"fmt"
	"time"

	"primum/agent/internal/guard"
	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// The bounds of a vital sign (DESIGN 6.6, G10, G11).
const (
	slowAtLeast = 2 * time.Second
	slowTimes   = 3
	// restartAfter is how soon after a question a restart is taken for its effect. A pump that is carried about is
	// switched off and on every day; one that we have hurt starts anew at once, or when its watchdog wakes.
	restartAfter = time.Hour
	// restartSlack is by how much the clocks of agent and device may differ over that time.
	restartSlack = time.Minute
)

// alive makes a distress of what tells that the device is not as it was: much slower, started anew since it was last
// asked, or there and without its service where it answered this question before. One that is not there at all, as
// a pump that was unplugged, stays absent. What has no earlier answer to be held against is held against the fixed bound alone. It sends
// nothing, for it looks at what the approved question told.
func alive(r evidence.Result, refused bool, before guard.Vitals, at time.Time) evidence.Result {
	distress := func(reason list.Reason, words string) evidence.Result {
		r.State, r.Reason, r.Detail = evidence.Distress, reason, words
		return r
	}
	switch {
	case r.State == evidence.Absent && refused && before.Baseline > 0:
		return distress(list.ServiceGone, "nobody listens at its port, where it answered this question before")
	case r.State != evidence.Answered && r.State != evidence.Declined && r.State != evidence.Unknown: // a probe that fails hides no slow device (B11)
		return r
	}
	took := time.Duration(r.TookUS) * time.Microsecond
	if bound := max(slowAtLeast, slowTimes*before.Baseline); took > bound {
		return distress(list.DeviceSlow, fmt.Sprintf("it answered after %s; before, it took %s", took.Round(time.Millisecond), before.Baseline.Round(time.Millisecond)))
	}
	if before.Sent.IsZero() {
		return r
	}
	soon := func(up time.Duration) bool {
		since := at.Add(-up).Sub(before.Sent) // from the last message before this conversation to the start
		return since >= -restartSlack && since <= restartAfter
	}
	if r.Uptime != nil && !wrapped(before, at) {
		if up := time.Duration(*r.Uptime) * 10 * time.Millisecond; soon(up) && at.Sub(before.Sent) > up+restartSlack/2 {
			return distress(list.DeviceRestarted, fmt.Sprintf("it started anew %s after it was last asked", (at.Sub(before.Sent)-up).Round(time.Second)))
		}
	}
	if now, was := r.Engine, before.Engine; now != nil && was != nil && now.ID == was.ID && now.Boots > was.Boots && soon(time.Duration(now.Time)*time.Second) {
		return distress(list.DeviceRestarted, fmt.Sprintf("its SNMP engine started anew since it was last asked: %d starts, before %d", now.Boots, was.Boots))
	}
	return r
}

// wrapped reports whether the counter of sysUpTime, 32 bits of hundredths of a second, may have begun anew by itself
// since the device last told it (RFC 3418, 497 days).
func wrapped(before guard.Vitals, at time.Time) bool {
	if before.Uptime == nil {
		return false
	}
	since := at.Sub(before.Told) + restartSlack
	return uint64(*before.Uptime)+uint64(max(0, since)/(10*time.Millisecond)) >= 1<<32
}
