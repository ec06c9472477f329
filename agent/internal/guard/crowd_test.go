package guard_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"primum/agent/internal/guard"
	"primum/agent/internal/papertest"
	"primum/agent/internal/task"
	list "primum/safetylists"
	"primum/safetylists/budget"
	"primum/safetylists/evidence"
	"primum/safetylists/permit"
	"primum/safetylists/release"
)

const (
	crowdSubnets = 50
	crowdModels  = 8
)

// crowd is a site of one agent under real policy, and the time that really passes.
type crowd struct {
	t      *testing.T
	papers *papertest.Papers
	rnd    *rand.Rand
	guard  *guard.Guard
	disk   []evidence.Record

	now, boot, wallOff time.Duration
	running            []*visit
	asked              map[uint32]bool
	gone               map[uint32]bool                 // devices that a question went out to
	wire               map[string]map[string][]arrival // scale and name to what arrived
	seen               map[string]int
}

// visit is one conversation: when its packet goes out, and when it ends, in true time.
type visit struct {
	item        uint32
	ticket      *guard.Ticket
	speaks, end time.Duration
	spoken      bool
}

type arrival = time.Duration

// H-041, G8: a plan over thousands of devices, calls for the same devices, the same permit offered again and again, clocks that are set, and lives
// that end in between, under the rates of a real site. The devices count for themselves, in true time: no window of 100 ms, 1 s, 60 s or an hour
// holds more than its budget lets pass, at any device, model, subnet or at all of them. PRIMUM_CROWD says how many; "make judge" has 10,000.
func TestNoWindowOfManyDevicesIsBroken(t *testing.T) {
	size := 2000
	if s := os.Getenv("PRIMUM_CROWD"); s != "" {
		var err error
		if size, err = strconv.Atoi(s); err != nil || size < 1000 || size > 10_000 {
			t.Fatalf("PRIMUM_CROWD is %q; it is from 1000 to 10000", s)
		}
	}
	c := newCrowd(t, size)
	queue := c.rnd.Perm(size)
	slices.SortStableFunc(queue, func(a, b int) int { return min(a%crowdSubnets, 5) - min(b%crowdSubnets, 5) }) // five subnets one after the other, then all others
	var waiting []*offer
	for c.now < time.Duration(size)*240*time.Millisecond {
		for len(waiting) < 100 && len(queue) > 0 {
			waiting = append(waiting, c.offers(uint32(queue[0]))...)
			queue = queue[1:]
		}
		waiting = c.look(waiting)
		c.goOn()
		c.disturb()
		c.pass(50 * time.Millisecond)
	}
	t.Logf("%d devices asked: %v", len(c.gone), c.seen)
	for _, k := range []string{"sent", "crash", "clock", "again", string(list.PermitUsed), string(list.MinInterval)} {
		if c.seen[k] == 0 {
			t.Errorf("there was no %q: it shows nothing of that", k)
		}
	}
	if len(c.gone) < size*9/10 {
		t.Errorf("%d devices were asked", len(c.gone))
	}
	c.judge()
}

func newCrowd(t *testing.T, size int) *crowd {
	extra := `- id: test-crowd
  type: allow
  purpose: identify
  product: {manufacturers: [Testmaker], models: [M0, M1, M2, M3, M4, M5, M6, M7], versions: {compare: listed, is: ["1.0"]}}
  question: {kind: snmp.get, port: "10170", oids: [1.3.6.1.2.1.1.5.0]}
  expires: ` + time.Now().AddDate(1, 0, 0).Format(time.DateOnly) + `
  evidence: [{kind: laboratory, title: made for a test, publisher: test, date: 2026-11-24, says: nothing, seen: full, provenance: made for a test}]
`
	p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:10170"), Closes: 48 * time.Hour, Expires: 72 * time.Hour, Extra: extra})
	query, err := list.ParseQuery(list.QuerySpec{Kind: list.SNMPGet, Port: 10170, OIDs: []string{"1.3.6.1.2.1.1.5.0"}})
	if err != nil {
		t.Fatal(err)
	}
	base := p.Plan.Items[0]
	p.Plan.Items = nil
	for i := range size {
		it := base
		it.Query, it.Statements = query, []string{"test-crowd"}
		it.Device.Claims = slices.Clone(base.Device.Claims)
		for k := range it.Device.Claims {
			it.Device.Claims[k].Model = fmt.Sprint("M", i/3%crowdModels)
		}
		it.Device.ID, it.Device.MAC = fmt.Sprintf("30-%d", i), fmt.Sprintf("02:00:00:00:%02x:%02x", i/256, i%256)
		it.Device.Address = netip.AddrFrom4([4]byte{10, 1, byte(i % crowdSubnets), byte(1 + i/crowdSubnets)})
		p.Plan.Items = append(p.Plan.Items, it)
	}
	p.Approve(t)
	c := &crowd{t: t, papers: p, rnd: rand.New(rand.NewPCG(41, 0)), boot: time.Hour, asked: map[uint32]bool{}, gone: map[uint32]bool{}, seen: map[string]int{},
		wire: map[string]map[string][]arrival{}}
	c.start()
	return c
}

func (c *crowd) wall() time.Time { return c.papers.Now.Add(c.now + c.wallOff) }

func (c *crowd) start() {
	c.guard = guard.New(guard.Config{Policy: list.Real, Boot: func() time.Duration { return c.boot },
		Append: func(r ...evidence.Record) (uint64, error) {
			c.disk = append(c.disk, r...)
			return uint64(len(c.disk)), nil
		},
		Release: func() *release.Release { return c.papers.Release }, Prove: func(list.Device, time.Time) *list.Refusal { return nil }})
	for _, r := range c.disk {
		c.guard.Replay(r)
	}
	for _, r := range c.guard.Open() {
		c.record(evidence.Record{At: c.wall(), Kind: evidence.Outcome, Permit: r.Permit, Device: r.Device, Result: &evidence.Result{State: evidence.Unknown}})
	}
}

func (c *crowd) record(r evidence.Record) {
	c.disk = append(c.disk, r)
	c.guard.Note(r)
}

func (c *crowd) pass(d time.Duration) { c.now, c.boot = c.now+d, c.boot+d }

// offer is a permit in the hands of the agent.
type offer struct {
	item  uint32
	task  task.Task
	again time.Time
	line  budget.Line   // that it waits in
	lines []budget.Line // that it is paid from
}

// offers are those for one device: of the plan, of a tool that calls for it, and of callers that ask again.
func (c *crowd) offers(item uint32) (out []*offer) {
	for range 1 + c.rnd.IntN(2) {
		d := c.papers.Plan.Items[item]
		raw := c.papers.Permit(c.t, func(p *permit.Permit) {
			p.Item, p.Device, p.Address = item, d.Device.ID, netip.AddrPortFrom(d.Device.Address, d.Query.Port())
			now := c.papers.Now.Add(c.now).Truncate(time.Millisecond) // the controller's clock is right
			p.From, p.Until = now.Add(-time.Minute), now.Add(9*time.Minute)
		})
		tk, no := task.Verify(raw, task.Self{Name: papertest.Agent, Epoch: 1, PermitKey: c.papers.PermitKey}, func(permit.Digest) (task.Approved, bool) {
			return task.Approved{Plan: c.papers.Plan, Digest: c.papers.Digest}, true
		})
		if no != nil {
			c.t.Fatal(no)
		}
		lines := c.guard.Lines(tk)
		for range 1 + c.rnd.IntN(2) {
			out = append(out, &offer{item: item, task: tk, lines: lines})
		}
	}
	return out
}

// look goes through what waits, as the agent does.
func (c *crowd) look(waiting []*offer) (keep []*offer) {
	lines := map[budget.Line]bool{}
	c.guard.SetHolds(1, nil)
	c.guard.SetLease(guard.Lease{Wall: c.wall(), Boot: c.boot, Until: c.boot + 15*time.Second, HoldVersion: 1, DurableLSN: 1 << 60, Skew: -c.wallOff})
	for _, o := range waiting {
		overtakes := slices.ContainsFunc(o.lines, func(l budget.Line) bool { return lines[l] })
		if overtakes || c.wall().Before(o.again) && o.again.Sub(c.wall()) < time.Minute {
			lines[o.line] = true
			keep = append(keep, o)
			continue
		}
		v := c.guard.Admit(o.task, 0, c.wall())
		switch {
		case v.Ticket != nil:
			late := c.now + time.Duration(c.rnd.Int64N(int64(4*time.Second)))
			c.running = append(c.running, &visit{item: o.item, ticket: v.Ticket, speaks: late, end: late + time.Duration(c.rnd.Int64N(int64(time.Second)))})
		case v.Refusal != nil:
			c.seen[string(v.Refusal.Reason)]++
		default:
			c.seen["again"]++
			o.again, o.line = v.Again, v.Line
			lines[v.Line] = true
			keep = append(keep, o)
		}
	}
	return keep
}

// goOn lets conversations speak and end.
func (c *crowd) goOn() {
	var keep []*visit
	for _, k := range c.running {
		id := k.ticket.Task().ID().String()
		if !k.spoken && c.now >= k.speaks && k.ticket.Leave(c.wall()) == nil {
			k.spoken = true
			c.seen["sent"]++
			c.gone[k.item] = true
			c.arrive(k.item)
			c.record(evidence.Record{At: c.wall(), Kind: evidence.Sent, Permit: id, Device: k.ticket.Task().Device().ID})
		}
		if c.now < k.end {
			keep = append(keep, k)
			continue
		}
		c.record(evidence.Record{At: c.wall(), Kind: evidence.Outcome, Permit: id, Device: k.ticket.Task().Device().ID, Result: &evidence.Result{State: evidence.Answered}})
		k.ticket.Done()
	}
	c.running = keep
}

// disturb sets the clock, or ends the agent's life.
func (c *crowd) disturb() {
	switch c.rnd.IntN(3000) {
	case 0:
		c.seen["clock"]++
		c.wallOff = time.Duration(c.rnd.IntN(40_000)-20_000) * time.Millisecond
	case 1:
		c.seen["clock"]++
		c.wallOff = 0
	case 2:
		c.seen["crash"]++
		c.running = nil
		if c.rnd.IntN(2) == 0 {
			c.boot = time.Duration(c.rnd.IntN(100)) * time.Second
		}
		c.start()
	}
}

// arrive is the device: it writes down when something came.
func (c *crowd) arrive(item uint32) {
	d := c.papers.Plan.Items[item].Device
	subnet := budget.SubnetOf(d.Address).String()
	for scale, name := range map[string]string{"device": d.ID, "model": d.Claims[0].Model, "subnet": subnet, "agent": "", "site": ""} {
		if c.wire[scale] == nil {
			c.wire[scale] = map[string][]arrival{}
		}
		c.wire[scale][name] = append(c.wire[scale][name], c.now)
	}
}

func (c *crowd) judge() {
	scales := map[string]budget.Scale{"device": budget.Device, "model": budget.Model, "subnet": budget.Subnet, "agent": budget.Agent, "site": budget.Site}
	for scale, names := range c.wire {
		for _, w := range []time.Duration{100 * time.Millisecond, time.Second, time.Minute, time.Hour} {
			most, fullest := budget.Of(scales[scale], list.Real).Most(w), 0
			if scale == "device" {
				most = 1 // rest: one question a day
			}
			for name, at := range names {
				first := 0
				for last := range at {
					for at[last]-at[first] > w {
						first++
					}
					if n := last - first + 1; n > most {
						c.t.Fatalf("%s %s: %d packets in %s, and %d may come", scale, name, n, w, most)
					}
					fullest = max(fullest, last-first+1)
				}
			}
			c.t.Logf("%s: at most %d packets in %s; %d may come", scale, fullest, w, most)
		}
	}
}
