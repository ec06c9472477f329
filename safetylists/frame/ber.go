package frame

import (
	"errors"
	"fmt"
)

// BER tags that occur in SNMPv2c messages (RFC 3416, RFC 2578 7.1).
const (
	tagInteger  = 0x02
	tagOctets   = 0x04
	tagNull     = 0x05
	tagOID      = 0x06
	tagSequence = 0x30
	tagGet      = 0xa0
	tagResponse = 0xa2
)

var errBER = errors.New("not in shortest BER form")

// berReader reads shortest-form BER: anything that has another encoding is refused, for crashes came
// from odd encodings, not from odd values (S1, CERT CA-2002-03).
type berReader struct{ b []byte }

// next takes one element. canonical requires the shortest definite length.
func (r *berReader) next(canonical bool) (tag byte, content []byte, err error) {
	if len(r.b) < 2 {
		return 0, nil, errBER
	}
	tag = r.b[0]
	if tag&0x1f == 0x1f {
		return 0, nil, errBER // tags of more than one octet do not occur
	}
	length, n := int(r.b[1]), 2
	if length >= 0x80 {
		size := length & 0x7f
		if size == 0 || size > 2 || len(r.b) < 2+size {
			return 0, nil, errBER
		}
		length = 0
		for _, c := range r.b[2 : 2+size] {
			length = length<<8 | int(c)
		}
		if canonical && (length < 0x80 || size == 2 && length < 0x100) {
			return 0, nil, errBER
		}
		n = 2 + size
	}
	if len(r.b)-n < length {
		return 0, nil, errBER
	}
	content, r.b = r.b[n:n+length], r.b[n+length:]
	return tag, content, nil
}

// want takes one element of the given tag.
func (r *berReader) want(tag byte, canonical bool) ([]byte, error) {
	got, content, err := r.next(canonical)
	if err != nil {
		return nil, err
	}
	if got != tag {
		return nil, fmt.Errorf("element %02X where %02X belongs", got, tag)
	}
	return content, nil
}

// integer takes a non-negative INTEGER below 2^31 in shortest form.
func (r *berReader) integer(canonical bool) (uint32, error) {
	c, err := r.want(tagInteger, canonical)
	if err != nil {
		return 0, err
	}
	if len(c) == 0 || len(c) > 5 || c[0] >= 0x80 {
		return 0, errBER
	}
	if canonical && len(c) > 1 && c[0] == 0 && c[1] < 0x80 {
		return 0, errBER
	}
	var v uint64
	for _, b := range c {
		v = v<<8 | uint64(b)
	}
	if v > 1<<31-1 {
		return 0, errBER
	}
	return uint32(v), nil
}

func (r *berReader) end() error {
	if len(r.b) != 0 {
		return fmt.Errorf("%d octets after the end", len(r.b))
	}
	return nil
}

func berElement(tag byte, content []byte) []byte {
	n := len(content)
	out := make([]byte, 0, n+4)
	switch {
	case n < 0x80:
		out = append(out, tag, byte(n))
	case n < 0x100:
		out = append(out, tag, 0x81, byte(n))
	default:
		out = append(out, tag, 0x82, byte(n>>8), byte(n))
	}
	return append(out, content...)
}

func berInteger(v uint32) []byte {
	c := []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
	for len(c) > 1 && c[0] == 0 && c[1] < 0x80 {
		c = c[1:]
	}
	return berElement(tagInteger, c)
}

// berOID writes an object identifier; arcs has at least two entries.
func berOID(arcs []uint32) []byte {
	var c []byte
	c = appendBase128(c, uint64(arcs[0])*40+uint64(arcs[1]))
	for _, a := range arcs[2:] {
		c = appendBase128(c, uint64(a))
	}
	return berElement(tagOID, c)
}

func appendBase128(b []byte, v uint64) []byte {
	var tmp [10]byte
	i := len(tmp) - 1
	tmp[i] = byte(v & 0x7f)
	for v >>= 7; v > 0; v >>= 7 {
		i--
		tmp[i] = byte(v&0x7f) | 0x80
	}
	return append(b, tmp[i:]...)
}

// readOID reads the content of an OBJECT IDENTIFIER in shortest form as dotted text.
func readOID(c []byte) (string, error) {
	if len(c) == 0 || len(c) > 5*128 {
		return "", errBER
	}
	var out []byte
	var v uint64
	start, arcs := true, 0
	for _, b := range c {
		if start && b == 0x80 {
			return "", errBER // a leading zero group
		}
		v = v<<7 | uint64(b&0x7f)
		if v >= 1<<32+80 {
			return "", errBER
		}
		start = b < 0x80
		if !start {
			continue
		}
		if arcs == 0 {
			first := min(v/40, 2)
			out = appendArc(out, first)
			out = appendArc(append(out, '.'), v-40*first)
			arcs = 2
		} else {
			if v >= 1<<32 {
				return "", errBER
			}
			out = appendArc(append(out, '.'), v)
			arcs++
		}
		v = 0
	}
	if !start || arcs > 128 {
		return "", errBER
	}
	return string(out), nil
}

func appendArc(b []byte, v uint64) []byte { return fmt.Appendf(b, "%d", v) }
