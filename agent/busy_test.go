package agent

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"primum/agent/internal/guard"
	"primum/agent/internal/papertest"
	"primum/agent/internal/pluginhost"
	"primum/agent/internal/task"
	"primum/agent/internal/wire"
	controlv1 "primum/proto/control/v1"
	"primum/safetylists/evidence"
	"primum/safetylists/frame"
)

// H-040, H-048: a device that labours, and an agent whose journal is busy with other records (a.mu is held over each fsync), or whose machine stops
// for a moment.
func TestASlowDeviceBehindABusyAgentIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		port         string
		device, disk time.Duration // from our message to its answer; other records are written for so long after it
		machine      time.Duration // stands still for so long, once, in the same time
		least        time.Duration
	}{
		"another record takes 1 s, and nothing had come by then": {"12786", 2900 * time.Millisecond, time.Second, 0, 2800 * time.Millisecond},
		"the machine stands still once, for 1.5 s":               {"12787", 4200 * time.Millisecond, 0, 1500 * time.Millisecond, 2600 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			var h *testAgent
			peer(t, "127.0.0.1:"+c.port, func(conn net.Conn) {
				buf := make([]byte, 4096)
				n, err := conn.Read(buf)
				heard := time.Now()
				if err != nil {
					return
				}
				if c.machine > 0 {
					sh := exec.Command("sh", "-c", fmt.Sprintf("kill -STOP %d; sleep %.1f; kill -CONT %d", os.Getpid(), c.machine.Seconds(), os.Getpid()))
					_ = sh.Run()
				} else {
					time.Sleep(c.disk)
				}
				h.mu.Unlock()
				time.Sleep(c.device - time.Since(heard))
				id := strings.Split(string(buf[:n]), "|")[9]
				_, _ = fmt.Fprintf(conn, "\x0bMSH|^~\\&|A|F|PRIMUM|SITE|20260101000000||ACK|1|T|2.5.1\rMSA|AA|%s\r\x1c\r", id)
				_, _ = conn.Read(buf)
			})
			p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:" + c.port), Question: `{kind: hl7.ack, port: "` + c.port + `", hl7_version: 2.5.1, expect: AA}`})
			h = newAgent(t, p, nil)
			h.hand()
			before := h.journal.Head().Seq
			h.order(p.Permit(t, nil))
			for h.journal.Head().Seq < before+2 { // received, started
				time.Sleep(time.Millisecond)
			}
			h.mu.Lock() // a record of another conversation is on its way to the disk
			got := h.outcome()
			if got.State != evidence.Distress {
				t.Errorf("the device took %s; it counts as %s, and is %s: %q", c.device, time.Duration(got.TookUS)*time.Microsecond, got.State, got.Detail)
			}
		})
	}
}

// B11, H-040: what wire saw comes before the claim: a device that answers after 9 s labours, whatever its probe does then.
func TestAProbeThatFailsHidesNoSlowDevice(t *testing.T) {
	s := wire.Summary{End: wire.Complete, Asked: time.Now(), Messages: 1, Octets: 100, Replies: 1, RTT: 9 * time.Second, Connected: true, Ack: frame.Ack{Code: "AA"}}
	for name, c := range map[string]struct {
		s   wire.Summary
		err error
	}{
		"it crashes after the reply":   {s, &pluginhost.Fault{Kind: pluginhost.Died}},
		"it is ended after the reply":  {s, context.Canceled},
		"it gives its result too soon": {func() wire.Summary { x := s; x.End = wire.Running; return x }(), nil},
	} {
		got := alive(outcome(task.Task{}, c.s, pluginhost.Result{}, c.err), false, guard.Vitals{Baseline: 10 * time.Millisecond}, time.Now())
		if got.State != evidence.Distress {
			t.Errorf("%s: wire saw an answer after %s (10 ms before), and it is %s %s", name, c.s.RTT, got.State, got.Reason)
		}
	}
}

// H-048: what the machine kept the agent from running is taken out of an answer's time only if the answer was there when it ran again, and
// once; the outcome says so, beside what it says already.
func TestOnlyADelayThatHidTheAnswerIsTakenOut(t *testing.T) {
	at := time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)
	seen := func(after, own time.Duration) wire.Summary {
		return wire.Summary{Replies: 1, RTT: 3 * time.Second, RTTAt: at.Add(after), RTTOwn: own}
	}
	for name, c := range map[string]struct {
		s     wire.Summary
		d     delay
		took  time.Duration
		words string
	}{
		"no delay":                       {seen(0, 0), delay{}, 3 * time.Second, "busy"},
		"a short one":                    {seen(0, 0), delay{wire.OwnDelay, at}, 3 * time.Second, "busy"},
		"the answer was there":           {seen(10*time.Millisecond, 0), delay{2 * time.Second, at}, time.Second, "busy; the agent's machine kept it from running for 2s meanwhile"},
		"it was read in the last moment": {seen(-time.Millisecond, 0), delay{2 * time.Second, at}, time.Second, "busy; the agent's machine kept it from running for 2s meanwhile"},
		"it came later":                  {seen(101*time.Millisecond, 0), delay{2 * time.Second, at}, 3 * time.Second, "busy"},
		"it had come before":             {seen(-2001*time.Millisecond, 0), delay{2 * time.Second, at}, 3 * time.Second, "busy"},
		"the record took it already":     {seen(10*time.Millisecond, time.Second), delay{2 * time.Second, at}, 3 * time.Second, "busy; the agent's record took 1s meanwhile"},
		"longer than the answer":         {seen(0, 0), delay{5 * time.Second, at}, 0, "busy; the agent's machine kept it from running for 5s meanwhile"},
		"nothing came":                   {wire.Summary{RTTAt: at}, delay{2 * time.Second, at}, 3 * time.Second, "busy"},
	} {
		got := ownDelay(evidence.Result{TookUS: (3 * time.Second).Microseconds(), Detail: "busy"}, c.s, c.d)
		if got.TookUS != c.took.Microseconds() || got.Detail != c.words {
			t.Errorf("%s: %d µs %q", name, got.TookUS, got.Detail)
		}
	}
}

// H-035: what waits ends within a second of a stop, at the site or by the controller, also when the disk takes 4 s for a record of somebody
// else.
func TestAStopDoesNotWaitForTheDisk(t *testing.T) {
	for name, stop := range map[string]func(*testing.T, *testAgent){
		"at the site": func(t *testing.T, h *testAgent) {
			if err := putFile(h.cfg.Data, stopFile, fmt.Appendf(nil, `{"stopped":true,"by":"ward","at":%q,"reason":"smoke"}`, time.Now().UTC().Format(time.RFC3339Nano))); err != nil {
				t.Fatal(err)
			}
		},
		"by a hold": func(_ *testing.T, h *testAgent) {
			go (*local)(h.Agent).Holds(&controlv1.HoldState{Version: 99, Holds: []*controlv1.HoldScope{{Name: "holds/9", Kind: controlv1.HoldScope_KIND_ALL, Reason: "smoke"}}}) // ends with the lock
		},
	} {
		t.Run(name, func(t *testing.T) { stopsInTime(t, stop) })
	}
}

func stopsInTime(t *testing.T, stop func(*testing.T, *testAgent)) {
	closed := make(chan time.Time, 1)
	heard := make(chan struct{})
	peer(t, "127.0.0.1:12789", func(conn net.Conn) {
		buf := make([]byte, 4096)
		_, _ = conn.Read(buf)
		close(heard)
		_, _ = conn.Read(buf) // FIN
		closed <- time.Now()
	})
	p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:12789"), Question: `{kind: hl7.ack, port: "12789", hl7_version: 2.5.1, expect: AA}`, Condition: "  limits: {reply: 8s, cap: 20s}\n"})
	h := newAgent(t, p, nil)
	h.hand()
	h.order(p.Permit(t, nil))
	<-heard
	time.Sleep(300 * time.Millisecond)
	h.mu.Lock() // a record of another conversation is on its way to a slow disk
	stopped := time.Now()
	stop(t, h)
	time.AfterFunc(4*time.Second, h.mu.Unlock)
	at := <-closed
	if took := at.Sub(stopped); took > 1100*time.Millisecond {
		t.Errorf("the device was let go %s after the stop", took.Round(time.Millisecond))
	}
	_ = h.outcome()
}
