package wire

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	"primum/agent/internal/secret"
	list "primum/safetylists"
	"primum/safetylists/frame"
)

// heard keeps what came from the device.
type heard struct {
	unrecorded
	got [][]byte
}

func (h *heard) Got(_ time.Time, message []byte) error {
	h.got = append(h.got, bytes.Clone(message))
	return nil
}

// What a device says stands in the record, be it a reply or not: length and digest are what somebody who looks for the cause
// of a distress has of it. The community that it may repeat does not stand there.
func TestWhatIsNoReplyStandsInTheRecordToo(t *testing.T) {
	of := map[string]language{}
	for _, l := range languages() {
		of[l.name] = l
	}
	blank := strings.Repeat("*", len(secretCommunity))
	for name, c := range map[string]struct {
		language string
		says     func(frame.Nonce) string
		closes   bool
		end      End
	}{
		"a datagram cut short":        {"SNMPv2c", func(n frame.Nonce) string { return string(response(1, n.RequestID)[:40]) }, false, BadReply},
		"an answer to another":        {"SNMPv1", func(n frame.Nonce) string { return string(response(0, n.RequestID^1)) }, false, BadReply},
		"a datagram that is too long": {"SNMPv2c", func(frame.Nonce) string { return strings.Repeat(secretCommunity, 140) }, false, BadReply},
		"a length without sense":      {"DICOM", func(frame.Nonce) string { return "\x02\x00\xff\xff\xff\xff" }, false, BadReply},
		"half a header, and gone":     {"DICOM", func(frame.Nonce) string { return "\x02\x00\x00" }, true, ClosedByDevice},
		"half a PDU":                  {"DICOM", func(frame.Nonce) string { return "\x02\x00\x00\x00\x00\x4c\x00\x01" }, false, BadReply},
		"another protocol":            {"HL7", func(frame.Nonce) string { return "HTTP/1.1 400 Bad Request\r\n\r\n" }, false, BadReply},
		"another control id": {"HL7", func(frame.Nonce) string {
			return "\x0bMSH|^~\\&|A|F|PRIMUM|SITE|20260102030405||ACK|1|T|2.5.1\rMSA|AA|1\r\x1c\r"
		}, false, BadReply},
		"an endless answer": {"a vendor's own", func(frame.Nonce) string { return strings.Repeat("x", 65) }, false, BadReply},
		"nothing":           {"HL7", func(frame.Nonce) string { return "" }, true, ClosedByDevice},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := of[c.language]
			o := papertest.Options{Question: l.question, Address: netip.MustParseAddrPort("127.0.0.1:11112"), Condition: "  limits: {reply: 200ms}\n"}
			if l.device != nil {
				o.Device = func(d *list.Device) { *d = l.device(*d) }
			}
			h := &heard{}
			conv, err := (&Dialer{}).Open(admitted(t, o), &secret.Credential{Community: []byte(secretCommunity)}, h)
			if err != nil {
				t.Fatal(err)
			}
			conv.nonce.RequestID |= 0x01000000 // four octets, as the replies have it
			ours, device := net.Pipe()
			conv.conn, conv.s.Connected = ours, true
			says := c.says(conv.nonce)
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = device.Read(make([]byte, frame.MaxPDUOut)) // what it says is judged by what stands in the record
				_, _ = device.Write([]byte(says))
				if c.closes {
					device.Close()
				}
			}()
			message := []byte("\x02I7\x03\x01")
			if q := conv.ticket.Task().Query(); !q.Kind().Vendor() {
				all, err := frame.Messages(q, conv.nonce)
				if err != nil {
					t.Fatal(err)
				}
				message = all[0].Bytes
			}
			_, err = conv.Exchange(t.Context(), message)
			ours.Close()
			<-done
			device.Close()
			if s := conv.Summary(); err == nil || s.End != c.end || s.Replies != 0 {
				t.Errorf("%v: %+v", err, s)
			}
			var want [][]byte
			if says != "" {
				says = says[:min(len(says), frame.MaxDatagramIn+1)] // more of a datagram is not read
				want = [][]byte{[]byte(strings.ReplaceAll(says, secretCommunity, blank))}
			}
			if len(want) != len(h.got) || len(want) == 1 && !bytes.Equal(want[0], h.got[0]) {
				t.Errorf("in the record stands %q, came %q", h.got, says)
			}
		})
	}
}
