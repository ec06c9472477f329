package guard

import (
	"sync/atomic"
	"time"

	list "primum/safetylists"
)

// Brake stops what is under way before anybody can write it down: a disk that takes seconds for a record of somebody else keeps no device
// waiting (H-035, DESIGN 6.7). It takes no lock that is held over a write. What it stops is let go again once the guard itself knows of the
// stop or the hold. The zero value stops nothing; it is safe for concurrent use, and outlives its guards.
type Brake struct {
	site  atomic.Pointer[string]
	holds atomic.Pointer[[]Hold]
}

// Stop stops everything, by a word of the site that is not in force yet; an empty one lets go.
func (b *Brake) Stop(why string) {
	if why == "" {
		b.site.Store(nil)
		return
	}
	b.site.Store(&why)
}

// Hold stops what holds cover that are not in force yet; none lets go.
func (b *Brake) Hold(holds []Hold) { b.holds.Store(&holds) }

// on reports what stops a device.
func (b *Brake) on(d list.Device) *list.Refusal {
	if b == nil {
		return nil
	}
	if why := b.site.Load(); why != nil {
		return list.Refuse(list.Held, "stopped at the site: "+*why)
	}
	if holds := b.holds.Load(); holds != nil {
		for _, h := range *holds {
			if h.Kind == HoldSite || h.stops(d, "") { // which site this is stands behind a lock
				return list.Refuse(list.Held, h.words())
			}
		}
	}
	return nil
}

// now is what stops a conversation at a moment, as far as it can be known without waiting for a record that is being written.
func (t *Ticket) now(at time.Time) *list.Refusal {
	switch {
	case !at.Before(t.task.Closes()):
		return list.Refuse(list.OutsideWindow, "the approved time is over")
	case int64(t.g.boot()) >= t.g.until.Load():
		return list.Refuse(list.NoLease, "")
	}
	return t.g.cfg.Brake.on(t.task.Device())
}

// Look is Leave for who watches a conversation that waits: where the guard is writing a record it says what is known without it.
func (t *Ticket) Look(at time.Time) *list.Refusal {
	if r := t.now(at); r != nil {
		return r
	}
	if !t.g.mu.TryLock() {
		return nil // the next look is not far
	}
	defer t.g.mu.Unlock()
	return t.g.leave(t.task.Device(), false, at)
}
