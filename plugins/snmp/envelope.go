package snmp

import (
	"errors"

	"github.com/gosnmp/gosnmp"
)

// BER tags of a response (RFC 3416 3, X.690).
const (
	tagInteger  = 0x02
	tagOctets   = 0x04
	tagObject   = 0x06
	tagSequence = 0x30
	tagResponse = 0xa2
)

var errShape = errors.New("the message is not a whole SNMP response")

// header is what a response says before its objects.
type header struct{ requestID, errorStatus, errorIndex uint32 }

// envelope walks the structure of a response before gosnmp sees it. gosnmp is lenient where a
// check must not be: it cuts numbers (an error status of 256 reads as none), takes a value that
// overruns its frame by one octet, and takes any kind of PDU. Long-form lengths are taken here as well, because
// real agents send them; whole and exactly nested they must be.
func envelope(want gosnmp.SnmpVersion, b []byte) (h header, err error) {
	message, rest, ok := element(b, tagSequence)
	if !ok || len(rest) != 0 {
		return header{}, errShape
	}
	version, message, ok := element(message, tagInteger)
	if !ok || len(version) != 1 || version[0] != byte(want) {
		return header{}, errShape
	}
	_, message, ok = element(message, tagOctets) // blanked by the agent; never looked at (S11)
	if !ok {
		return header{}, errShape
	}
	pdu, rest, ok := element(message, tagResponse)
	if !ok || len(rest) != 0 {
		return header{}, errShape
	}
	for _, number := range []*uint32{&h.requestID, &h.errorStatus, &h.errorIndex} {
		var n []byte
		if n, pdu, ok = element(pdu, tagInteger); !ok || len(n) < 1 || len(n) > 4 || n[0]&0x80 != 0 {
			return header{}, errShape
		}
		for _, octet := range n {
			*number = *number<<8 | uint32(octet)
		}
	}
	list, rest, ok := element(pdu, tagSequence)
	if !ok || len(rest) != 0 {
		return header{}, errShape
	}
	for count := 0; len(list) > 0; count++ {
		var bind []byte
		if bind, list, ok = element(list, tagSequence); !ok || count == maxOIDs {
			return header{}, errShape
		}
		if _, bind, ok = element(bind, tagObject); !ok || len(bind) == 0 {
			return header{}, errShape
		}
		if _, rest, ok = element(bind, bind[0]); !ok || len(rest) != 0 {
			return header{}, errShape
		}
	}
	return h, nil
}

// element splits off one element with the tag. Lengths are definite and within the octets there are.
func element(b []byte, tag byte) (content, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != tag {
		return nil, nil, false
	}
	n, b := int(b[1]), b[2:]
	if n >= 0x80 {
		octets := n & 0x7f
		if octets < 1 || octets > 2 || len(b) < octets {
			return nil, nil, false
		}
		n = 0
		for _, o := range b[:octets] {
			n = n<<8 | int(o)
		}
		b = b[octets:]
	}
	if n > len(b) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}
