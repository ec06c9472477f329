package dicom

import (
	"encoding/binary"
	"errors"
)

// Values of a command set (PS3.7 E.1).
const (
	fieldEchoRQ        = 0x0030
	fieldEchoRSP       = 0x8030
	noDataSet          = 0x0101
	controlLastCommand = 0x03 // PS3.8 E.2: command, last fragment
)

var errCommand = errors.New("the command set is broken")

// commandOf takes the command set out of a P-DATA-TF (PS3.8 9.3.5). A reply to a C-ECHO is about 80
// octets: it comes in one fragment, or it is not one.
func commandOf(b []byte) ([]byte, error) {
	if len(b) < 6 {
		return nil, errLength
	}
	if n := binary.BigEndian.Uint32(b[:4]); uint64(n) != uint64(len(b)-4) {
		return nil, errors.New("the P-DATA-TF does not hold one whole value")
	}
	if b[4] != contextID || b[5] != controlLastCommand {
		return nil, errors.New("the P-DATA-TF does not hold one whole command of our context")
	}
	return b[6:], nil
}

// response is what counts in a C-ECHO-RSP (PS3.7 table 9.3-13).
type response struct {
	field     uint16
	messageID uint16 // being responded to
	status    uint16
}

// readCommand reads a command set: group 0000 only, ascending, of even length, whole (PS3.7 6.3.1).
// Elements that are not asked for, such as an error comment, are passed over unread: they may
// hold anything (H-025).
func readCommand(b []byte) (response, error) {
	var r response
	var seen struct{ length, field, messageID, dataSet, status bool }
	last := -1
	for count := 0; len(b) > 0; count++ {
		if count == maxItems || len(b) < 8 {
			return response{}, errCommand
		}
		group, element := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
		n, rest := binary.LittleEndian.Uint32(b[4:]), b[8:]
		if group != 0 || int(element) <= last || n%2 != 0 || uint64(n) > uint64(len(rest)) {
			return response{}, errCommand
		}
		value := rest[:n]
		last, b = int(element), rest[n:]
		if count == 0 && element != 0x0000 {
			return response{}, errCommand
		}
		switch element {
		case 0x0000: // group length, first and true
			if n != 4 || uint64(binary.LittleEndian.Uint32(value)) != uint64(len(b)) {
				return response{}, errCommand
			}
			seen.length = true
		case 0x0002: // affected SOP class; optional in a reply
			if uid(value) != uidVerification {
				return response{}, errors.New("the reply is about another SOP class")
			}
		case 0x0100:
			seen.field = number(value, &r.field)
		case 0x0120:
			seen.messageID = number(value, &r.messageID)
		case 0x0800:
			var set uint16
			if seen.dataSet = number(value, &set); seen.dataSet && set != noDataSet {
				return response{}, errors.New("the reply announces a data set")
			}
		case 0x0900:
			seen.status = number(value, &r.status)
		}
	}
	if !seen.length || !seen.field {
		return response{}, errCommand
	}
	// Another command has other elements; that it is another is all that is wanted of it.
	if r.field == fieldEchoRSP && !(seen.messageID && seen.dataSet && seen.status) {
		return response{}, errors.New("the reply to the C-ECHO is not complete")
	}
	return r, nil
}

func number(b []byte, to *uint16) bool {
	if len(b) != 2 {
		return false
	}
	*to = binary.LittleEndian.Uint16(b)
	return true
}
