package dispatch

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"primum/safetylists/budget"
	"primum/safetylists/permit"
)

// pace counts what all agents of the site have under way and have had, before more permits go out (DESIGN 4.3, H-041). Each agent
// counts for itself once more; none knows of the others. A permit counts from before it is dispatched until its end is known, or
// until no agent may use it any more.
//
// The zero value is ready for use, and safe for concurrent use.
type pace struct {
	mu      sync.Mutex
	began   time.Time // of a clock that nobody sets
	budgets *budget.Budgets
	out     map[string]*paid // by permit
	settled bool             // what an earlier life has sent is known
	askers  map[string]asker // by name of the physical device
	lines   []inLine         // of all budgets, in one order: who came first waits for nobody's place, so that no two wait for each other
}

// paid is a question that the budgets have paid.
type paid struct {
	item   int
	permit string
	visit  budget.Visit
	gap    time.Duration
	sent   bool // its dispatch is committed
}

// inLine is the question of a run that waits for a budget, and when it was seen there last. A run has one in the line of each budget, so
// that runs take turns: a dear question of one is not overtaken for ever by the cheap ones of another.
type inLine struct {
	line budget.Line
	run  string
	item int
	seen time.Duration
}

// ended is how long ago a question was sent at most whose gap may not be over: its permit, its conversation and its gap.
const ended = 15 * time.Minute

// outlived is when a permit cannot be used any more: its ten minutes, and the clocks' difference.
const outlived = 11 * time.Minute

// standing is how long a place in a line is kept for who does not come back to it.
const standing = 5 * time.Second

// sort puts a run's questions in the order in which they are looked at: what the budgets can pay before what they cannot, and both by
// turns over the subnets, so that none sees a burst while another has nothing to do.
func (p *pace) sort(ctx context.Context, ses *session, l *loaded, items []int) ([]int, error) {
	r, _, no := ses.Safety.Current(ses.Now())
	if no != nil {
		return nil, nil // the next look refuses the run
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.budgets == nil {
		p.began, p.budgets, p.out, p.askers, p.lines = time.Now(), budget.New(r.List.Site().Policy), map[string]*paid{}, nil, nil
		p.budgets.Spend("", "", "", 0) // by an earlier life
	}
	if err := p.settle(ctx, ses); err != nil {
		return nil, err
	}
	now := time.Since(p.began)
	var can, cannot []int
	for _, item := range spread(l.plan, items) {
		v := visitOf(l.plan, item, ses.agent)
		if wait, _ := p.budgets.Wait(v, now); wait == 0 && !p.elsewhere(v, now) {
			can = append(can, item)
		} else {
			cannot = append(cannot, item)
		}
	}
	return append(can, cannot...), nil
}

// take pays for as many of a run's questions, in their order, as the budgets and the room of the agent let go. Of the others it
// says why they wait, once.
func (p *pace) take(ses *session, run string, l *loaded, items []int, room int) (taken []paid, why map[string][]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Since(p.began)
	why = map[string][]int{}
	for _, item := range items {
		if len(taken) == room {
			break
		}
		v := visitOf(l.plan, item, ses.agent)
		if p.elsewhere(v, now) {
			if words := "it waits, for another agent asks the device, or has just asked it"; l.said[waiting(item)] != words {
				l.said[waiting(item)] = words
				why[words] = append(why[words], item)
			}
			continue
		}
		wait, line := p.budgets.Wait(v, now)
		if p.turn(v, line, run, item, now) && wait == 0 {
			p.lines = slices.DeleteFunc(p.lines, func(x inLine) bool { return x.run == run && x.item == item })
			x := paid{item: item, visit: v, gap: l.plan.Items[item].Limits.Gap}
			p.start(x, now)
			taken = append(taken, x)
			continue
		}
		if words := "it waits, for the packets of its " + line.String() + " are spent"; wait > time.Second && l.said[waiting(item)] != words {
			l.said[waiting(item)] = words
			why[words] = append(why[words], item)
		}
	}
	return taken, why
}

func waiting(item int) string { return "item " + strconv.Itoa(item) }

// turn reports whether a question may pay before all that came before it. It joins the line that it cannot pay in, or in which another
// stands before it.
func (p *pace) turn(v budget.Visit, spent budget.Line, run string, item int, now time.Duration) bool {
	p.lines = slices.DeleteFunc(p.lines, func(x inLine) bool { return now-x.seen > standing })
	its := p.budgets.Lines(v)
	first, joins := true, spent
	for i, x := range p.lines {
		if x.run == run && x.item == item {
			p.lines[i].seen = now
			if spent != (budget.Line{}) {
				p.lines[i].line = spent
			}
			joins = budget.Line{}
			break
		}
		if slices.Contains(its, x.line) {
			first = false
			if joins == (budget.Line{}) {
				joins = x.line
			}
		}
	}
	stands := func(x inLine) bool { return x.line == joins && x.run == run }
	if joins != (budget.Line{}) && !slices.ContainsFunc(p.lines, stands) {
		p.lines = append(p.lines, inLine{joins, run, item, now})
	}
	return first
}

// settle gives back what has ended, and takes up what an earlier life of the controller has sent.
func (p *pace) settle(ctx context.Context, ses *session) error {
	out, err := ses.Store.Outstanding(ctx, ses.Now().Add(-outlived))
	if err != nil {
		return err
	}
	now := time.Since(p.began)
	still := make(map[string]bool, len(out))
	for _, o := range out {
		still[o.Permit] = true
	}
	if !p.settled { // what has ended has its whole gap once more: how long ago that was, only a wall clock says
		if out, err = ses.Store.SentSince(ctx, ses.Now().Add(-ended)); err != nil {
			return err
		}
	}
	for _, o := range out {
		if p.out[o.Permit] != nil {
			continue
		}
		l, err := ses.load(ctx, o.Plan)
		if err != nil {
			return err
		}
		if o.Item < 0 || o.Item >= len(l.plan.Items) {
			continue
		}
		x := &paid{item: o.Item, permit: o.Permit, visit: visitOf(l.plan, o.Item, o.Agent), gap: l.plan.Items[o.Item].Limits.Gap, sent: true}
		p.start(*x, now)
		p.out[o.Permit] = x
	}
	for permit, x := range p.out {
		if x.sent && !still[permit] {
			p.end(*x, now)
			delete(p.out, permit)
		}
	}
	p.settled = true
	maps.DeleteFunc(p.askers, func(_ string, a asker) bool { return a.out == 0 && now >= a.until })
	return nil
}

// name notes the permits of what was taken, before they are dispatched.
func (p *pace) name(taken []paid) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range taken {
		p.out[x.permit] = &x
	}
}

// gone says that a dispatch is committed.
func (p *pace) gone(taken []paid) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range taken {
		p.out[x.permit].sent = true
	}
}

// back gives back what was taken and did not go out.
func (p *pace) back(taken []paid) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Since(p.began)
	for _, x := range taken {
		p.end(x, now)
		delete(p.out, x.permit)
	}
}

func visitOf(p permit.Plan, item int, agent string) budget.Visit {
	it := p.Items[item]
	return budget.Visit{Device: it.Device, Agent: agent, Site: p.Site, Packets: budget.Charge(it.Query, it.Limits)}
}

func itemsOf(taken []paid) (items []int) {
	for _, x := range taken {
		items = append(items, x.item)
	}
	return items
}

// spread takes turns over the subnets of a plan's items; within one their order stays.
func spread(p permit.Plan, items []int) []int {
	var order []netip.Prefix
	bySubnet := map[netip.Prefix][]int{}
	for _, item := range items {
		s := budget.SubnetOf(p.Items[item].Device.Address)
		if bySubnet[s] == nil {
			order = append(order, s)
		}
		bySubnet[s] = append(bySubnet[s], item)
	}
	out := make([]int, 0, len(items))
	for turn := 0; len(out) < len(items); turn++ {
		for _, s := range order {
			if turn < len(bySubnet[s]) {
				out = append(out, bySubnet[s][turn])
			}
		}
	}
	return out
}
