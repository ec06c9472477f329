package wire

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	"primum/agent/internal/secret"
	list "primum/safetylists"
	"primum/safetylists/frame"
)

// laden records so slowly that the time for a reply is over before anybody waits for it.
type laden struct {
	unrecorded
	takes time.Duration
}

func (l laden) Sent(time.Time, string, []byte) error {
	time.Sleep(l.takes) // of the kernel's own clock: no other is to be had for sockets
	return nil
}

// answering is a device at an address of its own that gives its replies one by one.
func answering(t *testing.T, network string, replies func() [][]byte) string {
	t.Helper()
	next := func(conn net.Conn, to net.Addr, n int) {
		if all := replies(); n < len(all) {
			if to != nil {
				_, _ = conn.(*net.UDPConn).WriteTo(all[n], to) // the outcome shows it
				return
			}
			_, _ = conn.Write(all[n]) // the outcome shows it
		}
	}
	b := make([]byte, 4096)
	if network == "udp" {
		device, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for n := 0; ; n++ {
				_, from, err := device.ReadFrom(b)
				if err != nil {
					return
				}
				next(device, from, n)
			}
		}()
		t.Cleanup(func() { device.Close(); <-done })
		return device.LocalAddr().String()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for n := 0; ; n++ {
			if _, err := conn.Read(b); err != nil {
				return
			}
			next(conn, nil, n)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// H-048: what an agent was late itself, because its disk was slow or its machine had other work, is not taken for the device's: a
// reply that came in time is found, and counts as quick. A device that says nothing is left in its time all the same.
func TestAnAgentThatIsLateItselfFindsTheReplyThatCameInTime(t *testing.T) {
	for _, l := range languages() {
		for _, answers := range []bool{true, false} {
			t.Run(l.name+map[bool]string{true: " answers", false: " is silent"}[answers], func(t *testing.T) {
				t.Parallel()
				network := "tcp"
				if strings.HasPrefix(l.name, "SNMP") {
					network = "udp"
				}
				var nonce atomic.Pointer[frame.Nonce]
				at := answering(t, network, func() [][]byte {
					if !answers {
						return nil
					}
					return l.replies(*nonce.Load())
				})
				address := netip.MustParseAddrPort(at)
				question := l.question
				for _, port := range []string{"10161", "11112", "2575", "4001"} {
					question = strings.ReplaceAll(question, `"`+port+`"`, `"`+strings.TrimPrefix(at, "127.0.0.1:")+`"`)
				}
				o := papertest.Options{Question: question, Address: address, Condition: "  limits: {reply: 200ms}\n"}
				if l.device != nil {
					o.Device = func(d *list.Device) { *d = l.device(*d) }
				}
				d := &Dialer{}
				c, err := d.Open(admitted(t, o), &secret.Credential{Community: []byte(secretCommunity)}, laden{takes: 400 * time.Millisecond})
				if err != nil {
					t.Fatal(err)
				}
				c.nonce.RequestID |= 0x01000000 // four octets, as the replies have it
				nonce.Store(&c.nonce)
				q := c.ticket.Task().Query()
				messages := [][]byte{[]byte("\x02I7\x03\x01"), []byte("\x02S\x03"), []byte("\x02S\x03")}
				if !q.Kind().Vendor() {
					all, err := frame.Messages(q, c.nonce)
					if err != nil {
						t.Fatal(err)
					}
					messages = nil
					for _, m := range all {
						messages = append(messages, m.Bytes)
					}
				}
				began := time.Now()
				for _, m := range messages {
					var r Reply
					if r, err = c.Exchange(t.Context(), m); err != nil || r.Last {
						break
					}
				}
				took := time.Since(began)
				c.Close()
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // what lingers is tried elsewhere
				defer cancel()
				d.Wait(ctx)
				s := c.Summary()
				if answers && (err != nil || s.End != Complete && !s.MayEnd || s.RTT > OwnDelay) {
					t.Errorf("%v: %+v", err, s)
				}
				if !answers && (err == nil || s.End != TimedOut || s.Messages != 1 || took > 2*time.Second) {
					t.Errorf("%v after %s: %+v", err, took, s)
				}
			})
		}
	}
}

// H-040, H-048: the device is slow by itself: it answers 2.9 s after our message. The agent's record took 1 s of that, in which
// nothing of the reply had come. The device's time is 2.9 s all the same.
func TestADeviceThatWasSilentAllTheWhileIsNotMadeQuickByASlowDisk(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		b := make([]byte, 4096)
		n, _ := conn.Read(b)
		time.Sleep(2900 * time.Millisecond)
		id := strings.Split(string(b[:n]), "|")[9]
		_, _ = fmt.Fprintf(conn, "\x0bMSH|^~\\&|A|F|PRIMUM|SITE|20260101000000||ACK|1|T|2.5.1\rMSA|AA|%s\r\x1c\r", id)
		_, _ = conn.Read(b)
	}()
	port := strings.TrimPrefix(l.Addr().String(), "127.0.0.1:")
	o := papertest.Options{Address: netip.MustParseAddrPort(l.Addr().String()), Question: `{kind: hl7.ack, port: "` + port + `", hl7_version: 2.5.1, expect: AA}`}
	d := &Dialer{}
	c, err := d.Open(admitted(t, o), nil, laden{takes: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	all, err := frame.Messages(c.ticket.Task().Query(), c.nonce)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Exchange(t.Context(), all[0].Bytes)
	c.Close()
	if s := c.Summary(); err != nil || s.RTT < 2800*time.Millisecond {
		t.Errorf("a device that took 2.9 s counts as %s (limit of distress 2 s): %v %+v", s.RTT, err, s)
	}
}

// H-048: what had come while the machine kept the agent from looking is found when its time is over; nothing is waited for.
func TestWhatCameWhileNobodyLookedIsFound(t *testing.T) {
	for _, there := range []bool{true, false} {
		ours, device := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			if there {
				_, _ = device.Write([]byte("x")) // the reader shows it
			}
		}()
		if err := ours.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		n, err := (&lastLook{Conn: ours, ctx: t.Context()}).Read(make([]byte, 9))
		if (n == 1 && err == nil) != there || !there && !late(err) || time.Since(began) > time.Second {
			t.Errorf("there %v: %d octets, %v", there, n, err)
		}
		ours.Close()
		<-done
	}
}

// H-035: a hold that came while the agent was late breaks the wait off all the same: the deadline that a look sets does not undo it.
func TestALookAfterADelayDoesNotUndoAHold(t *testing.T) {
	ours, device := net.Pipe()
	defer device.Close()
	defer ours.Close()
	ctx, cancel := context.WithCancel(t.Context())
	broken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(broken); _ = ours.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	cancel()
	<-broken
	began := time.Now()
	if _, err := (&lastLook{Conn: ours, ctx: ctx, until: time.Now().Add(10 * time.Second)}).Read(make([]byte, 9)); !late(err) || time.Since(began) > time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}
