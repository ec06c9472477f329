package frame

import (
	"fmt"
	"slices"

	list "primum/safetylists"
)

// Flags of an SNMPv3 message (RFC 3412 6.4).
const (
	FlagAuth       = 0x01
	FlagPrivacy    = 0x02
	FlagReportable = 0x04
)

const (
	tagReport   = 0xa8
	userModel   = 3    // User-based Security Model (RFC 3411 5)
	maxSizeV3   = 1472 // msgMaxSize: what we read (S6, S9)
	maxEngine   = 32   // octets of an snmpEngineID (RFC 3411 5)
	minEngine   = 5
	maxUserName = 32 // RFC 3414 2.4
)

// Secured is an SNMPv3 message with its USM parameters (RFC 3412 6, RFC 3414 2.4).
type Secured struct {
	MessageID uint32
	Flags     byte
	EngineID  []byte
	Boots     uint32
	Time      uint32 // snmpEngineTime, seconds
	User      []byte
	MAC       []byte // msgAuthenticationParameters
	Salt      []byte // msgPrivacyParameters
	Scoped    []byte // scoped PDU: the whole plain element, or the octets of the encrypted one
}

// Encode returns the canonical encoding, and where in it the octets of MAC begin. The level of Flags says
// whether Scoped is encrypted. It fails above 484 octets, which every engine takes (RFC 3417 3.2).
func (m Secured) Encode() (b []byte, macAt int, err error) {
	if m.MessageID == 0 || m.MessageID > 1<<31-1 || m.Boots > 1<<31-1 || m.Time > 1<<31-1 ||
		len(m.EngineID) > maxEngine || len(m.User) > maxUserName || len(m.MAC) > 48 || len(m.Salt) > 8 {
		return nil, 0, fmt.Errorf("encode SNMPv3 message: a field is out of its range")
	}
	header := berElement(tagSequence, slices.Concat(berInteger(m.MessageID), berInteger(maxSizeV3),
		berElement(tagOctets, []byte{m.Flags}), berInteger(userModel)))
	salt := berElement(tagOctets, m.Salt)
	usm := berElement(tagSequence, slices.Concat(berElement(tagOctets, m.EngineID), berInteger(m.Boots), berInteger(m.Time),
		berElement(tagOctets, m.User), berElement(tagOctets, m.MAC), salt))
	scoped := m.Scoped
	if m.Flags&FlagPrivacy != 0 {
		scoped = berElement(tagOctets, scoped)
	}
	b = berElement(tagSequence, slices.Concat(berInteger(uint32(V3)), header, berElement(tagOctets, usm), scoped))
	if len(b) > MaxDatagramOut {
		return nil, 0, fmt.Errorf("encode SNMPv3 message: %d octets; at most %d (RFC 3417 3.2)", len(b), MaxDatagramOut)
	}
	return b, len(b) - len(scoped) - len(salt) - len(m.MAC), nil
}

// DecodeSecured reads the frame of an SNMPv3 message, and where in b the octets of its MAC begin. Nothing in
// it is verified yet. Lengths need not be shortest. It fails with ErrReply. The fields share memory with b.
func DecodeSecured(b []byte) (m Secured, macAt int, err error) {
	bad := func(what string) (Secured, int, error) {
		return Secured{}, 0, fmt.Errorf("SNMPv3 %s: %w", what, ErrReply)
	}
	top := berReader{b}
	msg, err := top.want(tagSequence, false)
	if err != nil || len(top.b) != 0 || len(b) > MaxDatagramIn {
		return bad("frame")
	}
	r := berReader{msg}
	if v, err := r.integer(false); err != nil || Version(v) != V3 {
		return bad("version")
	}
	header, err := r.want(tagSequence, false)
	if err != nil {
		return bad("header")
	}
	h := berReader{header}
	id, idErr := h.integer(false)
	size, sizeErr := h.integer(false)
	flags, flagErr := h.want(tagOctets, false)
	model, modelErr := h.integer(false)
	if idErr != nil || sizeErr != nil || size < 484 || flagErr != nil || len(flags) != 1 || modelErr != nil || model != userModel || len(h.b) != 0 {
		return bad("header")
	}
	m.MessageID, m.Flags = id, flags[0]
	if m.Flags&(FlagAuth|FlagPrivacy) == FlagPrivacy { // RFC 3412 7.2 5d
		return bad("flags")
	}
	if macAt, err = m.decodeUSM(&r, cap(b)); err != nil {
		return bad("security parameters")
	}
	if m.Flags&FlagPrivacy != 0 {
		m.Scoped, err = r.want(tagOctets, false)
	} else {
		m.Scoped, r.b = r.b, nil
	}
	if err != nil || len(r.b) != 0 || len(m.Scoped) == 0 {
		return bad("data")
	}
	return m, macAt, nil
}

// decodeUSM reads the security parameters. capacity is that of the whole message: an inner slice reaches to
// the same end, so that the difference of capacities is where it begins.
func (m *Secured) decodeUSM(r *berReader, capacity int) (macAt int, err error) {
	outer, err := r.want(tagOctets, false)
	if err != nil {
		return 0, err
	}
	o := berReader{outer}
	usm, err := o.want(tagSequence, false)
	if err != nil || len(o.b) != 0 {
		return 0, errBER
	}
	u := berReader{usm}
	for _, f := range []func() error{
		func() error { m.EngineID, err = u.want(tagOctets, false); return err },
		func() error { m.Boots, err = u.integer(false); return err },
		func() error { m.Time, err = u.integer(false); return err },
		func() error { m.User, err = u.want(tagOctets, false); return err },
		func() error { m.MAC, err = u.want(tagOctets, false); return err },
		func() error { m.Salt, err = u.want(tagOctets, false); return err },
	} {
		if err := f(); err != nil {
			return 0, err
		}
	}
	if len(u.b) != 0 || len(m.EngineID) > maxEngine || len(m.User) > maxUserName || len(m.MAC) > 48 || len(m.Salt) > 8 {
		return 0, errBER
	}
	return capacity - cap(m.MAC), nil
}

// EncodeScoped returns the scoped PDU of a GetRequest, before encryption: the context is the engine's own
// and has no name (S10).
func EncodeScoped(engineID []byte, oids []string, requestID uint32) ([]byte, error) {
	pdu, err := encodeGetPDU(oids, requestID)
	if err != nil {
		return nil, err
	}
	return scoped(engineID, pdu), nil
}

func scoped(engineID, pdu []byte) []byte {
	return berElement(tagSequence, slices.Concat(berElement(tagOctets, engineID), berElement(tagOctets, nil), pdu))
}

// EncodeDiscovery returns the message that asks an engine who it is: not signed, without a user and without
// objects (RFC 3414 4, S6).
func EncodeDiscovery(messageID, requestID uint32) ([]byte, error) {
	pdu := berElement(tagGet, slices.Concat(berInteger(requestID), berInteger(0), berInteger(0), berElement(tagSequence, nil)))
	b, _, err := Secured{MessageID: messageID, Flags: FlagReportable, Scoped: scoped(nil, pdu)}.Encode()
	return b, err
}

// Report is what an engine says instead of an answer (RFC 3414 3.2, RFC 3412 7.1).
type Report string

// The reports, by the counter that they name. Anything else is ReportOther.
const (
	NoReport         Report = ""
	UnsupportedLevel Report = "usmStatsUnsupportedSecLevels"
	NotInTimeWindow  Report = "usmStatsNotInTimeWindows"
	UnknownUser      Report = "usmStatsUnknownUserNames"
	UnknownEngine    Report = "usmStatsUnknownEngineIDs"
	WrongDigest      Report = "usmStatsWrongDigests"
	DecryptionError  Report = "usmStatsDecryptionErrors"
	ReportOther      Report = "another report"
)

// reportOf names a counter of usmStats (1.3.6.1.6.3.15.1.1).
func reportOf(oid string) Report {
	switch oid {
	case "1.3.6.1.6.3.15.1.1.1.0":
		return UnsupportedLevel
	case "1.3.6.1.6.3.15.1.1.2.0":
		return NotInTimeWindow
	case "1.3.6.1.6.3.15.1.1.3.0":
		return UnknownUser
	case "1.3.6.1.6.3.15.1.1.4.0":
		return UnknownEngine
	case "1.3.6.1.6.3.15.1.1.5.0":
		return WrongDigest
	case "1.3.6.1.6.3.15.1.1.6.0":
		return DecryptionError
	default:
		return ReportOther
	}
}

// OpenScoped reads a plain scoped PDU: a Response to the outstanding request of the engine asked, or a Report.
// Padding after it, which DES leaves, is let pass where padded says so. A response comes back in the envelope
// of version 2c without a community, for a plugin. It fails with ErrReply.
func OpenScoped(b, engineID []byte, requestID uint32, padded bool) (shown []byte, report Report, err error) {
	bad := func(what string) ([]byte, Report, error) {
		return nil, NoReport, fmt.Errorf("SNMPv3 %s: %w", what, ErrReply)
	}
	top := berReader{b}
	body, err := top.want(tagSequence, false)
	if err != nil || len(top.b) != 0 && !(padded && len(top.b) < 8) {
		return bad("scoped PDU")
	}
	r := berReader{body}
	engine, err := r.want(tagOctets, false)
	if err != nil {
		return bad("context engine")
	}
	name, err := r.want(tagOctets, false)
	if err != nil || len(name) != 0 {
		return bad("context name")
	}
	if len(r.b) > 0 && r.b[0] == tagReport {
		if report, err = readReport(r.b); err != nil {
			return bad("report")
		}
		return nil, report, nil
	}
	if !slices.Equal(engine, engineID) {
		return bad("context engine")
	}
	if err := checkResponsePDU(r.b, requestID); err != nil {
		return nil, NoReport, err
	}
	return blanked(V3, r.b), NoReport, nil
}

// Renumbered returns a response that OpenScoped has shown with another request-id, that which the plugin knows.
func Renumbered(shown []byte, requestID uint32) []byte {
	top := berReader{shown}
	msg, _ := top.want(tagSequence, false)
	r := berReader{msg}
	_, _ = r.integer(false)
	_, _ = r.want(tagOctets, false)
	pdu, _ := r.want(tagResponse, false)
	p := berReader{pdu}
	if _, err := p.integer(false); err != nil {
		return nil // what OpenScoped shows has one
	}
	return blanked(V3, berElement(tagResponse, slices.Concat(berInteger(requestID), p.b)))
}

func readReport(b []byte) (Report, error) {
	r := berReader{b}
	pdu, err := r.want(tagReport, false)
	if err != nil || len(r.b) != 0 {
		return NoReport, errBER
	}
	p := berReader{pdu}
	for range 3 { // request-id, which may be 0, error-status, error-index
		if _, err := p.integer(false); err != nil {
			return NoReport, err
		}
	}
	bindings, err := p.want(tagSequence, false)
	if err != nil || len(p.b) != 0 {
		return NoReport, errBER
	}
	l := berReader{bindings}
	binding, err := l.want(tagSequence, false)
	if err != nil || len(l.b) != 0 {
		return NoReport, errBER
	}
	v := berReader{binding}
	oid, err := v.want(tagOID, false)
	if err != nil {
		return NoReport, err
	}
	name, err := readOID(oid)
	if err != nil {
		return NoReport, err
	}
	return reportOf(name), nil
}

// Engine is what an engine has said of itself.
type Engine struct {
	ID    []byte
	Boots uint32
	Time  uint32 // seconds since it started
}

// ReadDiscovery reads the report that answers a discovery. It fails with ErrReply.
func ReadDiscovery(b []byte, messageID uint32) (Engine, error) {
	m, _, err := DecodeSecured(b)
	if err != nil {
		return Engine{}, err
	}
	if m.MessageID != messageID || m.Flags&(FlagAuth|FlagPrivacy) != 0 || len(m.EngineID) < minEngine {
		return Engine{}, fmt.Errorf("SNMPv3 discovery: %w", ErrReply)
	}
	_, report, err := OpenScoped(m.Scoped, m.EngineID, 0, false)
	if err != nil || report != UnknownEngine {
		return Engine{}, fmt.Errorf("SNMPv3 discovery: answered with %q: %w", report, ErrReply)
	}
	return Engine{slices.Clone(m.EngineID), m.Boots, m.Time}, nil
}

func getWords(v Version, s list.QuerySpec) string {
	name := "SNMPv2c"
	switch v {
	case V1:
		name = "SNMPv1"
	case V3:
		name = "SNMPv3"
	}
	return fmt.Sprintf("%s GetRequest for %d objects", name, len(s.OIDs))
}

// v3Messages shows an SNMPv3 question to a person: the discovery as it is sent, and the request as it is
// before wire adds the engine's identity, signs it and encrypts it.
func v3Messages(q list.Query, n Nonce) ([]Message, error) {
	s := q.Spec()
	discovery, err := EncodeDiscovery(n.RequestID, n.RequestID)
	if err != nil {
		return nil, err
	}
	plain, err := EncodeScoped(nil, s.OIDs, n.RequestID)
	if err != nil {
		return nil, err
	}
	how := ", before it is signed with " + s.Auth
	if s.Privacy != "" {
		how += " and encrypted with " + s.Privacy
	}
	return []Message{
		{discovery, "SNMPv3 discovery of the engine, only where it is not known yet"},
		{plain, getWords(V3, s) + how},
	}, nil
}
