package budget

import (
	"net/netip"
	"slices"
	"time"

	list "primum/safetylists"
)

// Budgets are those that stand over every conversation. They are not safe for concurrent use.
type Budgets struct{ of [scales]*gcra }

// New returns full budgets. A policy that is not lab has those of a real site.
func New(p list.Policy) *Budgets {
	b := &Budgets{}
	for s := range scales {
		b.of[s] = newGCRA(Of(s, p))
	}
	return b
}

// Visit is a conversation that is to be paid for.
type Visit struct {
	Device  list.Device
	Agent   string
	Site    string
	Packets int // as Charge says
}

// Line is one budget of one name. Who waits for it stands in its line, so that a cheap question does not overtake a dear one for ever.
// The zero Line is no budget's.
type Line struct {
	scale Scale
	key   uint64
	set   bool
}

func (l Line) String() string { return l.scale.String() }

// Lines returns the budgets of a visit, each once, from the narrowest on.
func (b *Budgets) Lines(v Visit) []Line {
	lines := make([]Line, 0, 8)
	add := func(s Scale, name string) {
		if l := (Line{s, b.of[s].key(name), true}); !slices.Contains(lines, l) {
			lines = append(lines, l)
		}
	}
	for _, name := range list.Reached(v.Device.ID, v.Device.Address.String(), v.Device.MAC) {
		add(Device, name)
	}
	for _, c := range v.Device.Claims {
		add(Model, list.Plain(c.Manufacturer)+"/"+list.Plain(c.Model))
	}
	add(Subnet, SubnetOf(v.Device.Address).String())
	add(Agent, v.Agent)
	add(Site, list.Plain(v.Site))
	return lines
}

// Longest is more than any wait for time alone. A visit that waits for others to end is told more than that.
const Longest = 12 * time.Hour

// Wait is how long until all budgets can pay for a visit, and the one that can last. It charges nothing.
func (b *Budgets) Wait(v Visit, boot time.Duration) (longest time.Duration, last Line) {
	for _, l := range b.Lines(v) {
		if w := b.of[l.scale].wait(l.key, v.Packets, boot); w > longest {
			longest, last = w, l
		}
	}
	return longest, last
}

// Start charges all of them together.
func (b *Budgets) Start(v Visit, boot time.Duration) {
	for _, l := range b.Lines(v) {
		b.of[l.scale].start(l.key, v.Packets, boot)
	}
}

// End says that a visit that was started has ended: nothing more of it goes out.
func (b *Budgets) End(v Visit, boot time.Duration) {
	for _, l := range b.Lines(v) {
		b.of[l.scale].end(l.key, v.Packets, boot)
	}
}

// Spend takes all that there is of the wider budgets, and of the device that was asked. It is what an earlier life leaves: how long ago
// its questions were, only a wall clock says, and it may have been set (H-018).
func (b *Budgets) Spend(tag, address, mac string, boot time.Duration) {
	b.SpendNames(list.Reached(tag, address, mac), boot)
}

// SpendNames is Spend of devices by the names that list.Reached gave them.
func (b *Budgets) SpendNames(names []string, boot time.Duration) {
	for _, name := range names {
		b.of[Device].fill(b.of[Device].key(name), boot)
	}
	for s := Model; s < scales; s++ {
		b.of[s].spend(boot)
	}
}

// Takes is for how long the budgets keep the last of so many visits waiting when nothing else is asked and each ends at once.
func Takes(visits []Visit, p list.Policy) (longest time.Duration) {
	b := New(p)
	packets := map[Line]int{}
	for _, v := range visits {
		for _, l := range b.Lines(v) {
			packets[l] += v.Packets
		}
	}
	for l, n := range packets {
		r := Of(l.scale, p)
		longest = max(longest, time.Duration(max(0, n-r.Burst))*r.step())
	}
	return longest
}

// SubnetOf is the network that a device shares its switch with: /24, or /64.
func SubnetOf(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: one budget for all of them
	}
	return p
}
