package lab

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The fullest window is found wherever it begins: against counting every window by hand.
func TestTheFullestWindowIsFoundWhereverItBegins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, at := newCrowd(), time.Unix(1_800_000_000, 0)
		var all []time.Time
		for range rapid.IntRange(1, 200).Draw(t, "packets") {
			at = at.Add(time.Duration(rapid.Int64Range(0, int64(rapid.SampledFrom([]time.Duration{30 * time.Millisecond, time.Second, 40 * time.Second}).Draw(t, "scale"))).Draw(t, "gap")))
			all = append(all, at)
			c.arrived(at, DeviceConfig{Tag: "T-1", Manufacturer: "Test", Model: "Monitor", Address: "127.1.2.3"})
		}
		for i, w := range crowdWindows {
			most := 0
			for first := range all {
				n := 0
				for _, x := range all[first:] {
					if x.Sub(all[first]) <= w {
						n++
					}
				}
				most = max(most, n)
			}
			for scale, where := range map[int]string{0: "T-1", 1: "Test Monitor", 2: "127.1.2.0/24", 3: ""} {
				if got := c.report()[3*scale+i]; got.Most != most || got.Window != w || got.Where != where {
					t.Fatalf("%v, and %d came", got, most)
				}
			}
		}
	})
}

// Devices of one model and subnet count together there and alone for themselves.
func TestDevicesCountTogetherWhereTheyBelongTogether(t *testing.T) {
	c, at := newCrowd(), time.Unix(1_800_000_000, 0)
	for _, d := range []DeviceConfig{{Tag: "1", Model: "A", Address: "127.1.1.1"}, {Tag: "2", Model: "A", Address: "127.1.2.1"}, {Tag: "3", Model: "B", Address: "127.1.2.2"}, {Tag: "4", Model: "C", Address: "127.1.2.3"}} {
		c.arrived(at, d)
	}
	for i, want := range []int{1, 2, 3, 4} {
		if got := c.report()[3*i]; got.Most != want {
			t.Errorf("%v, not %d", got, want)
		}
	}
}
