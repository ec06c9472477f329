package lab

import (
	"fmt"
	"slices"
)

// maxDatagram is what every SNMP entity must be able to take (RFC 3417 3.2).
const maxDatagram = 484

// snmpRequest is a GetRequest that is in the device's approved language.
type snmpRequest struct {
	id   int64
	oids []string
}

// readSNMP judges one datagram against the language of WIRE-RULES 2.2: a v2c
// GetRequest in canonical BER, this community, these OIDs and nothing else.
func readSNMP(raw []byte, community string, approved []string) (snmpRequest, *breach) {
	var req snmpRequest
	if len(raw) > maxDatagram {
		return req, &breach{CodeSNMPSize, fmt.Sprintf("%d octets", len(raw))}
	}
	bad := func(err error) (snmpRequest, *breach) { return req, &breach{CodeSNMPBER, err.Error()} }
	body, rest, err := takeTagged(raw, tagSequence)
	if err != nil {
		return bad(err)
	}
	if len(rest) != 0 {
		return bad(fmt.Errorf("%d octets after the message", len(rest)))
	}
	version, body, err := takeInteger(body)
	if err != nil {
		return bad(err)
	}
	if version != 1 {
		return req, &breach{CodeSNMPVersion, fmt.Sprintf("version field %d", version)}
	}
	secret, body, err := takeTagged(body, tagOctets)
	if err != nil {
		return bad(err)
	}
	kind, pdu, rest, err := takeTLV(body)
	if err != nil {
		return bad(err)
	}
	if len(rest) != 0 {
		return bad(fmt.Errorf("%d octets after the PDU", len(rest)))
	}
	// The community is compared before the PDU: guessing one is a breach
	// whatever is asked with it (S4). It is never written down.
	if string(secret) != community {
		return req, &breach{CodeSNMPCommunity, fmt.Sprintf("%d octets that are not the community", len(secret))}
	}
	if kind != tagGet {
		return req, &breach{CodeSNMPType, fmt.Sprintf("PDU tag %02X", kind)}
	}
	id, pdu, err := takeInteger(pdu)
	if err != nil {
		return bad(err)
	}
	status, pdu, err := takeInteger(pdu)
	if err != nil {
		return bad(err)
	}
	index, pdu, err := takeInteger(pdu)
	if err != nil {
		return bad(err)
	}
	list, rest, err := takeTagged(pdu, tagSequence)
	if err != nil {
		return bad(err)
	}
	if len(rest) != 0 {
		return bad(fmt.Errorf("%d octets after the variable bindings", len(rest)))
	}
	var filled bool
	for len(list) > 0 {
		var item, name []byte
		if item, list, err = takeTagged(list, tagSequence); err != nil {
			return bad(err)
		}
		if name, item, err = takeTagged(item, tagOID); err != nil {
			return bad(err)
		}
		tag, value, rest, err := takeTLV(item)
		if err != nil {
			return bad(err)
		}
		if len(rest) != 0 || tag == tagNull && len(value) != 0 {
			return bad(fmt.Errorf("variable binding has octets too many"))
		}
		filled = filled || tag != tagNull
		oid, err := decodeOID(name)
		if err != nil {
			return bad(err)
		}
		req.oids = append(req.oids, oid)
	}
	req.id = id
	switch {
	case id <= 0:
		return req, &breach{CodeSNMPRequestID, fmt.Sprintf("request-id %d", id)}
	case status != 0 || index != 0:
		return req, &breach{CodeSNMPField, fmt.Sprintf("error-status %d, error-index %d", status, index)}
	case filled:
		return req, &breach{CodeSNMPField, "a value that is not NULL"}
	case len(req.oids) == 0:
		return req, &breach{CodeSNMPField, "no variable binding"}
	}
	for i, oid := range req.oids {
		if !slices.Contains(approved, oid) {
			return req, &breach{CodeSNMPOID, oid}
		}
		if slices.Contains(req.oids[:i], oid) {
			return req, &breach{CodeSNMPOID, oid + " twice in one message"}
		}
	}
	return req, nil
}

// snmpValue is what a device answers for one OID.
type snmpValue struct {
	tag   byte
	value []byte
}

// snmpAnswer encodes the Response to a request.
func snmpAnswer(community string, id int64, oids []string, values map[string]snmpValue) []byte {
	var list []byte
	for _, oid := range oids {
		name, err := parseOID(oid)
		if err != nil {
			continue
		}
		item := appendTLV(nil, tagOID, name)
		v, known := values[oid]
		if !known {
			v = snmpValue{tag: tagNoObject}
		}
		list = appendTLV(list, tagSequence, appendTLV(item, v.tag, v.value))
	}
	pdu := appendTLV(nil, tagInteger, unsignedOctets(uint32(id)))
	pdu = append(pdu, tagInteger, 1, 0, tagInteger, 1, 0)
	pdu = appendTLV(pdu, tagSequence, list)
	message := []byte{tagInteger, 1, 1}
	message = appendTLV(message, tagOctets, []byte(community))
	message = appendTLV(message, tagResponse, pdu)
	return appendTLV(nil, tagSequence, message)
}

// snmpMemory remembers what was asked, to see what is asked again (S2).
type snmpMemory struct {
	ids  map[int64]bool
	seen map[string]bool
}

// repeated says whether a request, or its id, came before.
func (m *snmpMemory) repeated(raw []byte, id int64) *breach {
	if m.seen[string(raw)] {
		return &breach{CodeSNMPRepeated, "the same octets again"}
	}
	if m.ids[id] {
		return &breach{CodeSNMPReused, fmt.Sprintf("request-id %d", id)}
	}
	if m.ids == nil {
		m.ids, m.seen = map[int64]bool{}, map[string]bool{}
	}
	m.ids[id] = true
	m.seen[string(raw)] = true
	return nil
}
