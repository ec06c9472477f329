package example

import (
	"fmt"
	"strconv"
	"strings"
)

// tlv is one element in shortest form; the agent lets no other form through.
func tlv(tag byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	out := []byte{tag}
	switch {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 0x100:
		out = append(out, 0x81, byte(n))
	default:
		out = append(out, 0x82, byte(n>>8), byte(n))
	}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// take splits off one element whose length is within the octets there are.
func take(b []byte, tag byte) (content, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != tag {
		return nil, nil, false
	}
	n, b := int(b[1]), b[2:]
	switch {
	case n == 0x81 && len(b) > 0:
		n, b = int(b[0]), b[1:]
	case n == 0x82 && len(b) > 1:
		n, b = int(b[0])<<8|int(b[1]), b[2:]
	case n >= 0x80:
		return nil, nil, false
	}
	if n > len(b) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

func encodeInt(n uint32) []byte {
	var content []byte
	for ; n > 0; n >>= 8 {
		content = append([]byte{byte(n)}, content...)
	}
	if len(content) == 0 || content[0]&0x80 != 0 {
		content = append([]byte{0}, content...)
	}
	return tlv(0x02, content)
}

func encodeOID(oid string) ([]byte, error) {
	arcs := strings.Split(oid, ".")
	if len(arcs) < 3 || arcs[0] != "1" || arcs[1] != "3" {
		return nil, fmt.Errorf("object %q is not below 1.3", oid)
	}
	out := []byte{1*40 + 3}
	for _, arc := range arcs[2:] {
		n, err := strconv.ParseUint(arc, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read object %q: %w", oid, err)
		}
		septets := []byte{byte(n & 0x7f)}
		for n >>= 7; n > 0; n >>= 7 {
			septets = append([]byte{byte(n) | 0x80}, septets...)
		}
		out = append(out, septets...)
	}
	return out, nil
}
