package agent

import (
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"primum/agent/internal/guard"
	"primum/agent/internal/papertest"
	"primum/agent/internal/secret"
	"primum/agent/internal/task"
	"primum/agent/internal/wire"
	controlv1 "primum/proto/control/v1"
	list "primum/safetylists"
	"primum/safetylists/evidence"
	"primum/safetylists/frame"
	"primum/safetylists/permit"
)

// ticket admits the one task of the papers by hand, so that a test can be the probe.
func (h *testAgent) ticket(bend func(*permit.Permit)) *guard.Ticket {
	h.t.Helper()
	self := task.Self{Name: papertest.Agent, Epoch: 1, PermitKey: h.papers.PermitKey}
	tk, no := task.Verify(h.papers.Permit(h.t, bend), self, h.trust.Plan)
	if no != nil {
		h.t.Fatal(no)
	}
	v := h.guard.Admit(tk, 0, time.Now())
	if v.Ticket == nil {
		h.t.Fatalf("%+v", v)
	}
	return v.Ticket
}

// H-019, H-021: a probe that takes its time begins no conversation after the time that it has, and none with
// a permit that has ended since it was spent. It is the probe that was slow: the device is blamed for nothing.
func TestASlowProbeBeginsNothingAfterItsTime(t *testing.T) {
	for name, c := range map[string]struct {
		question, cap string
		permit        func(*permit.Permit)
		wait          time.Duration
		end           wire.End
		reason        list.Reason
	}{
		"after the cap, by TCP": {`{kind: dicom.echo, port: "11116", calling_ae: PRIMUM}`, "{cap: 1s}", nil, 1100 * time.Millisecond, wire.Local, ""},
		"after the cap, by UDP": {`{kind: snmp.get, port: "11116", oids: [1.3.6.1.2.1.1.1.0]}`, "{cap: 1s}", nil, 1100 * time.Millisecond, wire.Local, ""},
		"after the end of its permit": {`{kind: dicom.echo, port: "11116", calling_ae: PRIMUM}`, "{cap: 5s}",
			func(p *permit.Permit) { p.Until = time.Now().Add(1200 * time.Millisecond).Truncate(time.Millisecond) }, 1300 * time.Millisecond, wire.Halted, list.PermitExpired},
	} {
		t.Run(name, func(t *testing.T) {
			seen := startCapture(t, "port 11116 or icmp")
			p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:11116"), Question: c.question, Condition: "  limits: " + c.cap + "\n"})
			h := newAgent(t, p, nil)
			h.hand()
			ticket := h.ticket(c.permit)
			conv, err := h.dialer.Open(ticket, &secret.Credential{Community: []byte(community)}, recorder{a: h.Agent})
			if err != nil {
				t.Fatal(err)
			}
			defer conv.Close()
			time.Sleep(c.wait) // the probe thinks
			all, err := frame.Messages(ticket.Task().Query(), conv.Nonce())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conv.Exchange(t.Context(), all[0].Bytes); err == nil {
				t.Error("the message went out")
			}
			s := conv.Summary()
			if s.End != c.end || s.Messages != 0 || s.Connected || c.reason != "" && (s.Refusal == nil || s.Refusal.Reason != c.reason) {
				t.Errorf("%+v", s)
			}
			if lines := seen.lines(); len(lines) != 0 {
				t.Errorf("%d packets:\n%s", len(lines), strings.Join(lines, "\n"))
			}
		})
	}
}

// full is a listener whose queue is full, as that of a busy device: a connection to it hangs until the queue
// is emptied, which is what the returned function does. It reports the octets of every later connection.
func full(t *testing.T, port int) (empty func() (connections int, octets int)) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	at := &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
	if err := syscall.Bind(fd, at); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	first, err := net.Dial("tcp", netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(port)).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { first.Close() })
	accept := func(within time.Duration) (int, bool) {
		tv := syscall.NsecToTimeval(within.Nanoseconds())
		if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &tv); err != nil {
			t.Fatal(err)
		}
		c, _, err := syscall.Accept(fd)
		return c, err == nil
	}
	return func() (connections, octets int) {
		if c, ok := accept(time.Second); ok {
			_ = syscall.Close(c) // our own, which filled the queue
		}
		for {
			c, ok := accept(3 * time.Second)
			if !ok {
				return connections, octets
			}
			connections++
			buf := make([]byte, 4096)
			for {
				n, err := syscall.Read(c, buf)
				if n <= 0 || err != nil {
					break
				}
				octets += n
			}
			_ = syscall.Close(c)
		}
	}
}

// H-035: a hold that comes while the connection is still being made keeps the question back.
func TestAHoldThatComesDuringTheConnectKeepsTheQuestionBack(t *testing.T) {
	empty := full(t, 11117)
	p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:11117"),
		Question: `{kind: dicom.echo, port: "11117", calling_ae: PRIMUM}`, Condition: "  limits: {connect: 3s}\n"})
	h := newAgent(t, p, nil)
	h.hand()
	h.order(p.Permit(t, nil))
	h.await(evidence.Started)
	time.Sleep(300 * time.Millisecond) // the first SYN is dropped, the next one goes out after a second
	h.hold(1, &controlv1.HoldScope{Name: "holds/1", Kind: controlv1.HoldScope_KIND_ALL, Reason: "made for a test"})
	h.lease(time.Minute)
	connections, octets := empty()
	if octets != 0 || connections > 1 {
		t.Errorf("%d connections and %d octets after the hold", connections, octets)
	}
	if got := h.outcome(); got.State != evidence.Stopped || got.Reason != list.Held || got.Messages != 0 {
		t.Errorf("%+v", got)
	}
}

// await waits for the first record of a kind.
func (h *testAgent) await(kind evidence.Kind) {
	h.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		grown := h.journal.Grown()
		for _, r := range h.records() {
			if r.Kind == kind {
				return
			}
		}
		select {
		case <-grown:
		case <-time.After(time.Second):
		}
	}
	h.t.Fatalf("no %s within 20 s", kind)
}

// DESIGN 6.7, H-035: a conversation that waits for its reply when a hold comes, or when the lease lapses, ends
// within a second: at most an abort and FIN, and nothing after them.
func TestAHoldEndsAWaitingConversationWithinASecond(t *testing.T) {
	for name, c := range map[string]struct {
		question, sends string
		stop            func(*testAgent)
		want            list.Reason
	}{
		"held, an association": {`{kind: dicom.echo, port: "11118", calling_ae: PRIMUM}`, "\x07", func(h *testAgent) {
			h.hold(1, &controlv1.HoldScope{Name: "holds/1", Kind: controlv1.HoldScope_KIND_ALL, Reason: "made for a test"})
			h.lease(time.Minute)
		}, list.Held},
		"held, a message": {`{kind: hl7.ack, port: "11118", hl7_version: 2.5.1, expect: AA}`, "", func(h *testAgent) {
			h.hold(1, &controlv1.HoldScope{Name: "holds/1", Kind: controlv1.HoldScope_KIND_ALL, Reason: "made for a test"})
			h.lease(time.Minute)
		}, list.Held},
		"stopped at the site": {`{kind: dicom.echo, port: "11118", calling_ae: PRIMUM}`, "\x07", func(h *testAgent) { h.speak("stop") }, list.Held},
		"without a lease":     {`{kind: dicom.echo, port: "11118", calling_ae: PRIMUM}`, "\x07", func(h *testAgent) { h.guard.DropLease() }, list.NoLease},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan time.Time, 1)
			after := make(chan string, 1)
			peer(t, "127.0.0.1:11118", func(conn net.Conn) {
				buf := make([]byte, 4096)
				if _, err := conn.Read(buf); err != nil {
					return
				}
				var rest []byte
				for {
					n, err := conn.Read(buf)
					rest = append(rest, buf[:n]...)
					if err != nil {
						ended <- time.Now()
						after <- string(rest)
						return
					}
				}
			})
			p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:11118"), Question: c.question})
			h := newAgent(t, p, nil)
			h.hand()
			h.order(p.Permit(t, nil))
			h.await(evidence.Sent)
			stopped := time.Now()
			c.stop(h)
			if took := (<-ended).Sub(stopped); took > time.Second {
				t.Errorf("the connection ended %s after the stop", took)
			}
			if got := <-after; !strings.HasPrefix(got, c.sends) || len(got) > 10 {
				t.Errorf("after the stop it got %q", got)
			}
			if got := h.outcome(); got.State != evidence.Stopped || got.Reason != c.want || got.Messages != 1 {
				t.Errorf("%+v", got)
			}
		})
	}
}
