package guard

import (
	"time"

	"primum/safetylists/evidence"
)

// memory is what the past forbids. It is rebuilt from the journal.
type memory struct {
	used        map[string]bool      // permits that were consumed
	open        map[string]started   // permit to what was started and has no outcome
	quiet       map[string]time.Time // physical device (id, address or MAC) to the end of its gap
	rest        map[string]time.Time // device and question to the end of its rest
	quarantined map[string]string    // device to why
	asked       map[string][]time.Time
	holdVersion uint64
	epoch       uint64
}

type started struct {
	record evidence.Record
	gap    time.Duration
}

func newMemory() memory {
	return memory{used: map[string]bool{}, open: map[string]started{}, quiet: map[string]time.Time{},
		rest: map[string]time.Time{}, quarantined: map[string]string{}, asked: map[string][]time.Time{}}
}

// keys names a physical device by all that it can be reached under (G9).
func keys(device, address, mac string) []string {
	k := []string{"id " + device}
	if address != "" {
		k = append(k, "ip "+address)
	}
	if mac != "" {
		k = append(k, "mac "+mac)
	}
	return k
}

func restKey(device, query string) string { return device + "\x00" + query }

// note takes one record into the memory; from the journal at start, and as records are written.
func (m *memory) note(r evidence.Record) {
	gap := time.Duration(r.GapMS) * time.Millisecond
	switch r.Kind {
	case evidence.Session:
		m.epoch = max(m.epoch, r.Epoch)
	case evidence.HoldSeen:
		m.holdVersion = max(m.holdVersion, r.Version)
	case evidence.Started:
		m.used[r.Permit] = true
		m.open[r.Permit] = started{r, gap}
		m.silence(r, r.At.Add(gap))
		m.rest[restKey(r.Device, r.Query)] = r.At.Add(time.Duration(r.RestMS) * time.Millisecond)
		if r.Caller != "" {
			m.asked[r.Caller] = append(m.asked[r.Caller], r.At)
		}
	case evidence.Sent, evidence.Got:
		if s, ok := m.open[r.Permit]; ok {
			m.silence(s.record, r.At.Add(s.gap))
		}
	case evidence.Outcome:
		s, ok := m.open[r.Permit]
		if ok {
			m.silence(s.record, r.At.Add(s.gap))
			delete(m.open, r.Permit)
		}
		if ok && r.Result != nil && (r.Result.State == evidence.Distress || r.Result.State == evidence.Incident) {
			m.quarantined[r.Device] = r.Result.Detail
		}
	case evidence.Cleared:
		delete(m.quarantined, r.Device)
	}
}

// silence keeps the device quiet until a moment; it never shortens a gap.
func (m *memory) silence(r evidence.Record, until time.Time) {
	for _, k := range keys(r.Device, r.Address, r.MAC) {
		if until.After(m.quiet[k]) {
			m.quiet[k] = until
		}
	}
}

// quietUntil is the end of the longest gap over all names of the device.
func (m *memory) quietUntil(names []string) time.Time {
	var end time.Time
	for _, k := range names {
		if m.quiet[k].After(end) {
			end = m.quiet[k]
		}
	}
	return end
}

// askedSince counts what a caller had asked after a moment, and forgets what is older.
func (m *memory) askedSince(caller string, since time.Time) int {
	var kept []time.Time
	for _, at := range m.asked[caller] {
		if at.After(since) {
			kept = append(kept, at)
		}
	}
	m.asked[caller] = kept
	return len(kept)
}

// ClosePast ends what a journal that was put aside left open: its outcome belongs to that journal. Gaps,
// rests, quarantines and spent permits stay.
func (g *Guard) ClosePast() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.mem.open)
}
