package firstlight

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"primum/plugins/lab"
	"primum/plugins/lab/relay"
)

// Of the network between agent and controller.
var uplink = relay.Seat{Address: netip.MustParseAddr("10.77.0.9"), MAC: net.HardwareAddr{2, 0x77, 0, 0, 0, 9}, Glass: netip.MustParseAddr("127.0.0.1")}

// The lease (DESIGN 6.8), and what may still follow its end: the question of a conversation that has begun.
const (
	lease = 15 * time.Second
	after = 2 * time.Second
)

// storm loses every seventh packet, doubles every third, and has others come late or overtaken, some by seconds, each way.
func storm(p relay.Packet) []relay.Copy {
	switch {
	case p.N%7 == 0:
		return nil
	case p.N%3 == 0:
		return []relay.Copy{{}, {After: 30 * time.Millisecond}}
	case p.N%11 == 0:
		return []relay.Copy{{After: 2 * time.Second}}
	case p.N%5 == 0:
		return []relay.Copy{{After: 400 * time.Millisecond}}
	}
	return []relay.Copy{{After: 80 * time.Millisecond}}
}

// reset ends the connection at the next packet with data that goes one way.
func reset(way func(relay.Weather) relay.Weather) relay.Weather {
	done := false
	return way(func(p relay.Packet) []relay.Copy {
		is := p.Payload > 0 && !done
		done = done || is
		return []relay.Copy{{Reset: is}}
	})
}

// cut is one time in which nothing comes through, one way or both.
type cut struct {
	name    string
	weather relay.Weather
	lasts   time.Duration
}

// onRelay has the agent reach its controller through a network that the test makes good or bad. Devices are asked as before.
func (s *site) onRelay() *relay.Relay {
	s.t.Helper()
	network, err := relay.Start()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := network.Close(); err != nil {
			s.t.Error(err)
		}
	})
	network.Put(uplink)
	s.agent.kill()
	at := strings.TrimSpace(s.read("controller/control.address"))
	is := strings.Replace(s.read("agent/agent.json"), `"`+at+`"`, `"`+uplink.Address.String()+strings.TrimPrefix(at, "127.0.0.1")+`"`, 1)
	if err := os.WriteFile(s.path("agent/agent.json"), []byte(is), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.startAgent()
	s.connected()
	if n := network.Count(uplink.MAC).Delivered.TCP; n == 0 {
		s.t.Fatal("the session does not go over the relay")
	}
	return network
}

// quiet waits until no device was asked for a while, and returns when one was last, by the devices' own record.
func (s *site) quiet(since time.Time, most, still time.Duration) (last time.Time) {
	s.t.Helper()
	seen, before := since, s.received().Totals.Messages
	for end := since.Add(most); time.Now().Before(end) && time.Since(seen) < still; time.Sleep(100 * time.Millisecond) {
		if now := s.received().Totals.Messages; now > before {
			before, seen = now, time.Now()
		}
	}
	last = since
	for _, d := range s.received().Devices {
		if d.Messages == 0 {
			continue
		}
		entries, err := lab.FetchTranscript(s.t.Context(), s.path("lab"), d.Tag)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, e := range entries {
			if e.Event == "received" && e.At.After(last) {
				last = e.At
			}
		}
	}
	return last
}

// CONTROL-PLANE 4.4, 4.7, G8, H-035: whatever the network between agent and controller does, no device is asked twice, none after the
// lease, and none once a hold has come through; what is left is asked when the network is back. PRIMUM_FAILURES=all has the cuts too.
func TestWhateverTheUplinkGoesThroughNoDeviceIsAskedTwiceOrWithoutALease(t *testing.T) {
	units, duration, cuts, resets, still := 14, "4m", []cut(nil), 1, 3*time.Second
	if os.Getenv("PRIMUM_FAILURES") == "all" {
		units, duration, resets, still = 240, "20m", 6, 6*time.Second // up to a hundred are at the agent when the hold comes
		cuts = []cut{{"both ways", relay.Partition, 25 * time.Second}, {"only to the controller", relay.Questions(relay.Partition), 25 * time.Second},
			{"only to the agent", relay.Answers(relay.Partition), 25 * time.Second}, {"both ways, for long", relay.Partition, 50 * time.Second}}
	}
	s := openIn(t, ward(units), "--most", "1")
	network := s.onRelay()
	plan := s.plan("uplink", "2s", duration)
	s.approve(plan)
	s.until("the run fires", bound, func() bool { return strings.Contains(s.state(plan), " FIRED ") })
	f := strings.Fields(s.state(plan))
	run := f[len(f)-1]
	further := func(what string, devices int, within time.Duration) {
		t.Helper()
		before := s.received().Totals.Messages
		s.until(what, within, func() bool { return s.received().Totals.Messages >= before+devices })
	}
	asks := func(what string, within time.Duration) {
		t.Helper()
		further(what, 2, within)
	}
	asks("the run goes on in fair weather", bound)
	for _, c := range cuts {
		network.Set(c.weather)
		began := time.Now()
		last := s.quiet(began, c.lasts, c.lasts)
		asked := s.received().Totals.Messages
		if last.Sub(began) > lease+after {
			t.Errorf("cut %s: a device was asked %s after it", c.name, last.Sub(began).Round(time.Millisecond))
		}
		network.Set(relay.Fair)
		healed := time.Now()
		asks("cut "+c.name+": the run goes on", 2*time.Minute)
		t.Logf("cut %s for %s: the last device was asked %s after it, the next two within %s of its end; %d asked before", c.name, c.lasts, last.Sub(began).Round(100*time.Millisecond),
			time.Since(healed).Round(100*time.Millisecond), asked)
	}
	for n := range resets { // a reset each way by turns
		before, ended := network.Count(uplink.MAC), strings.Count(s.read("primum-agent.log"), "session with the controller ended")
		network.Set(reset([]func(relay.Weather) relay.Weather{relay.Questions, relay.Answers}[n%2]))
		s.until("the agent sees the reset", bound, func() bool {
			return strings.Count(s.read("primum-agent.log"), "session with the controller ended") > ended
		})
		began := time.Now()
		s.until("there is a session again", 70*time.Second, func() bool { // the agent waits a minute at most
			return network.Count(uplink.MAC).Answers.SYN > before.Answers.SYN && strings.Contains(s.primum("agents", "list"), " CONNECTED ")
		})
		session := time.Since(began)
		asks("the run goes on after the reset", bound)
		t.Logf("reset %d: a session %s after it, the next two devices asked within %s", n+1, session.Round(100*time.Millisecond), time.Since(began).Round(100*time.Millisecond))
	}
	network.Set(storm)
	asks("the run goes on in the storm", time.Minute)
	typed := time.Now()
	hold, _, _ := strings.Cut(s.primum("hold", "place", "--all", "--reason", "made for a test"), " ")
	placed := time.Since(typed)
	stopped := s.quiet(typed, 20*time.Second, still).Sub(typed)
	if stopped > placed+lease {
		t.Errorf("a device was asked %s after the hold", stopped-placed)
	}
	if out, complaints, code := s.try("primum", "", "hold", "lift", hold, "--reason", "made for a test"); code != 0 {
		t.Fatal(out, complaints)
	}
	left := strings.Count(s.primum("tasks", run), " QUEUED ") // an order that was at the agent when the hold came has ended with it
	if len(cuts) > 0 && left < 2 {
		t.Errorf("the hold left %d of %d devices", left, units)
	}
	further("the run goes on after the hold", min(2, left), time.Minute)
	t.Logf("in the storm the command of the hold took %s, the last device was asked %s after it was typed; %d were left", placed.Round(time.Millisecond), stopped.Round(time.Millisecond), left)
	if len(cuts) == 0 {
		network.Set(relay.Fair)
	}
	s.until("the run ends", 10*time.Minute, func() bool {
		out, _, code := s.try("primum", "", "run", "show", run)
		return code == 0 && (strings.Contains(out, " SUCCEEDED") || strings.Contains(out, " PARTIAL"))
	})
	network.Set(relay.Fair)
	ends := map[string]int{}
	for line := range strings.Lines(s.primum("tasks", run)) {
		switch {
		case !strings.HasPrefix(line, "20-"):
		case strings.Contains(line, " ANSWERED "):
			ends["ANSWERED"]++
		case strings.Contains(line, " REFUSED ") && strings.Contains(line, " HELD ") && strings.Contains(line, "of everything: made for a test"):
			ends["HELD"]++ // it was at the agent when the hold came
		case strings.Contains(line, " UNKNOWN ") && strings.Contains(line, "the conversation was ended"):
			ends["UNKNOWN"]++ // it was under way when the session ended, and with it the lease (DESIGN 6.7)
		case strings.Contains(line, " STOPPED ") && strings.Contains(line, " NO_LEASE "):
			ends["STOPPED"]++ // its permit was spent when the session ended, and nothing was sent
		default:
			t.Errorf("it has another end: %s", strings.TrimSpace(line))
		}
	}
	asked := 0
	for _, d := range s.received().Devices {
		if d.Messages > 1 || d.Harmed() {
			t.Errorf("%s received %+v", d.Tag, d)
		}
		asked += d.Messages
	}
	count := network.Count(uplink.MAC)
	t.Logf("%d devices, %d asked, ends %v; %d packets to the controller, %d of them came; %d from it", units, asked, ends, count.Sent.TCP, count.Delivered.TCP, count.Answers.TCP)
	broken := ends["UNKNOWN"] + ends["STOPPED"]
	if asked < ends["ANSWERED"] || asked > ends["ANSWERED"]+ends["UNKNOWN"] || ends["ANSWERED"]+broken+ends["HELD"] != units ||
		ends["ANSWERED"]+ends["UNKNOWN"] < 6 || broken > resets+len(cuts) { // one at a time is asked, so that each end of a session breaks off one at most
		t.Errorf("%d of %d devices were asked, ends %v", asked, units, ends)
	}
	s.connected()
	if len(cuts) > 0 { // a head is signed each minute
		s.whole(4 * asked)
	}
}
