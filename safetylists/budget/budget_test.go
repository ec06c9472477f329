package budget

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	list "primum/safetylists"
)

// DESIGN 4.3, H-041: whatever clocks, calls and restarts come, and however late in its conversation a packet goes out, no window of
// any length on the wire holds more than burst and rate of any key.
func TestNoWindowOfABudgetHoldsMoreThanBurstAndRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rate{rapid.IntRange(dearest, 60).Draw(t, "burst"), rapid.IntRange(1, 200).Draw(t, "per"), time.Minute}
		type talk struct {
			key  string
			left int // packets that it has not sent
			n    int
		}
		b, boot, passed := newGCRA(r), time.Hour, time.Duration(0) // passed runs on through restarts, and never back
		wire := map[string][]time.Duration{}
		var talks []*talk
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch what := rapid.IntRange(0, 29).Draw(t, "what"); {
			case what == 0: // the machine starts anew, its clock anywhere; what was on its way is cut
				boot = time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(t, "boot"))
				b = newGCRA(r)
				b.spend(boot)
				talks = nil
			case what == 1: // long quiet
				boot, passed = boot+10*time.Minute, passed+10*time.Minute
			case what < 8:
				d := time.Duration(rapid.Int64Range(0, int64(4*time.Second)).Draw(t, "pass"))
				boot, passed = boot+d, passed+d
			case what < 18 && len(talks) > 0: // a packet, or an end
				i := rapid.IntRange(0, len(talks)-1).Draw(t, "talk")
				k := talks[i]
				if k.left > 0 && rapid.Bool().Draw(t, "speaks") {
					k.left--
					wire[k.key] = append(wire[k.key], passed)
					continue
				}
				b.end(b.key(k.key), k.n, boot)
				talks = slices.Delete(talks, i, i+1)
			default:
				name, n := fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "key")), rapid.IntRange(1, dearest).Draw(t, "packets")
				if key := b.key(name); b.wait(key, n, boot) == 0 {
					b.start(key, n, boot)
					talks = append(talks, &talk{name, n, n})
				}
			}
		}
		for name, at := range wire {
			for i := range at {
				for j := i; j < len(at); j++ {
					if w := at[j] - at[i]; j-i+1 > r.Most(w) {
						t.Fatalf("%s: %d packets in %s, and %d may pass", name, j-i+1, w, r.Most(w))
					}
				}
			}
		}
	})
}

// A budget that waited as long as it was told can pay, not a moment before.
func TestABudgetCanPayWhenItSaid(t *testing.T) {
	b := newGCRA(Rate{24, 120, time.Minute})
	k, boot := b.key("x"), time.Hour
	for range 3 {
		b.start(k, 8, boot)
	}
	if w := b.wait(k, 8, boot+time.Hour); w != never {
		t.Errorf("24 packets on their way, and the next may start after %s", w)
	}
	for range 3 {
		b.end(k, 8, boot)
	}
	w := b.wait(k, 8, boot)
	if w != 4*time.Second || b.wait(k, 8, boot+w-1) == 0 || b.wait(k, 8, boot+w) != 0 {
		t.Errorf("8 packets at 2 a second after %s", w)
	}
	if b.wait(b.key("y"), 8, boot) != 0 {
		t.Error("another key waits too")
	}
}

// Keys that are full again are dropped: a year of subnets takes no more memory than a minute of them.
func TestABudgetForgetsWhatIsFullAgain(t *testing.T) {
	b := newGCRA(Rate{24, 120, time.Minute})
	most := 0
	for i := range 100_000 {
		boot := time.Duration(i) * 100 * time.Millisecond
		k := b.key(fmt.Sprint(i))
		b.start(k, 1, boot)
		b.end(k, 1, boot)
		most = max(most, len(b.keys))
	}
	if most > leastSweep {
		t.Errorf("%d keys of 100,000 at a time", most)
	}
}

// A plan says how long its budgets make it: as long as it takes to pay for one after the other.
func TestAPlanSaysHowLongItsBudgetsMakeIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var visits []Visit
		for i := range rapid.IntRange(1, 120).Draw(t, "visits") {
			visits = append(visits, Visit{Site: "s", Packets: rapid.IntRange(1, 8).Draw(t, "packets"), Device: list.Device{ID: fmt.Sprint(i),
				Address: netip.AddrFrom4([4]byte{10, 0, byte(rapid.IntRange(0, 2).Draw(t, "subnet")), byte(i)}), Claims: []list.Claim{{Manufacturer: "M", Model: fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "model"))}}}})
		}
		b, boot := New(list.Real), time.Hour
		takes := Takes(visits, list.Real)
		for len(visits) > 0 {
			next := never
			visits = slices.DeleteFunc(visits, func(v Visit) bool {
				w, _ := b.Wait(v, boot)
				if w == 0 {
					b.Start(v, boot)
					b.End(v, boot)
				}
				next = min(next, max(w, time.Millisecond))
				return w == 0
			})
			if len(visits) > 0 {
				boot += next
			}
		}
		// A dear one may have to wait for the whole of its packets where a cheap one has come between.
		if took := boot - time.Hour; took < takes || took > takes+8*Of(Model, list.Real).step()+10*time.Millisecond {
			t.Fatalf("it took %s, and it says %s", took, takes)
		}
	})
}

// DESIGN 6.14: the whole conversation is charged, and no budget is too small for the dearest.
func TestAQuestionIsChargedWhole(t *testing.T) {
	pin := fmt.Sprintf("%064x", 1)
	for name, c := range map[string]struct {
		spec    list.QuerySpec
		connect time.Duration
		want    int
	}{
		"snmp":              {list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: []string{"1.3.6.1.2.1.1.1.0"}}, 0, 1},
		"snmp 3":            {list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: []string{"1.3.6.1.2.1.1.1.0"}, SNMPVersion: list.SNMPv3, Auth: "SHA256", Privacy: "AES128"}, 0, 4},
		"echo":              {list.QuerySpec{Kind: list.DICOMEcho, Port: 11112, CallingAE: "PRIMUM", CalledAE: "CT"}, 900 * time.Millisecond, 8},
		"echo, slow":        {list.QuerySpec{Kind: list.DICOMEcho, Port: 11112, CallingAE: "PRIMUM", CalledAE: "CT"}, 901 * time.Millisecond, 11},
		"echo, TLS":         {list.QuerySpec{Kind: list.DICOMEcho, Port: 11112, CallingAE: "PRIMUM", CalledAE: "CT", TLSPin: pin}, 900 * time.Millisecond, 11},
		"hl7":               {list.QuerySpec{Kind: list.HL7Ack, Port: 2575, Facility: "SITE", ReceivingApp: "A", ReceivingFac: "F", HL7Version: "2.5.1", Expect: "AA"}, 900 * time.Millisecond, 4},
		"hl7, slow connect": {list.QuerySpec{Kind: list.HL7Ack, Port: 2575, Facility: "SITE", ReceivingApp: "A", ReceivingFac: "F", HL7Version: "2.5.1", Expect: "AA"}, 3 * time.Second, 7},
	} {
		q, err := list.ParseQuery(c.spec)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		l := q.DefaultLimits()
		l.Connect = c.connect
		if got := Charge(q, l); got != c.want {
			t.Errorf("%s: %d packets, not %d", name, got, c.want)
		}
	}
	for _, p := range []list.Policy{list.Real, list.Lab, ""} {
		for s := range scales {
			if r := Of(s, p); r.Burst < dearest || r.step() <= 0 || p != list.Lab && r.Burst > Of(Site, list.Real).Burst {
				t.Errorf("%s under %q: %+v", s, p, r)
			}
		}
	}
	if Of(Device, list.Lab) != Of(Device, list.Real) {
		t.Error("a simulated device is asked more often than a real one")
	}
}

// The tightest of the five holds, each alone; the one that cannot pay takes nothing of the others.
func TestTheTightestBudgetHolds(t *testing.T) {
	visit := func(tag, model, addr string) Visit {
		return Visit{Agent: "west", Site: "North", Packets: 1, Device: list.Device{ID: tag, Address: netip.MustParseAddr(addr), MAC: "02:00:00:00:00:" + tag,
			Claims: []list.Claim{{Manufacturer: "Maker", Model: model}, {Manufacturer: "MAKER ", Model: model}}}}
	}
	now := time.Hour
	first := visit("01", "M", "192.0.2.1")
	twin := visit("07", "o", "203.0.113.9")
	twin.Device.MAC = "02-00-00-00-00-01"
	other := visit("03", "n", "198.51.100.1")
	elsewhere := other
	elsewhere.Agent = "east"
	for name, c := range map[string]struct {
		spent Scale
		key   string
		next  Visit
		waits bool
	}{
		"device":              {Device, "id 01", first, true},
		"device's card":       {Device, "mac 02:00:00:00:00:01", twin, true},
		"another device":      {Device, "id 01", other, false},
		"model":               {Model, "maker/m", visit("02", "m", "198.51.100.1"), true},
		"another model":       {Model, "maker/m", visit("02", "n", "192.0.2.2"), false},
		"subnet":              {Subnet, "192.0.2.0/24", visit("02", "n", "192.0.2.200"), true},
		"subnet of version 6": {Subnet, "2001:db8:0:1::/64", visit("02", "n", "2001:db8:0:1:ffff::9"), true},
		"another subnet":      {Subnet, "192.0.2.0/24", visit("02", "n", "192.0.3.1"), false},
		"agent":               {Agent, "west", other, true},
		"another agent":       {Agent, "west", elsewhere, false},
		"site":                {Site, "north", elsewhere, true},
	} {
		b := New(list.Real)
		b.of[c.spent].start(b.of[c.spent].key(c.key), Of(c.spent, list.Real).Burst, now)
		w, line := b.Wait(c.next, now)
		if (w > 0) != c.waits || c.waits && line.String() != c.spent.String() {
			t.Errorf("%s: waits %s for the %s", name, w, line)
		}
		if w, _ := b.Wait(c.next, now); c.waits && w == 0 {
			t.Errorf("%s: the question for the wait has paid", name)
		}
	}
	b := New(list.Real)
	b.Start(first, now)
	if l := b.of[Model].keys[b.of[Model].key("maker/m")]; l.out != 1 {
		t.Errorf("two spellings of one model pay %d", l.out)
	}
	b.End(first, now)
	for s := range scales {
		for _, l := range b.of[s].keys {
			if l.out != 0 || l.full != now+Of(s, list.Real).step() {
				t.Errorf("%s after one packet: %+v", s, l)
			}
		}
	}
	b = New(list.Real)
	b.Spend("01", "192.0.2.1", "02:00:00:00:00:01", now)
	for name, c := range map[string]struct {
		visit Visit
		scale Scale
	}{"who was asked": {twin, Device}, "another": {other, Model}} {
		if w, line := b.Wait(c.visit, now); w != Of(c.scale, list.Real).step() || line.scale != c.scale {
			t.Errorf("after a restart %s waits %s for the %s", name, w, line)
		}
	}
}
