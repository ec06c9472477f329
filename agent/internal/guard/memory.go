package guard

import (
	"maps"
	"slices"
	"time"

	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// memory is what the past forbids. It is rebuilt from the journal: from a checkpoint, where the journal was trimmed, and the
// records after it. What is exported stands in the checkpoint; TestAMemoryFromACheckpointIsThatOfTheWholeJournal holds
// that nothing else is needed.
type memory struct {
	Used        map[string]spent         // permits that were consumed
	Open        map[string]started       // permit to what was started and has no outcome
	Quiet       map[string]time.Time     // physical device (id, address or MAC) to the end of its gap
	Gaps        map[string]time.Duration // the same to the longest gap that it was ever given
	Rest        map[string]time.Time     // physical device and question to the end of its rest
	Quarantined map[string]*distress     // physical device to what happened to it
	Asked       map[string][]time.Time
	Signs       map[string]*sign  // asset tag to its vital signs
	Engines     map[string]engine // device to its SNMPv3 engine (S7)
	Refused     map[string]bool   // credentials that a device did not take (S4)
	HoldVersion uint64
	Epoch       uint64
	Site        siteWord

	// hushed is the end of the gap on the boot clock: a wall clock that is set shortens no gap. In a new life it begins
	// anew with Gaps.
	hushed map[string]time.Duration
}

// spent is when a permit was consumed.
type spent struct {
	At    time.Time
	Epoch uint64 // session that it was for
}

// usedKept is for how long a spent permit is remembered after its session. Two locks keep it from being used again, and
// neither leans on the other: no task is made of a permit of an older session (task.Verify), and no permit lives longer
// than ten minutes (permit.MaxLife), which a clock that was set wrong by days does not reach (H-042).
const usedKept = 7 * 24 * time.Hour

// siteWord is the newest word of a person at the site: whether this agent asks at all.
type siteWord struct {
	Stopped bool
	Why     string
	At      time.Time
}

// askedKept is longer than any budget looks back.
const askedKept = 48 * time.Hour

type engine struct {
	Said evidence.Engine
	At   time.Time
}

type started struct {
	Record evidence.Record
	Gap    time.Duration
}

// distress is why a device is left alone until a person has cleared it.
type distress struct {
	Device string   // asset tag that it was asked under
	Permit string   // of the question
	Names  []string // of the physical device
	Why    string
}

func newMemory() memory {
	return memory{Used: map[string]spent{}, Open: map[string]started{}, Quiet: map[string]time.Time{}, Gaps: map[string]time.Duration{},
		Rest: map[string]time.Time{}, Quarantined: map[string]*distress{}, Asked: map[string][]time.Time{},
		Engines: map[string]engine{}, Refused: map[string]bool{}, Signs: map[string]*sign{}, hushed: map[string]time.Duration{}}
}

func restKey(name, query string) string { return name + "\x00" + query }

// note takes one record into the memory; from the journal at start, and as records are written.
func (m *memory) note(r evidence.Record) {
	gap := time.Duration(r.GapMS) * time.Millisecond
	switch r.Kind {
	case evidence.Session:
		m.Epoch = max(m.Epoch, r.Epoch)
		maps.DeleteFunc(m.Used, func(_ string, u spent) bool { return u.Epoch < m.Epoch && r.At.Sub(u.At) > usedKept })
	case evidence.HoldSeen:
		m.HoldVersion = max(m.HoldVersion, r.Version)
	case evidence.SiteStop, evidence.SiteGo:
		if r.At.Before(m.Site.At) {
			return
		}
		m.Site = siteWord{r.Kind == evidence.SiteStop, r.Words, r.At}
	case evidence.Started:
		m.Used[r.Permit] = spent{r.At, m.Epoch}
		m.Open[r.Permit] = started{r, gap}
		m.silence(r, r.At.Add(gap))
		rested := r.At.Add(time.Duration(r.RestMS) * time.Millisecond)
		for _, k := range list.Reached(r.Device, r.Address, r.MAC) {
			if k = restKey(k, r.Query); rested.After(m.Rest[k]) {
				m.Rest[k] = rested
			}
		}
		if r.Caller != "" {
			old := func(at time.Time) bool { return at.Before(r.At.Add(-askedKept)) }
			m.Asked[r.Caller] = append(slices.DeleteFunc(m.Asked[r.Caller], old), r.At)
		}
	case evidence.Sent, evidence.Got:
		if s, ok := m.Open[r.Permit]; ok {
			m.silence(s.Record, r.At.Add(s.Gap))
		}
	case evidence.Outcome:
		s, ok := m.Open[r.Permit]
		if ok {
			m.silence(s.Record, r.At.Add(s.Gap))
			delete(m.Open, r.Permit)
		}
		if ok && r.Result != nil && !r.Result.Touched() { // stopped before its first octet: there is nothing to rest from
			rested := s.Record.At.Add(time.Duration(s.Record.RestMS) * time.Millisecond)
			for _, k := range list.Reached(s.Record.Device, s.Record.Address, s.Record.MAC) {
				if k = restKey(k, s.Record.Query); m.Rest[k].Equal(rested) {
					delete(m.Rest, k)
				}
			}
		}
		wrong := r.Result != nil && r.Result.Reason == list.CredentialRefused // it says nothing against the device
		if ok && r.Result != nil && !wrong && (r.Result.State == evidence.Distress || r.Result.State == evidence.Incident) {
			d := &distress{s.Record.Device, r.Permit, list.Reached(s.Record.Device, s.Record.Address, s.Record.MAC), r.Result.Detail}
			for _, k := range d.Names {
				m.Quarantined[k] = d
			}
		}
		if r.Result == nil {
			return
		}
		if r.Result.Engine != nil {
			m.Engines[r.Device] = engine{*r.Result.Engine, r.At}
		}
		if wrong {
			m.Refused[r.Result.Credential] = true
		}
	case evidence.Cleared:
		m.clear(r.Device, r.Permit)
		delete(m.Engines, r.Device) // a person has looked: whoever answers next is the device
	}
}

// clear ends the quarantine of a device after one distress, under all its names.
func (m *memory) clear(device, permit string) {
	for k, d := range m.Quarantined {
		if d.Device == device && d.Permit == permit {
			delete(m.Quarantined, k)
		}
	}
}

// distressOf says what happened to a device that is left alone; nil when it is not.
func (m *memory) distressOf(device string, names []string) *list.Refusal {
	for _, k := range names {
		d := m.Quarantined[k]
		switch {
		case d == nil:
		case d.Device == device:
			return list.Refuse(list.Quarantined, d.Why)
		default:
			return list.Refuse(list.Quarantined, d.Why+" (asked as "+d.Device+")")
		}
	}
	return nil
}

// restUntil is the end of the longest rest for a question over all names of the device.
func (m *memory) restUntil(names []string, query string) time.Time {
	var end time.Time
	for _, k := range names {
		if is := m.Rest[restKey(k, query)]; is.After(end) {
			end = is
		}
	}
	return end
}

// silence keeps the device quiet until a moment; it never shortens a gap.
func (m *memory) silence(r evidence.Record, until time.Time) {
	for _, k := range list.Reached(r.Device, r.Address, r.MAC) {
		if until.After(m.Quiet[k]) {
			m.Quiet[k] = until
		}
	}
}

// hush keeps the device of a record quiet on the boot clock too, before note takes the record.
func (m *memory) hush(r evidence.Record, boot time.Duration) {
	s, ok := m.Open[r.Permit]
	if r.Kind == evidence.Started {
		s, ok = started{r, time.Duration(r.GapMS) * time.Millisecond}, true
	}
	if !ok || r.Permit == "" {
		return
	}
	for _, k := range list.Reached(s.Record.Device, s.Record.Address, s.Record.MAC) {
		m.Gaps[k] = max(m.Gaps[k], s.Gap)
		m.hushed[k] = max(m.hushed[k], boot+s.Gap)
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
		if m.Quiet[k].After(end) {
			end = m.Quiet[k]
		}
	}
	return end
}

// askedSince counts what a caller had asked after a moment. It forgets nothing: the moment is only as good
// as the clock (H-018).
func (m *memory) askedSince(caller string, since time.Time) int {
	n := 0
	for _, at := range m.Asked[caller] {
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
	return g.mem.Site.Stopped, g.mem.Site.At
}

// SiteWord is why the site has stopped this agent, as SiteStop tells it; empty when it has not.
func (g *Guard) SiteWord() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.mem.Site.Stopped {
		return ""
	}
	return g.mem.Site.Why
}

// StopHere stops everything until a later record lets it go on; the word may not be in the journal yet.
func (g *Guard) StopHere(why string, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mem.Site = siteWord{true, why, at}
}

// ClosePast ends what a journal that was put aside left open: its outcome belongs to that journal. Gaps,
// rests, quarantines and spent permits stay.
func (g *Guard) ClosePast() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.mem.Open)
}

// Distressed reports whether a device is left alone because of the question of a permit.
func (g *Guard) Distressed(device, permit string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range g.mem.Quarantined {
		if d.Device == device && d.Permit == permit {
			return true
		}
	}
	return false
}
