package frame

import (
	"errors"
	"fmt"
	"slices"

	list "primum/safetylists"
)

// Get is an SNMPv2c GetRequest as it stands in a datagram (RFC 3416 4.2.1, WIRE-RULES 2.2).
type Get struct {
	Community []byte
	RequestID uint32
	OIDs      []string
}

// EncodeGet returns the one canonical encoding. It fails above 484 octets or for a bad request-id.
func EncodeGet(oids []string, requestID uint32, community []byte) ([]byte, error) {
	if requestID == 0 || requestID > 1<<31-1 {
		return nil, fmt.Errorf("encode GetRequest: request-id %d is not 1 to 2^31-1", requestID)
	}
	if len(oids) == 0 || len(oids) > list.MaxOIDs || len(community) > 32 {
		return nil, fmt.Errorf("encode GetRequest: %d objects and a community of %d octets", len(oids), len(community))
	}
	var bindings []byte
	for _, text := range oids {
		oid, err := list.ParseOID(text)
		if err != nil {
			return nil, fmt.Errorf("encode GetRequest: %w", err)
		}
		bindings = append(bindings, berElement(tagSequence, append(berOID(oid.Arcs()), tagNull, 0))...)
	}
	pdu := slices.Concat(berInteger(requestID), berInteger(0), berInteger(0), berElement(tagSequence, bindings))
	msg := berElement(tagSequence, slices.Concat(berInteger(1), berElement(tagOctets, community), berElement(tagGet, pdu)))
	if len(msg) > MaxDatagramOut {
		return nil, fmt.Errorf("encode GetRequest: %d octets; at most %d (RFC 3417 3.2)", len(msg), MaxDatagramOut)
	}
	return msg, nil
}

// DecodeGet reads a GetRequest about to be sent. It refuses every other PDU and every encoding but
// the shortest.
func DecodeGet(b []byte) (Get, error) {
	if len(b) > MaxDatagramOut {
		return Get{}, fmt.Errorf("datagram of %d octets; at most %d", len(b), MaxDatagramOut)
	}
	top := berReader{b}
	msg, err := top.want(tagSequence, true)
	if err != nil {
		return Get{}, err
	}
	if err := top.end(); err != nil {
		return Get{}, err
	}
	var g Get
	r := berReader{msg}
	if v, err := r.integer(true); err != nil || v != 1 {
		return Get{}, fmt.Errorf("version %d is not SNMPv2c: %w", v, errBER)
	}
	if g.Community, err = r.want(tagOctets, true); err != nil || len(g.Community) > 32 {
		return Get{}, fmt.Errorf("community: %w", errBER)
	}
	pdu, err := r.want(tagGet, true)
	if err != nil {
		return Get{}, fmt.Errorf("PDU: %w", err)
	}
	if err := r.end(); err != nil {
		return Get{}, err
	}
	r = berReader{pdu}
	if g.RequestID, err = r.integer(true); err != nil || g.RequestID == 0 {
		return Get{}, fmt.Errorf("request-id: %w", errBER)
	}
	for range 2 { // error-status and error-index
		if v, err := r.integer(true); err != nil || v != 0 {
			return Get{}, fmt.Errorf("error-status or error-index: %w", errBER)
		}
	}
	bindings, err := r.want(tagSequence, true)
	if err != nil {
		return Get{}, err
	}
	if err := r.end(); err != nil {
		return Get{}, err
	}
	g.OIDs, err = decodeNullBindings(bindings)
	return g, err
}

func decodeNullBindings(b []byte) ([]string, error) {
	var oids []string
	for r := (berReader{b}); len(r.b) > 0; {
		binding, err := r.want(tagSequence, true)
		if err != nil {
			return nil, err
		}
		v := berReader{binding}
		content, err := v.want(tagOID, true)
		if err != nil {
			return nil, err
		}
		oid, err := readOID(content)
		if err != nil {
			return nil, err
		}
		null, err := v.want(tagNull, true)
		if err != nil || len(null) != 0 {
			return nil, fmt.Errorf("value of %s is not NULL", oid)
		}
		if err := v.end(); err != nil {
			return nil, err
		}
		if len(oids) == list.MaxOIDs || slices.Contains(oids, oid) {
			return nil, fmt.Errorf("object %s is one too many", oid)
		}
		oids = append(oids, oid)
	}
	return oids, nil
}

func (g Get) matches(oids []string, requestID uint32) error {
	switch {
	case len(g.Community) != 0:
		return fmt.Errorf("a plugin may not name a community")
	case g.RequestID != requestID:
		return fmt.Errorf("request-id %d is not the one given", g.RequestID)
	case !slices.Equal(g.OIDs, oids):
		return fmt.Errorf("objects %v are not the approved ones", g.OIDs)
	}
	return nil
}

// ErrReply says that a reply does not belong to the conversation or breaks its protocol.
var ErrReply = errors.New("malformed reply")

// CheckResponse reads the frame of an SNMP reply: SNMPv2c, our community, a Response PDU with our
// request-id (S2: id 0 is never accepted). It returns the reply with the community blanked, so that
// no plugin and no record sees it. Values are left to the plugin, inside the sandbox (B10). Lengths
// need not be shortest: agents of other makers pad them, and nothing of the reply is sent on.
func CheckResponse(b []byte, requestID uint32, community []byte) ([]byte, error) {
	top := berReader{b}
	msg, err := top.want(tagSequence, false)
	if err != nil || len(top.b) != 0 || len(b) > MaxDatagramIn {
		return nil, fmt.Errorf("SNMP frame: %w", ErrReply)
	}
	r := berReader{msg}
	version, err := r.integer(false)
	if err != nil || version != 1 {
		return nil, fmt.Errorf("SNMP version: %w", ErrReply)
	}
	got, err := r.want(tagOctets, false)
	if err != nil || !slices.Equal(got, community) {
		return nil, fmt.Errorf("SNMP community: %w", ErrReply)
	}
	body := r.b
	pdu, err := r.want(tagResponse, false)
	if err != nil || len(r.b) != 0 {
		return nil, fmt.Errorf("SNMP PDU: %w", ErrReply)
	}
	p := berReader{pdu}
	if id, err := p.integer(false); err != nil || id != requestID || id == 0 {
		return nil, fmt.Errorf("SNMP request-id: %w", ErrReply)
	}
	return berElement(tagSequence, slices.Concat(berInteger(1), berElement(tagOctets, nil), body)), nil
}
