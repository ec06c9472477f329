package frame

import (
	"bytes"
	"fmt"
	"strings"

	list "primum/safetylists"
)

const (
	mllpStart  = 0x0b
	mllpEnd    = 0x1c
	mllpReturn = 0x0d

	// SendingApplication is MSH-3 of every message: who we are (G15).
	SendingApplication = "PRIMUM"
	hl7Time            = "20060102150405"
)

// EncodeNMD returns the one HL7 message that can exist (H3): NMD^N02 with NST-1 = N, which carries
// nobody's data and asks for nothing but an acknowledgment, in its MLLP block (H2).
func EncodeNMD(s list.QuerySpec, n Nonce) ([]byte, error) {
	if len(n.ControlID) != 18 || !strings.HasPrefix(n.ControlID, "SP") {
		return nil, fmt.Errorf("encode NMD: control id %q", n.ControlID)
	}
	msg := fmt.Sprintf("MSH|^~\\&|%s|%s|%s|%s|%s+0000||NMD^N02^NMD_N02|%s|T|%s\rNST|N\r",
		SendingApplication, s.Facility, s.ReceivingApp, s.ReceivingFac, n.Time.UTC().Format(hl7Time), n.ControlID, s.HL7Version)
	b := append([]byte{mllpStart}, msg...)
	b = append(b, mllpEnd, mllpReturn)
	if len(b) > MaxHL7Out {
		return nil, fmt.Errorf("encode NMD: %d octets; at most %d", len(b), MaxHL7Out)
	}
	return b, nil
}

// NMD is an NMD^N02 message as it stands in a block.
type NMD struct {
	SendingApp, SendingFac, ReceivingApp, ReceivingFac string
	Time, ControlID, Version                           string
}

// DecodeNMD reads a block about to be sent. It refuses another message type, another segment, a
// processing id other than T, acknowledgment modes (H4 to H7), and every octet that is not printable
// ASCII or the end of a segment.
func DecodeNMD(b []byte) (NMD, error) {
	if len(b) > MaxHL7Out || len(b) < 4 || b[0] != mllpStart || b[len(b)-2] != mllpEnd || b[len(b)-1] != mllpReturn {
		return NMD{}, fmt.Errorf("not one MLLP block of at most %d octets", MaxHL7Out)
	}
	text := b[1 : len(b)-2]
	for _, c := range text {
		if (c < 0x20 || c > 0x7e) && c != '\r' {
			return NMD{}, fmt.Errorf("octet %02X in the message", c)
		}
	}
	segments := strings.Split(string(text), "\r")
	if len(segments) != 3 || segments[1] != "NST|N" || segments[2] != "" {
		return NMD{}, fmt.Errorf("segments other than MSH and NST|N")
	}
	f := strings.Split(segments[0], "|")
	if len(f) != 12 || f[0] != "MSH" || f[1] != `^~\&` {
		return NMD{}, fmt.Errorf("MSH does not have twelve fields with the standard separators")
	}
	if f[7] != "" || f[8] != "NMD^N02^NMD_N02" || f[10] != "T" {
		return NMD{}, fmt.Errorf("MSH-8, MSH-9 or MSH-11 is not that of the approved message")
	}
	return NMD{f[2], f[3], f[4], f[5], f[6], f[9], f[11]}, nil
}

func (m NMD) matches(s list.QuerySpec, n Nonce) error {
	want := NMD{SendingApplication, s.Facility, s.ReceivingApp, s.ReceivingFac, n.Time.UTC().Format(hl7Time) + "+0000", n.ControlID, s.HL7Version}
	if m != want {
		return fmt.Errorf("a field of MSH is not the approved one")
	}
	return nil
}

// BlockEnd looks for the end of an MLLP block in what a device has sent so far. It returns the length
// of the block, 0 while it is not whole, and fails with ErrReply when it cannot become one: no start
// octet, more than 4 KiB, or octets after the end (H11).
func BlockEnd(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if b[0] != mllpStart {
		return 0, fmt.Errorf("MLLP block begins with %02X: %w", b[0], ErrReply)
	}
	i := bytes.Index(b, []byte{mllpEnd, mllpReturn})
	switch {
	case i < 0 && len(b) > MaxHL7In, i+2 > MaxHL7In:
		return 0, fmt.Errorf("MLLP block of more than %d octets: %w", MaxHL7In, ErrReply)
	case i < 0:
		return 0, nil
	case i+2 != len(b):
		return 0, fmt.Errorf("octets after the MLLP block: %w", ErrReply)
	default:
		return i + 2, nil
	}
}

// Ack is what the conversation itself needs of an acknowledgment.
type Ack struct{ Code, ControlID string }

// ReadAck reads MSA-1 and MSA-2 of a block, by the field separator that the device declares in MSH-1
// (HL7 v2.5.1 2.5.4). It fails with ErrReply when there is no MSA. The rest is dropped unread (H11).
func ReadAck(block []byte) (Ack, error) {
	if n, err := BlockEnd(block); err != nil || n == 0 {
		return Ack{}, fmt.Errorf("acknowledgment block: %w", ErrReply)
	}
	text := block[1 : len(block)-2]
	if len(text) < 4 || !bytes.HasPrefix(text, []byte("MSH")) {
		return Ack{}, fmt.Errorf("acknowledgment without MSH: %w", ErrReply)
	}
	sep := text[3:4]
	for segment := range bytes.SplitSeq(text, []byte{'\r'}) {
		f := bytes.Split(segment, sep)
		if string(f[0]) != "MSA" {
			continue
		}
		if len(f) < 3 || len(f[1]) > 2 || len(f[2]) > 199 {
			return Ack{}, fmt.Errorf("MSA: %w", ErrReply)
		}
		return Ack{string(f[1]), string(f[2])}, nil
	}
	return Ack{}, fmt.Errorf("acknowledgment without MSA: %w", ErrReply)
}
