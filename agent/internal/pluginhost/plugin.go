package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"primum/plugins/sandbox"
	probev1 "primum/proto/probe/v1"
)

// plugin is one binary with its processes. What changes is guarded by Host.mu.
type plugin struct {
	host   *Host
	binary Binary
	wake   chan struct{}

	name, version string // as it described itself at its first start
	kinds         []string
	declared      []declaration

	entry  entry
	out    bool // it may not run
	idle   []*Seat
	seats  []*Seat // all that run, idle or not
	wanted bool    // a conversation waits for one more
	next   time.Time
}

// Seat is one process, reserved for one conversation. Give it back by Release or by Run.
type Seat struct {
	plugin  *plugin
	process process
	since   time.Time // it became idle; guarded by Host.mu
	fault   *Fault    // why its keeper ended it in the middle of a conversation; guarded by Host.mu

	cpu    time.Duration // of the processor, when it was looked at; these are its keeper's
	looked time.Time
}

// Plugin is its name and version.
func (s *Seat) Plugin() string { return s.plugin.name + " " + s.plugin.version }

const (
	lookEvery = time.Second
	idleTime  = time.Minute
	firstWait = time.Second
	mostWait  = time.Minute

	maxMemory  = 128 << 20
	maxThreads = 48               // the kernel stops it at 32 where it can
	cpuTime    = 10 * time.Second // over which a plugin may have half of one processor
)

func (p *plugin) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// begin makes the first process, unless the plugin is put aside. It fails if the plugin may not run.
func (p *plugin) begin(ctx context.Context) error {
	p.clear()
	if p.aside() {
		p.host.cfg.Log.Error("plugin is put aside; primum-agent plugin clear lifts it", "plugin", p.binary.Name, "why", p.entry.Barred)
		return nil
	}
	if err := p.start(ctx); err != nil {
		return fmt.Errorf("start plugin %s: %w", p.binary.Name, err)
	}
	return nil
}

// leaveOut keeps the plugin from starting until the agent starts again.
func (p *plugin) leaveOut() {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	p.out = true
}

func (p *plugin) aside() bool {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	return p.entry.Barred != ""
}

// keep looks after the processes until the host is closed, and ends them all then.
func (p *plugin) keep() {
	ctx := p.host.own
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	defer p.endAll()
	for ctx.Err() == nil {
		p.clear()
		p.look()
		if p.due() {
			_ = p.start(ctx) // logged
			continue
		}
		select {
		case <-ctx.Done():
		case <-p.wake:
		case <-ticker.C:
		}
	}
}

// due says whether one more process is to be started now: there is always one, and more as conversations ask.
func (p *plugin) due() bool {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	if p.entry.Barred != "" || p.out || time.Now().Before(p.next) || len(p.seats) >= p.host.cfg.Most {
		return false
	}
	return len(p.idle) == 0 && (p.wanted || len(p.seats) == 0)
}

// start starts one process and lets it describe itself. It fails if the plugin may not run; one that runs and
// fails has a fault.
func (p *plugin) start(ctx context.Context) error {
	proc, err := p.host.cfg.start(ctx, p.binary)
	if err != nil {
		return p.notStarted(ctx, err)
	}
	d, err := proc.Describe(ctx)
	if err != nil {
		return p.notStarted(ctx, errors.Join(err, proc.Close()))
	}
	h := p.host
	now := time.Now()
	s := &Seat{plugin: p, process: proc, since: now, looked: now}
	if err := p.take(d); err != nil {
		return p.notStarted(ctx, errors.Join(err, proc.Close()))
	}
	h.mu.Lock()
	p.wanted = false
	p.idle, p.seats = append(p.idle, s), append(p.seats, s)
	h.mu.Unlock()
	h.owned.Go(func() { // ends with the process, which ends with its keeper
		<-proc.Done()
		p.poke()
	})
	return nil
}

// errNotAdmitted says that a plugin is not what it was admitted as.
var errNotAdmitted = errors.New("the plugin is not admitted")

// take takes what the plugin says of itself, the first time.
func (p *plugin) take(d *probev1.Description) error {
	name, version := text(d.GetName(), maxText), text(d.GetVersion(), maxText)
	var kinds []string
	for _, k := range d.GetKinds() {
		kinds = append(kinds, text(k, maxText))
	}
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	if p.name != "" {
		return nil
	}
	if err := p.host.admits(p.binary, name, version, kinds); err != nil {
		return fmt.Errorf("%w: %w", errNotAdmitted, err)
	}
	all, err := declarations(d)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotAdmitted, err)
	}
	p.name, p.version, p.kinds, p.declared = name, version, kinds, all
	return nil
}

// notStarted tells a plugin that may not run, or an agent that lacks something, from a plugin that failed.
func (p *plugin) notStarted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil // the agent ends
	}
	if errors.Is(err, sandbox.ErrNotRun) || errors.Is(err, errNotAdmitted) {
		p.host.cfg.Log.Error("plugin may not run", "plugin", p.binary.Name, "error", err)
		p.host.mu.Lock()
		defer p.host.mu.Unlock()
		p.next = time.Now().Add(mostWait)
		return err
	}
	f := &Fault{NotReady, clip(err.Error())}
	if errors.Is(err, sandbox.ErrFlood) {
		f.Kind = Flooded
	}
	p.fault(f)
	return nil
}

// look finds processes that have ended or take too much, and ends those that nobody needs.
func (p *plugin) look() {
	for _, s := range p.idlers(func(int, *Seat) bool { return true }) {
		select {
		case <-s.process.Done():
			if p.claim(s) {
				p.end(s, ended(s.process.Err()))
			}
		default:
		}
	}
	unneeded := p.idlers(func(i int, s *Seat) bool { return p.entry.Barred != "" || i > 0 && time.Since(s.since) > idleTime })
	for _, s := range unneeded {
		if p.claim(s) {
			p.end(s, nil)
		}
	}
	p.host.mu.Lock()
	all := slices.Clone(p.seats)
	p.host.mu.Unlock()
	for _, s := range all {
		f := s.greedy()
		switch {
		case f == nil:
		case p.claim(s):
			p.end(s, f)
		default: // the conversation that it is in counts the fault
			p.host.mu.Lock()
			s.fault = f
			p.host.mu.Unlock()
			_ = s.process.Close() // reported by the conversation
		}
	}
}

// idlers are the idle processes that a condition holds for; it is asked with Host.mu held.
func (p *plugin) idlers(which func(int, *Seat) bool) []*Seat {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	var out []*Seat
	for i, s := range p.idle {
		if which(i, s) {
			out = append(out, s)
		}
	}
	return out
}

// greedy looks at what a process has of the machine.
func (s *Seat) greedy() *Fault {
	u, err := s.process.Usage()
	if err != nil {
		return nil // it is gone: its end is seen elsewhere
	}
	if u.Memory > maxMemory {
		return &Fault{Greedy, fmt.Sprintf("%d MiB of memory", u.Memory>>20)}
	}
	if u.Threads > maxThreads {
		return &Fault{Greedy, fmt.Sprintf("%d threads", u.Threads)}
	}
	if since := time.Since(s.looked); since >= cpuTime {
		used := u.CPU - s.cpu
		s.cpu, s.looked = u.CPU, time.Now()
		if used > since/2 {
			return &Fault{Greedy, fmt.Sprintf("%s of the processor within %s", used, since.Round(time.Second))}
		}
	}
	return nil
}

// claim removes a process from the idle ones; false if it is not one of them any more.
func (p *plugin) claim(s *Seat) bool {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	i := slices.Index(p.idle, s)
	if i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	return i >= 0
}

// end ends a process that is not idle any more, for a fault or for none.
func (p *plugin) end(s *Seat, f *Fault) {
	if err := s.process.Close(); err != nil {
		p.host.cfg.Log.Warn("plugin did not end cleanly", "plugin", p.binary.Name, "error", err)
	}
	p.host.mu.Lock()
	if i := slices.Index(p.seats, s); i >= 0 {
		p.seats = slices.Delete(p.seats, i, i+1)
	}
	p.host.mu.Unlock()
	if f != nil {
		p.fault(f)
	}
	p.poke()
}

func (p *plugin) endAll() {
	p.host.mu.Lock()
	all := slices.Clone(p.seats)
	p.idle = nil
	p.host.mu.Unlock()
	for _, s := range all {
		p.end(s, nil)
	}
}

// fault counts a fault, and puts the plugin aside when it is one too many (B2). What cannot be kept on disk
// puts it aside too.
func (p *plugin) fault(f *Fault) {
	h := p.host
	if h.own.Err() != nil {
		return // the agent ends its plugins
	}
	now := time.Now()
	h.mu.Lock()
	var bars bool
	p.entry, bars = p.entry.add(p.label(), f, now)
	if err := h.ledger.keep(p.binary.SHA256, p.entry); err != nil && p.entry.Barred == "" {
		bars, p.entry.Barred, p.entry.Since = true, err.Error(), now.UTC()
	}
	p.next = now.Add(min(firstWait<<(len(p.entry.Faults)-1), mostWait))
	why := p.entry.Barred
	all := slices.Clone(p.seats)
	h.mu.Unlock()
	h.cfg.Log.Warn("plugin failed", "plugin", p.binary.Name, "fault", f.Kind, "detail", f.Detail)
	p.note(now, Faulted, fmt.Sprintf("%s: %s", f.Kind, f.Detail))
	if !bars {
		return
	}
	h.cfg.Log.Error("plugin is put aside; primum-agent plugin clear lifts it", "plugin", p.binary.Name, "why", why)
	p.note(now, Aside, why)
	if f.Kind == Breached {
		for _, s := range all { // not even what is under way goes on through it
			_ = s.process.Close()
		}
	}
	p.poke()
}

// label is what people know the plugin by; the caller holds Host.mu.
func (p *plugin) label() string {
	if p.name == "" {
		return p.binary.Name
	}
	return p.name + " " + p.version
}

func (p *plugin) note(at time.Time, what, words string) {
	p.host.mu.Lock()
	label := p.label()
	p.host.mu.Unlock()
	if err := p.host.cfg.Note(Incident{At: at, What: what, Plugin: label, SHA256: p.binary.SHA256, Words: words}); err != nil {
		p.host.cfg.Log.Error("write what happened to a plugin into the journal", "plugin", p.binary.Name, "error", err)
	}
}

// clear takes a person's clearance up.
func (p *plugin) clear() {
	c, err := p.host.ledger.taken(p.binary.SHA256)
	if err != nil {
		p.host.cfg.Log.Error("take up clearance", "plugin", p.binary.Name, "error", err)
		return
	}
	if c == nil {
		return
	}
	p.host.mu.Lock()
	p.entry, p.next = entry{}, time.Time{}
	p.host.mu.Unlock()
	p.note(time.Now(), Cleared, fmt.Sprintf("by %s: %s", c.By, c.Reason))
}
