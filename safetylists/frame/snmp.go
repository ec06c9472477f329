package frame

import (
	"errors"
	"fmt"
	"slices"

	list "primum/safetylists"
)

// Version is the version field of an SNMP message (RFC 3584 2.1).
type Version uint32

// The versions.
const (
	V1  Version = 0
	V2c Version = 1
	V3  Version = 3
)

// VersionOf returns the version that a question is asked in.
func VersionOf(q list.Query) Version {
	switch q.Spec().SNMPVersion {
	case list.SNMPv1:
		return V1
	case list.SNMPv3:
		return V3
	default:
		return V2c
	}
}

// envelope is the version that a plugin speaks. It never speaks version 3: what is signed and encrypted
// is made by the agent, which alone has the keys (WIRE-RULES 0.2).
func (v Version) envelope() Version {
	if v == V3 {
		return V2c
	}
	return v
}

// Get is a GetRequest of SNMPv1 or v2c as it stands in a datagram (RFC 1157 4.1.2, RFC 3416 4.2.1,
// WIRE-RULES 2.2).
type Get struct {
	Version   Version
	Community []byte
	RequestID uint32
	OIDs      []string
}

// EncodeGet returns the one canonical encoding. It fails above 484 octets or for a bad request-id.
func EncodeGet(v Version, oids []string, requestID uint32, community []byte) ([]byte, error) {
	if v != V1 && v != V2c {
		return nil, fmt.Errorf("encode GetRequest: version %d has no community", v)
	}
	if len(community) > 32 {
		return nil, fmt.Errorf("encode GetRequest: community of %d octets", len(community))
	}
	pdu, err := encodeGetPDU(oids, requestID)
	if err != nil {
		return nil, err
	}
	msg := berElement(tagSequence, slices.Concat(berInteger(uint32(v)), berElement(tagOctets, community), pdu))
	if len(msg) > MaxDatagramOut {
		return nil, fmt.Errorf("encode GetRequest: %d octets; at most %d (RFC 3417 3.2)", len(msg), MaxDatagramOut)
	}
	return msg, nil
}

// encodeGetPDU is the GetRequest itself, which is the same in every version.
func encodeGetPDU(oids []string, requestID uint32) ([]byte, error) {
	if requestID == 0 || requestID > 1<<31-1 {
		return nil, fmt.Errorf("encode GetRequest: request-id %d is not 1 to 2^31-1", requestID)
	}
	if len(oids) == 0 || len(oids) > list.MaxOIDs {
		return nil, fmt.Errorf("encode GetRequest: %d objects", len(oids))
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
	return berElement(tagGet, pdu), nil
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
	version, err := r.integer(true)
	if err != nil || Version(version) != V1 && Version(version) != V2c {
		return Get{}, fmt.Errorf("version %d is not SNMPv1 or v2c: %w", version, errBER)
	}
	g.Version = Version(version)
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

func (g Get) matches(v Version, oids []string, requestID uint32) error {
	switch {
	case g.Version != v.envelope():
		return fmt.Errorf("version field %d is not the approved one", g.Version)
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

// CheckResponse reads the frame of a reply of SNMPv1 or v2c: the version and community asked with, a Response PDU with our
// request-id (S2: id 0 is never accepted). It returns the reply with the community blanked, so that
// no plugin and no record sees it. Values are left to the plugin, inside the sandbox (B10). Lengths
// need not be shortest: agents of other makers pad them, and nothing of the reply is sent on.
func CheckResponse(b []byte, v Version, requestID uint32, community []byte) ([]byte, error) {
	top := berReader{b}
	msg, err := top.want(tagSequence, false)
	if err != nil || len(top.b) != 0 || len(b) > MaxDatagramIn {
		return nil, fmt.Errorf("SNMP frame: %w", ErrReply)
	}
	r := berReader{msg}
	version, err := r.integer(false)
	if err != nil || Version(version) != v {
		return nil, fmt.Errorf("SNMP version: %w", ErrReply)
	}
	got, err := r.want(tagOctets, false)
	if err != nil || !slices.Equal(got, community) {
		return nil, fmt.Errorf("SNMP community: %w", ErrReply)
	}
	if err := checkResponsePDU(r.b, requestID); err != nil {
		return nil, err
	}
	return blanked(v, r.b), nil
}

// checkResponsePDU holds the frame of one Response to the request-id that is outstanding.
func checkResponsePDU(b []byte, requestID uint32) error {
	r := berReader{b}
	pdu, err := r.want(tagResponse, false)
	if err != nil || len(r.b) != 0 {
		return fmt.Errorf("SNMP PDU: %w", ErrReply)
	}
	p := berReader{pdu}
	if id, err := p.integer(false); err != nil || id != requestID || id == 0 {
		return fmt.Errorf("SNMP request-id: %w", ErrReply)
	}
	return nil
}

// blanked is a PDU in the envelope that a plugin reads, without a community.
func blanked(v Version, pdu []byte) []byte {
	return berElement(tagSequence, slices.Concat(berInteger(uint32(v.envelope())), berElement(tagOctets, nil), pdu))
}
