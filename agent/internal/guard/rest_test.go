package guard

import (
	"testing"
	"time"

	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// G8: a device rests from what it was sent, or may have been, and from nothing else.
func TestADeviceRestsFromWhatItMayHaveBeenSentAlone(t *testing.T) {
	at := time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)
	names := list.Reached("10-1", "10.0.0.1", "02:00:00:00:00:01")
	for name, c := range map[string]struct {
		result *evidence.Result
		rests  bool
	}{
		"stopped before its first octet": {&evidence.Result{State: evidence.Stopped, Reason: list.NoLease}, false},
		"refused before it":              {&evidence.Result{State: evidence.Refused, Reason: list.NoSecret}, false},
		"stopped after it":               {&evidence.Result{State: evidence.Stopped, Asked: at, Messages: 1}, true},
		"stopped at its SYN":             {&evidence.Result{State: evidence.Stopped, Asked: at}, true},
		"nobody knows":                   {&evidence.Result{State: evidence.Unknown}, true},
		"answered":                       {&evidence.Result{State: evidence.Answered, Asked: at, Messages: 1}, true},
		"no end yet":                     {nil, true},
	} {
		m := newMemory()
		m.note(evidence.Record{Kind: evidence.Started, At: at, Permit: "p", Device: "10-1", Address: "10.0.0.1", MAC: "02:00:00:00:00:01", Query: "q", RestMS: 3_600_000})
		if c.result != nil {
			m.note(evidence.Record{Kind: evidence.Outcome, At: at.Add(time.Second), Permit: "p", Device: "10-1", Result: c.result})
		}
		if got := m.restUntil(names, "q").After(at); got != c.rests {
			t.Errorf("%s: rests %v", name, got)
		}
		if _, used := m.Used["p"]; !used {
			t.Errorf("%s: the permit may be used again", name)
		}
	}
}
