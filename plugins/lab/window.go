package lab

import (
	"fmt"
	"sync"
	"time"
)

// Window is the approved time as the judge was told it.
type Window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Slack is how long after To a release, an abort or the end of a
	// connection may still come. Nothing else may.
	Slack time.Duration `json:"slack"`
}

// approvedTime is what all judges of a hospital share. Until it is told, any
// time is approved.
type approvedTime struct {
	mu   sync.Mutex // guards told
	told *Window
}

func (t *approvedTime) tell(w Window) error {
	if w.From.IsZero() || !w.To.After(w.From) || w.Slack < 0 {
		return fmt.Errorf("read approved time: it ends before it begins")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told = &w
	return nil
}

// breached says whether a message at that time is outside; closing is true
// for a message that only ends a conversation (hold and window end: at most
// one release or abort, and FIN).
func (t *approvedTime) breached(at time.Time, closing bool) *breach {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told == nil {
		return nil
	}
	if at.Before(t.told.From) {
		return &breach{CodeOutsideTime, fmt.Sprintf("%s too early", t.told.From.Sub(at).Round(time.Millisecond))}
	}
	end := t.told.To
	if closing {
		end = end.Add(t.told.Slack)
	}
	if at.After(end) {
		return &breach{CodeOutsideTime, fmt.Sprintf("%s too late", at.Sub(end).Round(time.Millisecond))}
	}
	return nil
}
