package guard

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"primum/agent/internal/task"
	list "primum/safetylists"
	"primum/safetylists/budget"
	"primum/safetylists/evidence"
	"primum/safetylists/frame"
	"primum/safetylists/release"
)

// Config is what a guard needs.
type Config struct {
	Policy  list.Policy
	Boot    func() time.Duration                            // CLOCK_BOOTTIME: it runs on in suspend
	Append  func(...evidence.Record) (uint64, error)        // journal, on disk when it returns
	Release func() *release.Release                         // the verified list, nil if none
	Prove   func(d list.Device, at time.Time) *list.Refusal // address proof
	Brake   *Brake                                          // outlives the guard; nil: there is none
	Answers func() bool                                     // whether an answer proves an address that nothing else can prove; nil: never
}

// Guard admits tasks one by one. It is safe for concurrent use.
type Guard struct {
	cfg   Config
	boot  func() time.Duration
	until atomic.Int64 // of the lease, on the boot clock; for who cannot wait for mu

	mu         sync.Mutex // held while a record is written
	mem        memory     // guarded by mu, as is all below
	budgets    *budget.Budgets
	busy       map[string]bool
	lease      Lease
	holds      []Hold
	holdsKnown bool
	stopped    bool
	site       string
	places     map[string]told // by device and address
}

// New returns a guard that has no lease and refuses everything.
func New(cfg Config) *Guard {
	return &Guard{cfg: cfg, boot: cfg.Boot, mem: newMemory(), budgets: budget.New(cfg.Policy), busy: map[string]bool{}, places: map[string]told{}}
}

// Replay takes one record of the journal, in order, before anything else is called. A device that was asked in an
// earlier life has its whole gap once more: how long ago that was, only a wall clock says, and it may have been set.
// For the same reason an earlier life that asked anything has spent all budgets.
func (g *Guard) Replay(r evidence.Record) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.noted(r)
	if r.Kind == evidence.Started {
		g.budgets.Spend(r.Device, r.Address, r.MAC, g.boot())
	}
}

// Note takes one record that was just written.
func (g *Guard) Note(r evidence.Record) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.noted(r)
}

// noted takes a record of this moment; the caller holds g.mu.
func (g *Guard) noted(r evidence.Record) {
	g.mem.hush(r, g.boot())
	g.mem.feel(r)
	g.mem.note(r)
}

// Open returns the started records that have no outcome: what a crash left.
func (g *Guard) Open() []evidence.Record {
	g.mu.Lock()
	defer g.mu.Unlock()
	var open []evidence.Record
	for _, s := range g.mem.Open {
		open = append(open, s.Record)
	}
	return open
}

// Seen returns the last epoch and the highest hold version of the journal.
func (g *Guard) Seen() (epoch, holdVersion uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mem.Epoch, g.mem.HoldVersion
}

// Stop refuses everything from now on.
func (g *Guard) Stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = true
}

// Ticket is the right to hold one conversation with one device. Only [Guard.Admit] makes one; the
// holder gives it back with Done.
type Ticket struct {
	g      *Guard
	task   task.Task
	limits list.Limits
	from   []netip.Prefix
	names  []string
	visit  budget.Visit
	before Vitals
	first  bool // nothing but the answer will prove the address
	once   sync.Once
}

// Task returns the task that the ticket is for.
func (t *Ticket) Task() task.Task { return t.task }

// Limits returns the pace in force: the tightest of plan and list.
func (t *Ticket) Limits() list.Limits { return t.limits }

// Bound reports whether the allowance names the addresses that the device may be asked from.
func (t *Ticket) Bound() bool { return len(t.from) > 0 }

// From reports why the device may not be asked from an address of ours; nil when it may.
func (t *Ticket) From(source netip.Addr) *list.Refusal {
	return list.Decision{Sources: t.from}.From(source)
}

// Leave reports why the next message may not be sent at this moment; nil when it may.
func (t *Ticket) Leave(at time.Time) *list.Refusal {
	if r := t.now(at); r != nil {
		return r
	}
	t.g.mu.Lock()
	defer t.g.mu.Unlock()
	return t.g.leave(t.task.Device(), false, at)
}

// Moved reports what shows that the address is another device's by now; nil when nothing does. A proof that has only
// become too old since the ticket was made is none: what has begun is brought to its end (H-044).
func (t *Ticket) Moved(at time.Time) *list.Refusal {
	if r := t.g.cfg.Prove(t.task.Device(), at); r != nil && r.Reason == list.AddressMoved {
		return r
	}
	return nil
}

// Engine returns what is known of the device's SNMPv3 engine, its clock carried on to a moment; nil when it
// has never answered. The caller may change it.
func (t *Ticket) Engine(at time.Time) *frame.Engine {
	t.g.mu.Lock()
	defer t.g.mu.Unlock()
	known, ok := t.g.mem.Engines[t.task.Device().ID]
	id, err := hex.DecodeString(known.Said.ID)
	if !ok || err != nil {
		return nil
	}
	passed := max(0, int64(at.Sub(known.At)/time.Second))
	return &frame.Engine{ID: id, Boots: known.Said.Boots, Time: uint32(min(int64(known.Said.Time)+passed, 1<<31-1))}
}

// Done frees the device for its next conversation, which the gap still keeps away.
func (t *Ticket) Done() {
	t.once.Do(func() {
		t.g.mu.Lock()
		defer t.g.mu.Unlock()
		for _, k := range t.names {
			delete(t.g.busy, k)
		}
		t.g.budgets.End(t.visit, t.g.boot())
	})
}

// CredentialRefused reports whether a device has not taken the credential of that name before. It is not
// used again: a second try may lock a device's account or raise an alarm at each (S4, H-027).
func (g *Guard) CredentialRefused(name string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mem.Refused[name]
}

// Verdict is the answer to one task: a ticket, a refusal, or a moment to try again.
type Verdict struct {
	Ticket  *Ticket
	Refusal *list.Refusal
	Again   time.Time   // set when neither a ticket nor a refusal is
	Line    budget.Line // that it waits in, when a budget is what it waits for
}

// Admit decides about a task at a moment of the wall clock, with receipt the number of the record that
// holds its receipt. When it admits, the permit is consumed on disk. The order of checks is that of
// WIRE-RULES 5.1; what is unknown refuses.
func (g *Guard) Admit(t task.Task, receipt uint64, at time.Time) Verdict {
	refuse := func(r *list.Refusal) Verdict { return Verdict{Refusal: r} }
	dev := t.Device()
	// A clock that is a little behind the controller's waits, and is never early by its own time (H-018).
	if start := t.Starts(); at.Before(start) && start.Sub(at) <= MaxSkew {
		return Verdict{Again: start}
	}
	dec, r := g.decide(t, at)
	if r != nil {
		return refuse(r)
	}
	if r := g.reachable(t.Address().Addr()); r != nil {
		return refuse(r)
	}
	names := list.Reached(dev.ID, dev.Address.String(), dev.MAC)

	g.mu.Lock()
	defer g.mu.Unlock()
	if _, used := g.mem.Used[t.ID().String()]; used {
		return refuse(list.Refuse(list.PermitUsed, ""))
	}
	if r := g.mem.distressOf(dev.ID, names); r != nil {
		return refuse(r)
	}
	if end := g.mem.restUntil(names, t.Query().String()); at.Before(end) {
		return refuse(list.Refuse(list.MinInterval, "until "+end.UTC().Format(time.DateTime)+" UTC"))
	}
	if perDay, ok := t.Budget(); ok && g.mem.askedSince(t.Caller(), at.Add(-24*time.Hour)) >= perDay {
		return refuse(list.Refuse(list.BudgetSpent, fmt.Sprintf("%d questions in 24 hours", perDay)))
	}
	if r := g.leave(dev, true, at); r != nil {
		if r.Reason == list.NoLease || r.Detail == newerHold {
			return Verdict{Again: at.Add(200 * time.Millisecond)} // the beat is on its way
		}
		return refuse(r)
	}
	if receipt > g.lease.DurableLSN {
		return Verdict{Again: at.Add(100 * time.Millisecond)} // CONTROL-PLANE I2
	}
	for _, k := range names {
		if g.busy[k] {
			return Verdict{Again: at.Add(100 * time.Millisecond)}
		}
	}
	end := g.mem.quietUntil(names)
	if left := at.Add(g.mem.hushedFor(names, g.boot())); left.After(end) {
		end = left
	}
	if at.Before(end) && !takenOut(controlGap) {
		if (end.Add(dec.Limits.Cap).After(t.Closes()) || !end.Before(t.Until())) && !takenOut(controlEnd) {
			return refuse(list.Refuse(list.OutsideWindow, "the device needs rest until "+end.UTC().Format(time.TimeOnly)))
		}
		return Verdict{Again: end}
	}
	visit := budget.Visit{Device: dev, Site: g.site, Packets: budget.Charge(t.Query(), dec.Limits)}
	if wait, line := g.budgets.Wait(visit, g.boot()); wait > 0 {
		end := at.Add(wait)
		switch {
		case wait > budget.Longest:
			return Verdict{Again: at.Add(100 * time.Millisecond), Line: line} // for others to end
		case end.Add(dec.Limits.Cap).After(t.Closes()) || !end.Before(t.Until()):
			return refuse(list.Refuse(list.PaceSpent, "the packets of its "+line.String()+" are spent until "+end.UTC().Format(time.TimeOnly)))
		}
		return Verdict{Again: end, Line: line}
	}
	first, not := g.place(t, at)
	if not != nil {
		return *not
	}
	v := g.consume(t, dec, names, visit, at)
	if v.Ticket != nil {
		v.Ticket.first = first
	}
	return v
}

// Lines are the budgets that a task is paid from.
func (g *Guard) Lines(t task.Task) []budget.Line {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.budgets.Lines(budget.Visit{Device: t.Device(), Site: g.site})
}

// consume writes the record that spends the permit. Whether it may still go on is asked once more after
// that, by wire, before the first octet (Ticket.Leave).
func (g *Guard) consume(t task.Task, dec list.Decision, names []string, visit budget.Visit, at time.Time) Verdict {
	order, ordinal := t.Order()
	dev := t.Device()
	rec := evidence.Record{At: at, Kind: evidence.Started, Order: order, Ordinal: ordinal, Permit: t.ID().String(),
		Device: dev.ID, Address: dev.Address.String(), Port: t.Address().Port(), MAC: dev.MAC, Caller: t.Caller(), Query: t.Query().String(),
		GapMS: dec.Limits.Gap.Milliseconds(), RestMS: dec.Limits.Rest.Milliseconds()}
	before := g.mem.vitals(dev.ID, t.Query().String())
	g.budgets.Start(visit, g.boot()) // also when the disk fails: the record may be there
	if _, err := g.cfg.Append(rec); err != nil {
		g.budgets.End(visit, g.boot())
		return Verdict{Refusal: list.Refuse(list.JournalFailed, err.Error())}
	}
	g.noted(rec)
	for _, k := range names {
		g.busy[k] = true
	}
	return Verdict{Ticket: &Ticket{g: g, task: t, limits: dec.Limits, from: dec.Sources, names: names, visit: visit, before: before}}
}

// decide holds the task against the agent's own copy of the list, and the permit against the clock.
func (g *Guard) decide(t task.Task, at time.Time) (list.Decision, *list.Refusal) {
	rel := g.cfg.Release()
	switch {
	case rel == nil:
		return list.Decision{}, list.Refuse(list.NoList, "")
	case rel.ExpiredAt(at):
		return list.Decision{}, list.Refuse(list.ListExpired, "it ended on "+rel.Expires.Format(time.DateOnly))
	case rel.IssuedAfter(at):
		return list.Decision{}, list.Refuse(list.ClockSkew, "the safety list was issued at "+rel.Issued.UTC().Format(time.DateTime)+" UTC, and the agent's clock is not there yet")
	case rel.Digest != t.ListDigest():
		return list.Decision{}, list.Refuse(list.ListOther, "")
	}
	if r := t.Valid(at); r != nil && !takenOut(controlEnd) {
		return list.Decision{}, r
	}
	d := rel.List.Decide(t.Device(), t.Query(), at)
	if !d.Allowed() {
		return list.Decision{}, list.Refuse(d.Reason, d.Detail())
	}
	if r := t.Within(d.Statements); r != nil {
		return list.Decision{}, r
	}
	d.Limits = t.Limits().Tightest(d.Limits)
	if !d.Limits.Valid(t.Query().Kind()) {
		return list.Decision{}, list.Refuse(list.PermitInvalid, "its pace is outside what the schema allows")
	}
	g.mu.Lock()
	g.site = rel.List.Site().Name
	g.mu.Unlock()
	return d, nil
}

// reachable holds DESIGN 6.10 and G1: lab policy reaches loopback only, real policy never; no
// broadcast, multicast, unspecified or zoned address ever.
func (g *Guard) reachable(a netip.Addr) *list.Refusal {
	outside := list.Refuse(list.AddressOutside, a.String()+" under "+string(g.cfg.Policy)+" policy")
	loopback := netip.MustParsePrefix("127.0.0.0/8").Contains(a)
	switch {
	case !a.IsValid() || a.Zone() != "" || a.IsMulticast() || a.IsUnspecified() || a.Is4In6() || a.IsLinkLocalUnicast():
		return outside
	case a.Is4() && a.As4()[3] == 255 && !loopback, a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return outside
	case g.cfg.Policy == list.Lab && !loopback, g.cfg.Policy == list.Real && a.IsLoopback():
		return outside
	case g.cfg.Policy != list.Lab && g.cfg.Policy != list.Real:
		return outside
	}
	return nil
}
