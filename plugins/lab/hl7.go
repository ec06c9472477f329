package lab

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// MLLP block characters and the longest frame (H2).
const (
	blockStart = 0x0B
	blockEnd   = 0x1C
	carriage   = 0x0D
	maxFrame   = 512
)

// message is what the judge needs of an HL7 message in the language.
type message struct {
	control string
}

// readHL7 judges one whole frame against the only template (H2 to H7).
func readHL7(frame []byte, cfg *HL7Config) (message, *breach) {
	var m message
	if len(frame) < 4 || len(frame) > maxFrame || frame[0] != blockStart || !bytes.HasSuffix(frame, []byte{blockEnd, carriage}) {
		return m, &breach{CodeHL7Frame, fmt.Sprintf("%d octets", len(frame))}
	}
	text := frame[1 : len(frame)-2]
	for i, octet := range text {
		if octet != carriage && (octet < 0x20 || octet > 0x7E) {
			return m, &breach{CodeHL7Frame, fmt.Sprintf("octet %d is %02X", i+1, octet)}
		}
	}
	if len(text) == 0 || text[len(text)-1] != carriage {
		return m, &breach{CodeHL7Frame, "last segment does not end"}
	}
	segments := strings.Split(string(text[:len(text)-1]), "\r")
	fields := strings.Split(segments[0], "|")
	if fields[0] != "MSH" || len(fields) < 9 {
		return m, &breach{CodeHL7Template, "no MSH of nine fields"}
	}
	if fields[8] != "NMD^N02^NMD_N02" {
		return m, &breach{CodeHL7Type, fields[8]}
	}
	for _, segment := range segments[1:] {
		if name, _, _ := strings.Cut(segment, "|"); name != "NST" {
			return m, &breach{CodeHL7Segment, fmt.Sprintf("%q", name)}
		}
	}
	if len(fields) < 12 || fields[10] != "T" {
		return m, &breach{CodeHL7Processing, "MSH-11 is not T"}
	}
	stamp, found := strings.CutSuffix(fields[6], "+0000")
	if _, err := time.Parse("20060102150405", stamp); err != nil || !found || len(stamp) != 14 {
		return m, &breach{CodeHL7Template, fmt.Sprintf("MSH-7 is %q", fields[6])}
	}
	control, found := strings.CutPrefix(fields[9], "SP")
	if !found || len(control) != 16 || strings.Trim(control, "0123456789abcdefABCDEF") != "" {
		return m, &breach{CodeHL7Template, fmt.Sprintf("MSH-10 is %q", fields[9])}
	}
	// What is not said by the fields above must be the template to the octet.
	want := "MSH|^~\\&|PRIMUM|" + cfg.Site + "|" + cfg.Application + "|" + cfg.Facility + "|" + fields[6] +
		"||NMD^N02^NMD_N02|" + fields[9] + "|T|" + cfg.Version + "\rNST|N\r"
	if string(text) != want {
		return m, &breach{CodeHL7Template, differs(text, []byte(want))}
	}
	m.control = fields[9]
	return m, nil
}

// exchange is the HL7 language of one connection: one message, one answer.
type exchange struct {
	cfg  *HL7Config
	does Behaviour
	used func(control string) bool
	now  func() time.Time
	said bool
	owed bool
	lost bool
}

var _ language = (*exchange)(nil)

func (e *exchange) take(buf []byte) (int, *breach) {
	switch {
	case e.said:
		return 0, &breach{CodeHL7Second, fmt.Sprintf("%d octets after the message", len(buf))}
	case e.lost || buf[0] != blockStart:
		e.lost = true
		return 0, &breach{CodeHL7Frame, fmt.Sprintf("octet %02X where a frame should start", buf[0])}
	}
	end := bytes.IndexByte(buf, blockEnd)
	switch {
	case end < 0 && len(buf) <= maxFrame-2, end >= 0 && end == len(buf)-1 && end <= maxFrame-2:
		return 0, nil
	case end < 0 || end > maxFrame-2:
		e.lost = true
		return 0, &breach{CodeHL7Frame, fmt.Sprintf("over %d octets", maxFrame)}
	}
	// What follows the end block is judged with it: 1C must be followed by 0D.
	return end + 2, nil
}

func (e *exchange) judge(frame []byte) verdict {
	e.said = true
	m, wrong := readHL7(frame, e.cfg)
	if wrong != nil {
		return verdict{wrong: wrong}
	}
	var v verdict
	if e.used(m.control) {
		v.history = &breach{CodeHL7Reused, m.control}
	}
	e.owed = true
	v.reply = e.acknowledge(m.control)
	return v
}

// acknowledge is the original-mode answer: ACK with MSA, and ERR for a refusal.
func (e *exchange) acknowledge(control string) []byte {
	code := e.cfg.Code
	if e.does.WrongCode != "" {
		code = e.does.WrongCode
	}
	stamp := e.now().UTC().Format("20060102150405") + "+0000"
	id := "LAB" + strings.TrimPrefix(control, "SP")
	if e.does.WrongControlID {
		control = "SP0000000000000000"
	}
	text := "MSH|^~\\&|" + e.cfg.Application + "|" + e.cfg.Facility + "|PRIMUM|" + e.cfg.Site + "|" + stamp +
		"||ACK^N02^ACK|" + id + "|T|" + e.cfg.Version + "\rMSA|" + code + "|" + control + "\r"
	if code == "AR" {
		text += "ERR||MSH^1^9|200^Unsupported message type^HL70357|E\r"
	}
	if e.does.Oversize {
		text += "ZZZ|" + strings.Repeat("X", 20<<10) + "\r"
	}
	return append([]byte{blockStart}, append([]byte(text), blockEnd, carriage)...)
}

func (e *exchange) sent()      { e.owed = false }
func (e *exchange) owes() bool { return e.owed }
func (e *exchange) partial() *breach {
	return &breach{CodeHL7Partial, "connection ended inside a frame"}
}
func (e *exchange) left() *breach { return nil }
