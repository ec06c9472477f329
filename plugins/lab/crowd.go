package lab

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// crowd counts what arrives over many devices at a time: at one device, one model, one subnet and the whole hospital, in every window
// of these lengths, wherever it begins. It counts datagrams, connections, their messages and their ends, and believes nobody's pace
// but its own clock.
type crowd struct {
	mu   sync.Mutex
	seen map[string]*arrivals // by scale and name
	most map[string]CrowdReport
}

var crowdWindows = [...]time.Duration{100 * time.Millisecond, time.Second, time.Minute}

// arrivals are those at one name within the longest window.
type arrivals struct {
	at    []time.Time
	first [len(crowdWindows)]int // index of the oldest arrival that the window still holds
}

// CrowdReport is the fullest window of a length: over all devices, models or subnets, or over the hospital.
type CrowdReport struct {
	Scale  string        `json:"scale"` // device, model, subnet or hospital
	Window time.Duration `json:"window"`
	Most   int           `json:"most"`
	Where  string        `json:"where"` // the device, model or subnet that saw it first
}

func newCrowd() *crowd { return &crowd{seen: map[string]*arrivals{}, most: map[string]CrowdReport{}} }

// arrived takes one packet of ours at a device.
func (c *crowd) arrived(at time.Time, d DeviceConfig) {
	subnet := "none"
	if a, err := netip.ParseAddr(d.Address); err == nil {
		subnet = netip.PrefixFrom(a, 24).Masked().String() // all of 127.0.0.0/8
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range [...][2]string{{"device", d.Tag}, {"model", d.Manufacturer + " " + d.Model}, {"subnet", subnet}, {"hospital", ""}} {
		a := c.seen[x[0]+" "+x[1]]
		if a == nil {
			a = &arrivals{}
			c.seen[x[0]+" "+x[1]] = a
		}
		for i, n := range a.add(at) {
			key := x[0] + " " + crowdWindows[i].String()
			if n > c.most[key].Most {
				c.most[key] = CrowdReport{Scale: x[0], Window: crowdWindows[i], Most: n, Where: x[1]}
			}
		}
	}
}

// add takes an arrival and returns how many each window holds that ends with it. Both its ends count.
func (a *arrivals) add(at time.Time) (held [len(crowdWindows)]int) {
	a.at = append(a.at, at)
	for i, w := range crowdWindows {
		for at.Sub(a.at[a.first[i]]) > w {
			a.first[i]++
		}
		held[i] = len(a.at) - a.first[i]
	}
	if old := a.first[len(crowdWindows)-1]; old > 1024 && old > len(a.at)/2 {
		a.at = slices.Delete(a.at, 0, old)
		for i := range a.first {
			a.first[i] -= old
		}
	}
	return held
}

// report is the fullest windows, the narrowest scale and the shortest window first.
func (c *crowd) report() []CrowdReport {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []CrowdReport
	for _, scale := range []string{"device", "model", "subnet", "hospital"} {
		for _, w := range crowdWindows {
			if r, ok := c.most[scale+" "+w.String()]; ok {
				out = append(out, r)
			}
		}
	}
	return out
}

func (r CrowdReport) String() string {
	where := ""
	if r.Where != "" {
		where = " (" + r.Where + ")"
	}
	return fmt.Sprintf("%s: %d packets in %s%s", r.Scale, r.Most, r.Window, where)
}

// crowded is the line under a report.
func crowded(all []CrowdReport) string {
	var words []string
	for _, r := range all {
		if r.Window == time.Second {
			words = append(words, r.String())
		}
	}
	return strings.Join(words, "; ")
}
