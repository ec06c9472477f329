package frame

import (
	"encoding/binary"
	"fmt"
)

// Event is what a PDU from the device means to the conversation.
type Event uint8

// The events. The zero value is none of them and ends the conversation.
const (
	EventNone      Event = iota
	EventAccepted        // A-ASSOCIATE-AC, our context accepted
	EventNoContext       // A-ASSOCIATE-AC, our context refused: release, no echo (D4)
	EventRejected        // A-ASSOCIATE-RJ: close, send nothing (D4)
	EventEchoed          // C-ECHO-RSP, whatever its status: release
	EventReleased        // A-RELEASE-RP: close
	EventAborted         // A-ABORT: close, send nothing (D4)
)

// PDULength reads the header of a PDU from the device: its whole length with the header. It fails
// before anything is allocated when the type is unknown or the PDU is larger than 16 KiB (D8).
func PDULength(header [6]byte) (int, error) {
	n := binary.BigEndian.Uint32(header[2:])
	if header[0] < pduAssociateRQ || header[0] > pduAbort || n > MaxPDUIn {
		return 0, fmt.Errorf("PDU type %02X of %d octets: %w", header[0], n, ErrReply)
	}
	return 6 + int(n), nil
}

// ReadPDU reads as much of a PDU from the device as the conversation needs, and says what it means.
// It fails with ErrReply on a PDU that breaks PS3.8 or has no place here.
func ReadPDU(b []byte) (Event, error) {
	if len(b) < 6 {
		return EventNone, fmt.Errorf("PDU cut short: %w", ErrReply)
	}
	if n, err := PDULength([6]byte(b)); err != nil || n != len(b) {
		return EventNone, fmt.Errorf("PDU length: %w", ErrReply)
	}
	body := b[6:]
	switch b[0] {
	case pduAssociateAC:
		return readAC(body)
	case pduAssociateRJ:
		return fixedPDU(body, EventRejected)
	case pduReleaseRP:
		return fixedPDU(body, EventReleased)
	case pduAbort:
		return fixedPDU(body, EventAborted)
	case pduData:
		return readEchoRSP(body)
	default:
		return EventNone, fmt.Errorf("PDU type %02X has no place here: %w", b[0], ErrReply)
	}
}

func fixedPDU(body []byte, e Event) (Event, error) {
	if len(body) != 4 {
		return EventNone, fmt.Errorf("PDU of %d octets where 4 belong: %w", len(body), ErrReply)
	}
	return e, nil
}

func readAC(body []byte) (Event, error) {
	if len(body) < 68 {
		return EventNone, fmt.Errorf("A-ASSOCIATE-AC cut short: %w", ErrReply)
	}
	found, accepted := false, false
	r := itemReader{body[68:]}
	for items := 0; len(r.b) > 0; items++ {
		kind, content, err := r.next()
		if err != nil || items == 64 {
			return EventNone, fmt.Errorf("A-ASSOCIATE-AC items: %w", ErrReply)
		}
		if kind != itemContextAC {
			continue
		}
		if found || len(content) < 4 || content[0] != contextID {
			return EventNone, fmt.Errorf("A-ASSOCIATE-AC names a context that was not proposed: %w", ErrReply)
		}
		found, accepted = true, content[2] == 0
	}
	switch {
	case !found:
		return EventNone, fmt.Errorf("A-ASSOCIATE-AC without our context: %w", ErrReply)
	case accepted:
		return EventAccepted, nil
	default:
		return EventNoContext, nil
	}
}

// readEchoRSP requires one whole command fragment on our context that is a C-ECHO-RSP to message 1
// (PS3.7 9.3.5.2). The status is for the plugin.
func readEchoRSP(body []byte) (Event, error) {
	bad := func(what string) (Event, error) {
		return EventNone, fmt.Errorf("C-ECHO-RSP: %s: %w", what, ErrReply)
	}
	if len(body) < 6 || uint64(binary.BigEndian.Uint32(body)) != uint64(len(body)-4) || body[4] != contextID || body[5] != lastCommandPiece {
		return bad("not one whole command fragment on context 1")
	}
	command, answers := false, false
	last := -1
	for r := (elementReader{body[6:]}); len(r.b) > 0; {
		number, value, err := r.next()
		if err != nil || int(number) <= last {
			return bad("elements")
		}
		last = int(number)
		switch number {
		case 0x0100:
			command = len(value) == 2 && binary.LittleEndian.Uint16(value) == 0x8030
		case 0x0120:
			answers = len(value) == 2 && binary.LittleEndian.Uint16(value) == 1
		}
	}
	if !command || !answers {
		return bad("not the response to our message")
	}
	return EventEchoed, nil
}
