package lab

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The judge reads BER by itself and only in its canonical form: odd encodings
// of a legal request have crashed agents before (S1, PROTOS c06).

const (
	tagInteger   = 0x02
	tagOctets    = 0x04
	tagNull      = 0x05
	tagOID       = 0x06
	tagSequence  = 0x30
	tagTimeTicks = 0x43
	tagNoObject  = 0x80
	tagGet       = 0xA0
	tagResponse  = 0xA2
)

// takeTLV reads one canonical tag, length and value off the front of b.
func takeTLV(b []byte) (tag byte, value, rest []byte, err error) {
	if len(b) < 2 {
		return 0, nil, nil, errors.New("ends inside a header")
	}
	tag = b[0]
	if tag&0x1F == 0x1F {
		return 0, nil, nil, fmt.Errorf("tag %02X has a long form", tag)
	}
	length, at := int(b[1]), 2
	if b[1] >= 0x80 {
		size := int(b[1] & 0x7F)
		// Two octets of length are more than a datagram of 484 can need.
		if size == 0 || size > 2 || len(b) < 2+size {
			return 0, nil, nil, fmt.Errorf("length %02X is indefinite, too long or broken off", b[1])
		}
		length = 0
		for _, octet := range b[2 : 2+size] {
			length = length<<8 | int(octet)
		}
		at += size
		if length < 0x80 || (size == 2 && length < 0x100) {
			return 0, nil, nil, fmt.Errorf("length %d is not in its shortest form", length)
		}
	}
	if len(b)-at < length {
		return 0, nil, nil, fmt.Errorf("value of %d octets is broken off", length)
	}
	return tag, b[at : at+length], b[at+length:], nil
}

// takeTagged is takeTLV for a tag that must be there.
func takeTagged(b []byte, want byte) (value, rest []byte, err error) {
	tag, value, rest, err := takeTLV(b)
	if err != nil {
		return nil, nil, err
	}
	if tag != want {
		return nil, nil, fmt.Errorf("tag %02X where %02X belongs", tag, want)
	}
	return value, rest, nil
}

// takeInteger reads a canonical INTEGER that fits 32 bits.
func takeInteger(b []byte) (n int64, rest []byte, err error) {
	value, rest, err := takeTagged(b, tagInteger)
	if err != nil {
		return 0, nil, err
	}
	if len(value) == 0 || len(value) > 4 {
		return 0, nil, fmt.Errorf("integer of %d octets", len(value))
	}
	if len(value) > 1 && (value[0] == 0x00 && value[1] < 0x80 || value[0] == 0xFF && value[1] >= 0x80) {
		return 0, nil, errors.New("integer is padded")
	}
	n = int64(int8(value[0]))
	for _, octet := range value[1:] {
		n = n<<8 | int64(octet)
	}
	return n, rest, nil
}

// decodeOID turns the contents of an OBJECT IDENTIFIER into dotted text.
func decodeOID(value []byte) (string, error) {
	if len(value) == 0 {
		return "", errors.New("object identifier is empty")
	}
	var parts []string
	var sub uint64
	start := true
	for i, octet := range value {
		if start && octet == 0x80 {
			return "", errors.New("sub-identifier is padded")
		}
		start = false
		sub = sub<<7 | uint64(octet&0x7F)
		if sub > 1<<32-1 {
			return "", errors.New("sub-identifier over 32 bits")
		}
		if octet&0x80 != 0 {
			if i == len(value)-1 {
				return "", errors.New("sub-identifier is broken off")
			}
			continue
		}
		if parts == nil {
			first := min(sub/40, 2)
			parts = append(parts, strconv.FormatUint(first, 10), strconv.FormatUint(sub-40*first, 10))
		} else {
			parts = append(parts, strconv.FormatUint(sub, 10))
		}
		// RFC 3416 section 4.1: at most 128 sub-identifiers.
		if len(parts) > 128 {
			return "", errors.New("more than 128 sub-identifiers")
		}
		sub, start = 0, true
	}
	return strings.Join(parts, "."), nil
}

// parseOID encodes dotted text as the contents of an OBJECT IDENTIFIER.
func parseOID(text string) ([]byte, error) {
	parts := strings.Split(text, ".")
	if len(parts) < 2 || len(parts) > 128 {
		return nil, fmt.Errorf("read object identifier %q: too few or too many parts", text)
	}
	numbers := make([]uint64, len(parts))
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read object identifier %q: %w", text, err)
		}
		numbers[i] = n
	}
	if numbers[0] > 2 || numbers[0] < 2 && numbers[1] > 39 {
		return nil, fmt.Errorf("read object identifier %q: no such root", text)
	}
	out := appendBase128(nil, numbers[0]*40+numbers[1])
	for _, n := range numbers[2:] {
		out = appendBase128(out, n)
	}
	return out, nil
}

func appendBase128(b []byte, n uint64) []byte {
	var groups [10]byte
	at := len(groups) - 1
	groups[at] = byte(n & 0x7F)
	for n >>= 7; n > 0; n >>= 7 {
		at--
		groups[at] = byte(n&0x7F) | 0x80
	}
	return append(b, groups[at:]...)
}

func appendTLV(b []byte, tag byte, value []byte) []byte {
	b = append(b, tag)
	switch n := len(value); {
	case n < 0x80:
		b = append(b, byte(n))
	case n < 0x100:
		b = append(b, 0x81, byte(n))
	default:
		b = append(b, 0x82, byte(n>>8), byte(n))
	}
	return append(b, value...)
}

// unsignedOctets is the shortest two's complement form of a number that is not negative.
func unsignedOctets(n uint32) []byte {
	out := []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	for len(out) > 1 && out[0] == 0 && out[1] < 0x80 {
		out = out[1:]
	}
	if out[0] >= 0x80 {
		out = append([]byte{0}, out...)
	}
	return out
}
