package agent

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	"primum/safetylists/evidence"
)

// peer is a device of the test's own that takes one connection and does with it what it is told.
func peer(t *testing.T, address string, do func(net.Conn)) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return // the test is over
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second)) // it fails with the connection
		do(conn)
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
}

// H-022, S9, D8, H11: a device that never ends, one that dribbles, and one that announces more than there can be are
// left within the cap, after one message, and cost no more memory than the longest reply there is.
func TestAnEndlessOrSlowDeviceIsLeftWithinTheCap(t *testing.T) {
	ack := `{kind: hl7.ack, port: "12576", hl7_version: 2.5.1, expect: AA}`
	echo := `{kind: dicom.echo, port: "12576", calling_ae: PRIMUM}`
	for name, c := range map[string]struct {
		question string
		do       func(net.Conn)
		want     evidence.State
	}{
		"an acknowledgment without an end": {ack, func(conn net.Conn) {
			chunk := bytes.Repeat([]byte("x"), 1024)
			_, err := conn.Write([]byte("\x0bMSH|"))
			for range 4096 {
				if err != nil {
					return
				}
				_, err = conn.Write(chunk)
			}
		}, evidence.Distress},
		"an octet now and then": {ack, func(conn net.Conn) {
			for range 200 {
				if _, err := conn.Write([]byte{0x0b}); err != nil {
					return
				}
				time.Sleep(50 * time.Millisecond) // the device's own pace
			}
		}, evidence.Distress},
		"a PDU of four gigabytes": {echo, func(conn net.Conn) {
			if _, err := conn.Write([]byte{2, 0, 0xff, 0xff, 0xff, 0xff}); err == nil {
				_, _ = conn.Read(make([]byte, 4096)) // what is read decides nothing
			}
		}, evidence.Distress},
		"silence after the association": {echo, func(conn net.Conn) {
			for {
				if _, err := conn.Read(make([]byte, 4096)); err != nil {
					return
				}
			}
		}, evidence.Absent},
	} {
		t.Run(name, func(t *testing.T) {
			peer(t, "127.0.0.1:12576", c.do)
			p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:12576"), Question: c.question,
				Condition: "  limits: {reply: 1s, cap: 2s}\n"})
			h := newAgent(t, p, nil)
			h.hand()
			before := time.Now()
			h.order(p.Permit(t, nil))
			got := h.outcome()
			if took := time.Since(before); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
			if got.State != c.want || got.Messages != 1 {
				t.Errorf("%+v, want %s after one message", got, c.want)
			}
		})
	}
}

// H-025: a reply that names a person leaves nothing of it in any record.
func TestNothingBeyondTheQuestionsFieldsIsKept(t *testing.T) {
	const canary = "CANARYSMITH"
	peer(t, "127.0.0.1:12577", func(conn net.Conn) {
		buf := make([]byte, 4096)
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		id := strings.Split(string(buf[:n]), "|")[9]
		reply := fmt.Sprintf("\x0bMSH|^~\\&|%[1]s|%[1]s|PRIMUM|SITE|20260101000000||ACK|1|T|2.5.1\rMSA|AA|%[2]s|%[1]s\rPID|1||4711||%[1]s^ANNA\r\x1c\r", canary, id)
		_, _ = conn.Write([]byte(reply)) // the outcome shows whether it came
		_, _ = conn.Read(buf)
	})
	p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:12577"), Question: `{kind: hl7.ack, port: "12577", hl7_version: 2.5.1, expect: AA}`})
	h := newAgent(t, p, nil)
	h.hand()
	h.order(p.Permit(t, nil))
	if got := h.outcome(); got.State != evidence.Answered {
		t.Fatalf("%+v", got)
	}
	all, err := h.journal.Read(1, 1<<20, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range all {
		if bytes.Contains(b, []byte(canary)) || bytes.Contains(b, []byte("4711")) {
			t.Errorf("record %d: %s", i+1, b)
		}
	}
}

// H-028, H8: an acknowledgment with another code than the allowance expects is an incident: the message may have
// gone where it should not.
func TestAnUnexpectedAcknowledgmentIsAnIncident(t *testing.T) {
	for code, want := range map[string]evidence.State{"AA": evidence.Answered, "AR": evidence.Incident, "AE": evidence.Incident, "CA": evidence.Incident} {
		t.Run(code, func(t *testing.T) {
			peer(t, "127.0.0.1:12582", func(conn net.Conn) {
				buf := make([]byte, 4096)
				n, err := conn.Read(buf)
				if err != nil {
					return
				}
				id := strings.Split(string(buf[:n]), "|")[9]
				_, _ = fmt.Fprintf(conn, "\x0bMSH|^~\\&|A|F|PRIMUM|SITE|20260101000000||ACK|1|T|2.5.1\rMSA|%s|%s\r\x1c\r", code, id) // the outcome shows it
				_, _ = conn.Read(buf)
			})
			p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:12582"), Question: `{kind: hl7.ack, port: "12582", hl7_version: 2.5.1, expect: AA}`})
			h := newAgent(t, p, nil)
			h.hand()
			h.order(p.Permit(t, nil))
			if got := h.outcome(); got.State != want {
				t.Errorf("%s: %+v", code, got)
			}
		})
	}
}

// G3, G7: a closed port is a final answer: one datagram or one SYN, no second port, no second try.
func TestAClosedPortIsAskedOnce(t *testing.T) {
	for name, question := range map[string]string{
		"snmp": `{kind: snmp.get, port: "12583", oids: [1.3.6.1.2.1.1.1.0]}`, "dicom": `{kind: dicom.echo, port: "12583", calling_ae: PRIMUM}`,
		"hl7": `{kind: hl7.ack, port: "12583", hl7_version: 2.5.1, expect: AA}`,
	} {
		t.Run(name, func(t *testing.T) {
			seen := startCapture(t, "port 12583")
			p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:12583"), Question: question})
			h := newAgent(t, p, nil)
			h.hand()
			h.order(p.Permit(t, nil))
			if got := h.outcome(); got.State != evidence.Absent {
				t.Errorf("%+v", got)
			}
			if lines := seen.lines(); count(lines, `> 127\.0\.0\.1\.12583: `) != 1 {
				t.Errorf("on the wire:\n%s", strings.Join(lines, "\n"))
			}
		})
	}
}
