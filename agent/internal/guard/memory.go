package guard

import (
	"slices"
	"time"

	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// memory is what the past forbids. It is rebuilt from the journal.
type memory struct {
	used        map[string]bool          // permits that were consumed
	open        map[string]started       // permit to what was started and has no outcome
	quiet       map[string]time.Time     // physical device (id, address or MAC) to the end of its gap
	hushed      map[string]time.Duration // the same on the boot clock: a wall clock that is set shortens no gap
	rest        map[string]time.Time     // physical device and question to the end of its rest
	quarantined map[string]*distress     // physical device to what happened to it
	asked       map[string][]time.Time
	signs       map[string]*sign  // asset tag to its vital signs
	engines     map[string]engine // device to its SNMPv3 engine (S7)
	refused     map[string]bool   // credentials that a device did not take (S4)
	holdVersion uint64
	epoch       uint64
	site        siteWord
}

// siteWord is the newest word of a person at the site: whether this agent asks at all.
type siteWord struct {
	stopped bool
	why     string
	at      time.Time
}

// askedKept is longer than any budget looks back.
const askedKept = 48 * time.Hour

type engine struct {
	said evidence.Engine
	at   time.Time
}

type started struct {
	record evidence.Record
	gap    time.Duration
}

// distress is why a device is left alone until a person has cleared it.
type distress struct {
	device string   // asset tag that it was asked under
	permit string   // of the question
	names  []string // of the physical device
	why    string
}

func newMemory() memory {
	return memory{used: map[string]bool{}, open: map[string]started{}, quiet: map[string]time.Time{},
		rest: map[string]time.Time{}, quarantined: map[string]*distress{}, asked: map[string][]time.Time{},
		engines: map[string]engine{}, refused: map[string]bool{}, hushed: map[string]time.Duration{}, signs: map[string]*sign{}}
}

func restKey(name, query string) string { return name + "\x00" + query }

// note takes one record into the memory; from the journal at start, and as records are written.
func (m *memory) note(r evidence.Record) {
	gap := time.Duration(r.GapMS) * time.Millisecond
	switch r.Kind {
	case evidence.Session:
		m.epoch = max(m.epoch, r.Epoch)
	case evidence.HoldSeen:
		m.holdVersion = max(m.holdVersion, r.Version)
	case evidence.SiteStop, evidence.SiteGo:
		if r.At.Before(m.site.at) {
			return
		}
		m.site = siteWord{r.Kind == evidence.SiteStop, r.Words, r.At}
	case evidence.Started:
		m.used[r.Permit] = true
		m.open[r.Permit] = started{r, gap}
		m.silence(r, r.At.Add(gap))
		rested := r.At.Add(time.Duration(r.RestMS) * time.Millisecond)
		for _, k := range list.Reached(r.Device, r.Address, r.MAC) {
			if k = restKey(k, r.Query); rested.After(m.rest[k]) {
				m.rest[k] = rested
			}
		}
		if r.Caller != "" {
			old := func(at time.Time) bool { return at.Before(r.At.Add(-askedKept)) }
			m.asked[r.Caller] = append(slices.DeleteFunc(m.asked[r.Caller], old), r.At)
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
		wrong := r.Result != nil && r.Result.Reason == list.CredentialRefused // it says nothing against the device
		if ok && r.Result != nil && !wrong && (r.Result.State == evidence.Distress || r.Result.State == evidence.Incident) {
			d := &distress{s.record.Device, r.Permit, list.Reached(s.record.Device, s.record.Address, s.record.MAC), r.Result.Detail}
			for _, k := range d.names {
				m.quarantined[k] = d
			}
		}
		if r.Result == nil {
			return
		}
		if r.Result.Engine != nil {
			m.engines[r.Device] = engine{*r.Result.Engine, r.At}
		}
		if wrong {
			m.refused[r.Result.Credential] = true
		}
	case evidence.Cleared:
		m.clear(r.Device, r.Permit)
		delete(m.engines, r.Device) // a person has looked: whoever answers next is the device
	}
}

// clear ends the quarantine of a device after one distress, under all its names.
func (m *memory) clear(device, permit string) {
	for k, d := range m.quarantined {
		if d.device == device && d.permit == permit {
			delete(m.quarantined, k)
		}
	}
}

// distressOf says what happened to a device that is left alone; nil when it is not.
func (m *memory) distressOf(device string, names []string) *list.Refusal {
	for _, k := range names {
		d := m.quarantined[k]
		switch {
		case d == nil:
		case d.device == device:
			return list.Refuse(list.Quarantined, d.why)
		default:
			return list.Refuse(list.Quarantined, d.why+" (asked as "+d.device+")")
		}
	}
	return nil
}

// restUntil is the end of the longest rest for a question over all names of the device.
func (m *memory) restUntil(names []string, query string) time.Time {
	var end time.Time
	for _, k := range names {
		if is := m.rest[restKey(k, query)]; is.After(end) {
			end = is
		}
	}
	return end
}

// silence keeps the device quiet until a moment; it never shortens a gap.
func (m *memory) silence(r evidence.Record, until time.Time) {
	for _, k := range list.Reached(r.Device, r.Address, r.MAC) {
		if until.After(m.quiet[k]) {
			m.quiet[k] = until
		}
	}
}

// hush keeps the device of a record quiet on the boot clock too, before note takes the record.
func (m *memory) hush(r evidence.Record, boot time.Duration) {
	s, ok := m.open[r.Permit]
	if r.Kind == evidence.Started {
		s, ok = started{r, time.Duration(r.GapMS) * time.Millisecond}, true
	}
	if !ok || r.Permit == "" {
		return
	}
	for _, k := range list.Reached(s.record.Device, s.record.Address, s.record.MAC) {
		m.hushed[k] = max(m.hushed[k], boot+s.gap)
	}
}

// hushedFor is how much of the longest gap is left at a moment of the boot clock.
func (m *memory) hushedFor(names []string, boot time.Duration) (left time.Duration) {
	for _, k := range names {
		left = max(left, m.hushed[k]-boot)
	}
	return left
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

// askedSince counts what a caller had asked after a moment. It forgets nothing: the moment is only as good
// as the clock (H-018).
func (m *memory) askedSince(caller string, since time.Time) int {
	n := 0
	for _, at := range m.asked[caller] {
		if at.After(since) {
			n++
		}
	}
	return n
}

// SiteStop says whether the site has stopped this agent, and when its newest word was given.
func (g *Guard) SiteStop() (stopped bool, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mem.site.stopped, g.mem.site.at
}

// StopHere stops everything until a later record lets it go on; the word may not be in the journal yet.
func (g *Guard) StopHere(why string, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mem.site = siteWord{true, why, at}
}

// ClosePast ends what a journal that was put aside left open: its outcome belongs to that journal. Gaps,
// rests, quarantines and spent permits stay.
func (g *Guard) ClosePast() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.mem.open)
}

// Distressed reports whether a device is left alone because of the question of a permit.
func (g *Guard) Distressed(device, permit string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range g.mem.quarantined {
		if d.device == device && d.permit == permit {
			return true
		}
	}
	return false
}
