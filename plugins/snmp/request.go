package snmp

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gosnmp/gosnmp"

	"primum/plugins/sdk"
)

const (
	maxOIDs = 16
	// maxRequest is what every agent must be able to take (RFC 3417 3.2, G6), the community not
	// counted.
	maxRequest = 484
)

// encode builds the GetRequest in shortest form with an empty community: the only encoding that
// the agent lets through (S1).
func encode(q sdk.SNMPGet) ([]byte, error) {
	if q.RequestID < 1 || q.RequestID > math.MaxInt32 {
		return nil, fmt.Errorf("request id %d is not within 1 to 2^31-1", q.RequestID)
	}
	if len(q.OIDs) < 1 || len(q.OIDs) > maxOIDs {
		return nil, fmt.Errorf("%d objects, 1 to %d are allowed", len(q.OIDs), maxOIDs)
	}
	vars := make([]gosnmp.SnmpPDU, 0, len(q.OIDs))
	for i, oid := range q.OIDs {
		if err := checkOID(oid); err != nil {
			return nil, err
		}
		if slices.Contains(q.OIDs[:i], oid) {
			return nil, fmt.Errorf("object %s is asked for twice", oid)
		}
		vars = append(vars, gosnmp.SnmpPDU{Name: oid, Type: gosnmp.Null})
	}
	version, err := versionOf(q)
	if err != nil {
		return nil, err
	}
	codec := gosnmp.GoSNMP{Version: version}
	// The encoder counts up before it writes.
	codec.SetRequestID(q.RequestID - 1)
	out, err := codec.SnmpEncodePacket(gosnmp.GetRequest, vars, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	if len(out) > maxRequest {
		return nil, fmt.Errorf("request of %d octets, at most %d are allowed", len(out), maxRequest)
	}
	return out, nil
}

func versionOf(q sdk.SNMPGet) (gosnmp.SnmpVersion, error) {
	switch q.Version {
	case sdk.SNMPv1:
		return gosnmp.Version1, nil
	case sdk.SNMPv2c:
		return gosnmp.Version2c, nil
	default:
		return 0, fmt.Errorf("version %d of SNMP is not spoken here", q.Version)
	}
}

// checkOID takes one spelling only, so that equal objects are equal texts. gosnmp would also take a
// leading dot, empty arcs and leading zeros.
func checkOID(oid string) error {
	arcs := strings.Split(oid, ".")
	if len(arcs) < 2 || len(arcs) > 128 { // RFC 3416 4.1
		return fmt.Errorf("object %q has %d parts, 2 to 128 are allowed", oid, len(arcs))
	}
	var first, second uint64
	for i, arc := range arcs {
		n, err := strconv.ParseUint(arc, 10, 32)
		if err != nil || strconv.FormatUint(n, 10) != arc {
			return fmt.Errorf("object %q is not written as numbers and dots", oid)
		}
		switch i {
		case 0:
			first = n
		case 1:
			second = n
		}
	}
	// X.690 8.19.4
	if first > 2 || first < 2 && second > 39 || second > math.MaxUint32-80 {
		return fmt.Errorf("object %q has no encoding", oid)
	}
	return nil
}
