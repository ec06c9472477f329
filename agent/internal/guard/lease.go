package guard

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	list "primum/safetylists"
)

// Lease is the controller's leave to go on. It counts on the clock that runs on in suspend, from the
// moment the agent sent the beat that it answers (DESIGN 6.8).
type Lease struct {
	Until       time.Duration // boot clock
	HoldVersion uint64
	DurableLSN  uint64
	Skew        time.Duration // controller's wall clock less ours
	Wall        time.Time     // our clocks when the skew was measured: that on the wall
	Boot        time.Duration // and that which nobody sets
}

// set is by how much the wall clock was set ahead since the lease was taken (CONTROL-PLANE 4.4). A lease that
// does not tell was taken on another clock.
func (l Lease) set(wall time.Time, boot time.Duration) time.Duration {
	return wall.Round(0).Sub(l.Wall.Round(0)) - (boot - l.Boot)
}

// maxSet is by how much the wall clock may be set before a new question waits for the next beat, which
// measures it anew.
const maxSet = 2 * time.Second

// MaxSkew is the largest difference of clocks under which anything is asked (H-018).
const MaxSkew = 30 * time.Second

// HoldKind says what a hold stops.
type HoldKind string

// The kinds of hold.
const (
	HoldDevice HoldKind = "device"
	HoldModel  HoldKind = "model" // value is "maker/model"
	HoldSite   HoldKind = "site"
	HoldAll    HoldKind = "all"
)

// Hold is one hold in force.
type Hold struct {
	Name   string
	Kind   HoldKind
	Value  string
	Reason string
}

// stops reports whether the hold stops the device at the site. A kind that is not known stops
// everything: a newer controller means something by it. Names are compared as the controller does
// (package hold): one that covers a device there and not here would stop nothing that is under way.
func (h Hold) stops(d list.Device, site string) bool {
	switch h.Kind {
	case HoldDevice:
		return h.Value == d.ID
	case HoldModel:
		for _, c := range d.Claims {
			if list.SameName(h.Value, c.Manufacturer+"/"+c.Model) {
				return true
			}
		}
		return false
	case HoldSite:
		return list.SameName(h.Value, site) || list.SameName(h.Value, "sites/"+site)
	default:
		return true
	}
}

// words name the hold, so that a person finds it in the list of holds.
func (h Hold) words() string {
	name := strings.Replace(h.Name, "holds/", "hold ", 1)
	what := string(h.Kind) + " " + h.Value
	if h.Value == "" {
		what = "everything"
	}
	return fmt.Sprintf("%s of %s: %s", cmp.Or(name, "a hold"), what, h.Reason)
}

// SetHolds replaces the holds in force. An older version than the newest one seen changes nothing and
// returns false: the agent then stays held (H-035).
func (g *Guard) SetHolds(version uint64, holds []Hold) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if version < g.mem.HoldVersion {
		return false
	}
	g.holds, g.mem.HoldVersion, g.holdsKnown = holds, version, true
	return true
}

// SetLease takes a lease.
func (g *Guard) SetLease(l Lease) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lease = l
	g.until.Store(int64(l.Until))
}

// DropLease ends the lease, at the end of a session.
func (g *Guard) DropLease() {
	g.until.Store(0)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.until.Store(0) // one may have been taken meanwhile
	g.lease, g.holdsKnown = Lease{}, false
}

const newerHold = "a newer hold is on its way, or the controller knows less of holds than this agent"

// leave reports why nothing may be sent at this moment; nil when it may. It is asked before a
// conversation (begins) and again before each message (B3). A lease that tells of a newer hold than is
// known stops both. One that is older than the holds known, as for the moment after a hold was lifted
// elsewhere, stops only what has not begun: breaking a conversation off is no kindness to a device.
func (g *Guard) leave(d list.Device, begins bool, at time.Time) *list.Refusal {
	set := g.lease.set(at, g.boot())
	skew := g.lease.Skew - set
	if r := g.cfg.Brake.on(d); r != nil {
		return r
	}
	switch {
	case g.stopped:
		return list.Refuse(list.Stopped, "the agent is stopping")
	case g.mem.Site.Stopped:
		return list.Refuse(list.Held, "stopped at the site: "+g.mem.Site.Why+" (primum-agent resume there ends it)")
	case !g.holdsKnown || g.lease.Until <= g.boot():
		return list.Refuse(list.NoLease, "")
	case g.lease.HoldVersion > g.mem.HoldVersion, begins && g.lease.HoldVersion < g.mem.HoldVersion:
		return list.Refuse(list.Held, newerHold)
	case skew > MaxSkew || skew < -MaxSkew:
		return list.Refuse(list.ClockSkew, skew.Round(time.Millisecond).String())
	case begins && (set > maxSet || set < -maxSet):
		return list.Refuse(list.NoLease, "the clock was set since the lease was taken")
	}
	for _, h := range g.holds {
		if h.stops(d, g.site) {
			return list.Refuse(list.Held, h.words())
		}
	}
	return nil
}
