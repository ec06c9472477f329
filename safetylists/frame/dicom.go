package frame

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	list "primum/safetylists"
)

// Identity that we state in every association. The UID is made from a UUID as PS3.5 B.2 allows, for
// we have no registered root; it impersonates nobody.
const (
	ImplementationClassUID = "2.25.42518425406806382630395214803693149218"
	MaxLengthReceived      = 16384

	applicationContext = "1.2.840.10008.3.1.1.1"
	verificationClass  = "1.2.840.10008.1.1"
	implicitLittle     = "1.2.840.10008.1.2"
)

// PDU types (PS3.8 9.3.1) and items (PS3.8 9.3.2, PS3.7 D.3.3).
const (
	pduAssociateRQ = 0x01
	pduAssociateAC = 0x02
	pduAssociateRJ = 0x03
	pduData        = 0x04
	pduReleaseRQ   = 0x05
	pduReleaseRP   = 0x06
	pduAbort       = 0x07

	itemApplication  = 0x10
	itemContextRQ    = 0x20
	itemContextAC    = 0x21
	itemAbstract     = 0x30
	itemTransfer     = 0x40
	itemUser         = 0x50
	itemMaxLength    = 0x51
	itemClassUID     = 0x52
	itemVersionName  = 0x55
	contextID        = 1
	lastCommandPiece = 0x03
)

func pdu(kind byte, body []byte) []byte {
	b := append(make([]byte, 0, 6+len(body)), kind, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

func item(kind byte, body ...[]byte) []byte {
	all := bytes.Join(body, nil)
	b := append(make([]byte, 0, 4+len(all)), kind, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(all)))
	return append(b, all...)
}

// EncodeAssociateRQ returns the one A-ASSOCIATE-RQ that can exist (D1): one presentation context,
// Verification with Implicit VR Little Endian.
func EncodeAssociateRQ(called, calling, versionName string) ([]byte, error) {
	if len(called) > 16 || len(calling) > 16 || len(versionName) > 16 {
		return nil, fmt.Errorf("encode A-ASSOCIATE-RQ: AE title or version name longer than 16")
	}
	body := []byte{0, 1, 0, 0}
	body = append(body, padAE(called)...)
	body = append(body, padAE(calling)...)
	body = append(body, make([]byte, 32)...)
	body = append(body, item(itemApplication, []byte(applicationContext))...)
	body = append(body, item(itemContextRQ, []byte{contextID, 0, 0, 0},
		item(itemAbstract, []byte(verificationClass)), item(itemTransfer, []byte(implicitLittle)))...)
	user := [][]byte{item(itemMaxLength, binary.BigEndian.AppendUint32(nil, MaxLengthReceived)), item(itemClassUID, []byte(ImplementationClassUID))}
	if versionName != "" {
		user = append(user, item(itemVersionName, []byte(versionName)))
	}
	return pdu(pduAssociateRQ, append(body, item(itemUser, user...)...)), nil
}

func padAE(s string) string { return s + strings.Repeat(" ", 16-len(s)) }

// EncodeEchoRQ returns the P-DATA-TF with the C-ECHO-RQ, 80 octets (D3, PS3.7 9.3.5.1): a command
// set is always Implicit VR Little Endian (PS3.7 6.3.1).
func EncodeEchoRQ(messageID uint16) []byte {
	set := element(0x0002, []byte(verificationClass+"\x00"))
	set = append(set, element(0x0100, le16(0x0030))...)
	set = append(set, element(0x0110, le16(messageID))...)
	set = append(set, element(0x0800, le16(0x0101))...)
	group := element(0x0000, binary.LittleEndian.AppendUint32(nil, uint32(len(set))))
	set = append(group, set...)
	pdv := binary.BigEndian.AppendUint32(nil, uint32(len(set)+2))
	pdv = append(pdv, contextID, lastCommandPiece)
	return pdu(pduData, append(pdv, set...))
}

func element(number uint16, value []byte) []byte {
	b := []byte{0, 0}
	b = binary.LittleEndian.AppendUint16(b, number)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}

func le16(v uint16) []byte { return binary.LittleEndian.AppendUint16(nil, v) }

// EncodeReleaseRQ returns the A-RELEASE-RQ, 10 octets (PS3.8 9.3.6).
func EncodeReleaseRQ() []byte { return pdu(pduReleaseRQ, make([]byte, 4)) }

// EncodeAbort returns the A-ABORT that we send when a cap ends mid-association (D4): source 0,
// service user, reason 0 (PS3.8 9.3.8).
func EncodeAbort() []byte { return pdu(pduAbort, make([]byte, 4)) }

// AssociateRQ is what an A-ASSOCIATE-RQ says beyond its fixed parts.
type AssociateRQ struct{ Called, Calling, VersionName string }

// DecodeAssociateRQ reads an A-ASSOCIATE-RQ about to be sent and refuses anything but the language of
// D1: another context, another item, a reserved octet that is not zero.
func DecodeAssociateRQ(b []byte) (AssociateRQ, error) {
	body, err := wholePDU(b, pduAssociateRQ)
	if err != nil {
		return AssociateRQ{}, err
	}
	if len(body) < 68 || body[0] != 0 || body[1] != 1 || !allZero(body[2:4]) || !allZero(body[36:68]) {
		return AssociateRQ{}, fmt.Errorf("A-ASSOCIATE-RQ: protocol version or reserved octets")
	}
	rq := AssociateRQ{Called: strings.TrimRight(string(body[4:20]), " "), Calling: strings.TrimRight(string(body[20:36]), " ")}
	r := itemReader{body[68:]}
	if app, err := r.want(itemApplication); err != nil || string(app) != applicationContext {
		return AssociateRQ{}, fmt.Errorf("A-ASSOCIATE-RQ: application context")
	}
	ctx, err := r.want(itemContextRQ)
	if err != nil {
		return AssociateRQ{}, err
	}
	if err := decodeContext(ctx); err != nil {
		return AssociateRQ{}, err
	}
	user, err := r.want(itemUser)
	if err != nil || len(r.b) != 0 {
		return AssociateRQ{}, fmt.Errorf("A-ASSOCIATE-RQ: more than one context and the user information")
	}
	u := itemReader{user}
	if n, err := u.want(itemMaxLength); err != nil || len(n) != 4 || binary.BigEndian.Uint32(n) != MaxLengthReceived {
		return AssociateRQ{}, fmt.Errorf("A-ASSOCIATE-RQ: maximum length")
	}
	if uid, err := u.want(itemClassUID); err != nil || string(uid) != ImplementationClassUID {
		return AssociateRQ{}, fmt.Errorf("A-ASSOCIATE-RQ: implementation class UID")
	}
	if len(u.b) > 0 {
		name, err := u.want(itemVersionName)
		if err != nil || len(name) == 0 || len(name) > 16 || len(u.b) != 0 {
			return AssociateRQ{}, fmt.Errorf("A-ASSOCIATE-RQ: user information beyond the version name")
		}
		rq.VersionName = string(name)
	}
	return rq, nil
}

func decodeContext(b []byte) error {
	if len(b) < 4 || b[0] != contextID || !allZero(b[1:4]) {
		return fmt.Errorf("presentation context: id or reserved octets")
	}
	r := itemReader{b[4:]}
	if as, err := r.want(itemAbstract); err != nil || string(as) != verificationClass {
		return fmt.Errorf("presentation context: abstract syntax is not Verification")
	}
	if ts, err := r.want(itemTransfer); err != nil || string(ts) != implicitLittle || len(r.b) != 0 {
		return fmt.Errorf("presentation context: transfer syntax is not Implicit VR Little Endian alone")
	}
	return nil
}

func (a AssociateRQ) matches(s list.QuerySpec) error {
	if a.Called != s.CalledAE || a.Calling != s.CallingAE || a.VersionName != s.VersionName {
		return fmt.Errorf("AE titles or version name are not the approved ones")
	}
	return nil
}

// DecodeEchoRQ reads a C-ECHO-RQ about to be sent and returns its message id.
func DecodeEchoRQ(b []byte) (uint16, error) {
	body, err := wholePDU(b, pduData)
	if err != nil {
		return 0, err
	}
	if len(body) < 6 || int(binary.BigEndian.Uint32(body)) != len(body)-4 || body[4] != contextID || body[5] != lastCommandPiece {
		return 0, fmt.Errorf("C-ECHO-RQ: one whole command fragment on context 1 is required")
	}
	r := elementReader{body[6:]}
	length, err := r.want(0x0000, 4)
	if err != nil || int(binary.LittleEndian.Uint32(length)) != len(r.b) {
		return 0, fmt.Errorf("C-ECHO-RQ: command group length")
	}
	if uid, err := r.want(0x0002, 18); err != nil || string(uid) != verificationClass+"\x00" {
		return 0, fmt.Errorf("C-ECHO-RQ: affected SOP class UID")
	}
	if v, err := r.want(0x0100, 2); err != nil || binary.LittleEndian.Uint16(v) != 0x0030 {
		return 0, fmt.Errorf("C-ECHO-RQ: command field is not C-ECHO-RQ")
	}
	id, err := r.want(0x0110, 2)
	if err != nil {
		return 0, err
	}
	if v, err := r.want(0x0800, 2); err != nil || binary.LittleEndian.Uint16(v) != 0x0101 || len(r.b) != 0 {
		return 0, fmt.Errorf("C-ECHO-RQ: data set type, or more after it")
	}
	return binary.LittleEndian.Uint16(id), nil
}

// DecodeReleaseRQ reads an A-RELEASE-RQ about to be sent.
func DecodeReleaseRQ(b []byte) error {
	body, err := wholePDU(b, pduReleaseRQ)
	if err != nil {
		return err
	}
	if len(body) != 4 || !allZero(body) {
		return fmt.Errorf("A-RELEASE-RQ: reserved octets")
	}
	return nil
}

func wholePDU(b []byte, kind byte) ([]byte, error) {
	if len(b) < 6 || len(b) > MaxPDUOut || b[0] != kind || b[1] != 0 || int64(binary.BigEndian.Uint32(b[2:])) != int64(len(b)-6) {
		return nil, fmt.Errorf("not one whole PDU of type %02X", kind)
	}
	return b[6:], nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// itemReader takes DICOM upper layer items.
type itemReader struct{ b []byte }

func (r *itemReader) next() (kind byte, body []byte, err error) {
	if len(r.b) < 4 {
		return 0, nil, fmt.Errorf("item cut short")
	}
	n := int(binary.BigEndian.Uint16(r.b[2:]))
	if len(r.b)-4 < n {
		return 0, nil, fmt.Errorf("item longer than its PDU")
	}
	kind, body = r.b[0], r.b[4:4+n]
	r.b = r.b[4+n:]
	return kind, body, nil
}

func (r *itemReader) want(kind byte) ([]byte, error) {
	if len(r.b) > 1 && r.b[1] != 0 {
		return nil, fmt.Errorf("item %02X: reserved octet", kind)
	}
	got, body, err := r.next()
	if err != nil {
		return nil, err
	}
	if got != kind {
		return nil, fmt.Errorf("item %02X where %02X belongs", got, kind)
	}
	return body, nil
}

// elementReader takes group 0000 elements in Implicit VR Little Endian.
type elementReader struct{ b []byte }

func (r *elementReader) next() (number uint16, value []byte, err error) {
	if len(r.b) < 8 || r.b[0] != 0 || r.b[1] != 0 {
		return 0, nil, fmt.Errorf("command element cut short or of another group")
	}
	n := binary.LittleEndian.Uint32(r.b[4:])
	if uint64(n) > uint64(len(r.b)-8) {
		return 0, nil, fmt.Errorf("command element longer than its PDU")
	}
	number, value = binary.LittleEndian.Uint16(r.b[2:]), r.b[8:8+n]
	r.b = r.b[8+n:]
	return number, value, nil
}

func (r *elementReader) want(number uint16, size int) ([]byte, error) {
	got, value, err := r.next()
	if err != nil {
		return nil, err
	}
	if got != number || len(value) != size {
		return nil, fmt.Errorf("command element (0000,%04X) of %d octets where (0000,%04X) of %d belongs", got, len(value), number, size)
	}
	return value, nil
}
