package dispatch

import (
	"time"

	list "primum/safetylists"
	"primum/safetylists/budget"
)

// asker is the agent that asks a physical device, or was the last to. An agent keeps the gap of its own questions, and knows of no other's:
// a second one waits until the first has ended, and for its gap (DESIGN 4.3, H-020).
type asker struct {
	agent string // empty: more than one, as an earlier life has sent them, or one that has forgotten it
	out   int
	until time.Duration // of the gap after what has ended
}

func reached(v budget.Visit) []string {
	return list.Reached(v.Device.ID, v.Device.Address.String(), v.Device.MAC)
}

// elsewhere reports whether the device of a visit is another agent's for now. The caller holds p.mu, here and below.
func (p *pace) elsewhere(v budget.Visit, now time.Duration) bool {
	for _, name := range reached(v) {
		if a, ok := p.askers[name]; ok && a.agent != v.Agent && (a.out > 0 || now < a.until) {
			return true
		}
	}
	return false
}

func (p *pace) start(x paid, now time.Duration) {
	p.budgets.Start(x.visit, now)
	if p.askers == nil {
		p.askers = map[string]asker{}
	}
	for _, name := range reached(x.visit) {
		a := p.askers[name]
		if a.out > 0 && a.agent != x.visit.Agent {
			a.agent = ""
		} else {
			a.agent = x.visit.Agent
		}
		a.out++
		p.askers[name] = a
	}
}

func (p *pace) end(x paid, now time.Duration) {
	p.budgets.End(x.visit, now)
	for _, name := range reached(x.visit) {
		a := p.askers[name]
		a.out, a.until = max(0, a.out-1), max(a.until, now+x.gap)
		p.askers[name] = a
	}
}

// forgets takes note that an agent has come with another journal: as after its disk was lost, it may know no gap of what it was given before.
// Those devices are nobody's until their gap is over.
func (p *pace) forgets(agent string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, a := range p.askers {
		if a.agent == agent {
			a.agent = ""
			p.askers[name] = a
		}
	}
}
