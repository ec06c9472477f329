package lab

import (
	"fmt"
	"strings"
)

// The serial line of a bedside rack, as its maker's manual has it: the unit's two digits and a letter between
// STX and ETX, then a check octet. It is spoken over TCP, one connection a visit. "I" asks for the identity, once
// and first; "S" with three digits of the asker's asks for the status, once or twice. Nothing else exists.
const (
	serialStart  = 0x02
	serialEnd    = 0x03
	identityAsk  = 'I'
	statusAsk    = 'S'
	mostStatuses = 2
)

// rack is the language of one connection to a rack.
type rack struct {
	cfg        *LineConfig
	does       Behaviour
	version    string
	model      string
	serial     string
	identified bool
	statuses   int
	owed       bool
	lost       bool
}

var _ language = (*rack)(nil)

// take judges every octet as it comes: there is one place in which each may stand.
func (r *rack) take(buf []byte) (int, *breach) {
	if r.lost {
		return 0, &breach{CodeSerialFrame, fmt.Sprintf("%d octets after a broken frame", len(buf))}
	}
	for i, octet := range buf {
		end, right := r.place(buf, i, octet)
		if !right {
			r.lost = true
			return 0, &breach{CodeSerialFrame, fmt.Sprintf("octet %d is %02X", i+1, octet)}
		}
		if end {
			return i + 1, nil
		}
	}
	return 0, nil
}

func (r *rack) place(buf []byte, i int, octet byte) (end, right bool) {
	switch i {
	case 0:
		return false, octet == serialStart
	case 1, 2:
		return false, octet == r.cfg.Unit[i-1]
	case 3:
		return false, octet == identityAsk || octet == statusAsk
	}
	last := 5
	if buf[3] == statusAsk {
		last = 8
	}
	switch {
	case i == last:
		return true, octet == buf[1]^buf[2]^buf[3] // of the head, so that it does not hang on the asker's digits
	case i == last-1:
		return false, octet == serialEnd
	default:
		return false, octet >= '0' && octet <= '9'
	}
}

func (r *rack) judge(message []byte) verdict {
	letter := message[3]
	switch {
	case r.owed:
		return verdict{wrong: &breach{CodeSerialOrder, "sent before the device had answered"}}
	case letter == identityAsk && (r.identified || r.statuses > 0):
		return verdict{wrong: &breach{CodeSerialOrder, "the identity is asked once and first"}}
	case letter == statusAsk && !r.identified:
		return verdict{wrong: &breach{CodeSerialOrder, "the status comes after the identity"}}
	case letter == statusAsk && r.statuses == mostStatuses:
		return verdict{wrong: &breach{CodeSerialCount, fmt.Sprintf("the status was asked %d times already", mostStatuses)}}
	}
	r.owed = true
	if letter == identityAsk {
		r.identified = true
		return verdict{reply: r.answer("I" + r.model + ";" + r.version + ";" + r.serial)}
	}
	r.statuses++
	state := "OK"
	if r.does.Oversize {
		state = strings.Repeat("K", 20<<10)
	}
	return verdict{reply: r.answer("S" + string(message[4:7]) + ";" + state + ";" + fmt.Sprintf("%06d", r.cfg.Hours))}
}

// answer frames a text; its check octet is over the unit and the text.
func (r *rack) answer(text string) []byte {
	text = r.cfg.Unit + text
	check := byte(0)
	for i := range len(text) {
		check ^= text[i]
	}
	return append(append([]byte{serialStart}, text...), serialEnd, check)
}

func (r *rack) sent()      { r.owed = false }
func (r *rack) owes() bool { return r.owed }
func (r *rack) partial() *breach {
	return &breach{CodeSerialPartial, "connection ended inside a frame"}
}
func (r *rack) left() *breach { return nil }
