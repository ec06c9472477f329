package wire

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	list "primum/safetylists"
	"primum/safetylists/frame"
)

// A device that has begun a handshake and does not come to its end is not one that is switched off, and nothing
// of the question is on the wire.
func TestAHandshakeThatIsBegunAndNotEndedIsAMalformedReply(t *testing.T) {
	for name, says := range map[string][]byte{
		"a header":               {0x16, 3, 3, 0, 80},
		"half a header":          {0x16, 3},
		"a hello without an end": append([]byte{0x16, 3, 3, 0, 80, 2, 0, 0, 76, 3, 3}, make([]byte, 20)...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			heard := make(chan []byte, 1)
			go func() {
				conn, err := l.Accept()
				if err != nil {
					heard <- nil
					return
				}
				defer conn.Close()
				_, _ = conn.Write(says)
				b, _ := io.ReadAll(conn)
				heard <- b
			}()
			o := papertest.Options{Address: netip.MustParseAddrPort(l.Addr().String()), Device: func(d *list.Device) { d.TLSPin = strings.Repeat("ab", 32) }}
			o.Question = `{kind: dicom.echo, port: "` + strings.TrimPrefix(l.Addr().String(), "127.0.0.1:") + `", calling_ae: PRIMUM, tls: true}`
			d := &Dialer{}
			c, err := d.Open(admitted(t, o), nil, unrecorded{})
			if err != nil {
				t.Fatal(err)
			}
			c.deadline = time.Now().Add(300 * time.Millisecond)
			all, err := frame.Messages(c.ticket.Task().Query(), c.nonce)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Exchange(t.Context(), all[0].Bytes)
			c.Close()
			d.Wait(t.Context())
			if s := c.Summary(); err == nil || s.End != BadReply || s.Messages != 0 || !strings.Contains(s.Detail, "no end in time") {
				t.Errorf("%v: %+v", err, s)
			}
			if b := <-heard; len(b) < 5 || b[0] != 0x16 || strings.Contains(string(b), "PRIMUM") {
				t.Errorf("on the wire: % x", b)
			}
		})
	}
}

// What a hold cuts short is not the device's doing: it had no time to come to its end (H-035).
func TestAReplyThatAHoldCutsShortIsNotMalformed(t *testing.T) {
	for name, says := range map[string]string{"half": "\x02\x00\x00\x00\x00\x4c\x00\x01", "nothing": ""} {
		var passed atomic.Int64
		d := &Dialer{Now: func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }}
		c, err := d.Open(admitted(t, papertest.Options{Question: `{kind: dicom.echo, port: "11112", calling_ae: PRIMUM}`, Address: netip.MustParseAddrPort("127.0.0.1:11112")}), nil, unrecorded{})
		if err != nil {
			t.Fatal(err)
		}
		ours, device := net.Pipe()
		c.conn, c.s.Connected = ours, true
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = device.Read(make([]byte, frame.MaxPDUOut))
			_, _ = io.WriteString(device, says)
			passed.Store(int64(48 * time.Hour)) // the approved time is over
			cancel()
		}()
		all, err := frame.Messages(c.ticket.Task().Query(), c.nonce)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Exchange(ctx, all[0].Bytes)
		<-done
		if s := c.Summary(); err == nil || s.End != Halted || s.Refusal == nil {
			t.Errorf("%s: %v: %+v", name, err, s)
		}
		ours.Close()
		device.Close()
	}
}
