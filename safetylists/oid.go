package safetylists

import (
	"fmt"
	"strconv"
	"strings"
)

// OID is an object identifier of 2 to 128 sub-identifiers, each below 2^32 (RFC 3416 4.1), in dotted
// form without a leading dot. The zero value is no OID.
type OID struct{ dotted string }

// ParseOID reads the dotted form. It refuses a leading dot, leading zeros and anything that has no
// single canonical encoding (S1).
func ParseOID(s string) (OID, error) {
	parts := strings.Split(s, ".")
	if len(parts) < 2 || len(parts) > 128 {
		return OID{}, fmt.Errorf("object identifier %q: needs 2 to 128 numbers between dots", s)
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil || (len(part) > 1 && part[0] == '0') {
			return OID{}, fmt.Errorf("object identifier %q: %q is not a number below 2^32 in shortest form", s, part)
		}
		if i == 0 && n > 2 {
			return OID{}, fmt.Errorf("object identifier %q: the first number is 0, 1 or 2", s)
		}
		if i == 1 && parts[0] != "2" && n > 39 {
			return OID{}, fmt.Errorf("object identifier %q: the second number is at most 39", s)
		}
	}
	return OID{s}, nil
}

// String returns the dotted form without a leading dot.
func (o OID) String() string { return o.dotted }

// Arcs returns the sub-identifiers.
func (o OID) Arcs() []uint32 {
	var arcs []uint32
	for part := range strings.SplitSeq(o.dotted, ".") {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return nil // only the zero OID
		}
		arcs = append(arcs, uint32(n))
	}
	return arcs
}
