package lab

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// PDU types of PS3.8 section 9.3.
const (
	pduAssociateRQ = 0x01
	pduAssociateAC = 0x02
	pduAssociateRJ = 0x03
	pduData        = 0x04
	pduReleaseRQ   = 0x05
	pduReleaseRP   = 0x06
	pduAbort       = 0x07
)

// maxPDU is more than any approved PDU to a device has (D8).
const maxPDU = 1024

const (
	uidApplication  = "1.2.840.10008.3.1.1.1"
	uidVerification = "1.2.840.10008.1.1"
	uidImplicitLE   = "1.2.840.10008.1.2"
)

// takeItem reads one item or sub-item: type, reserved zero, 16-bit length.
func takeItem(b []byte, want byte) (value, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, fmt.Errorf("item %02XH is missing or broken off", want)
	}
	if b[0] != want || b[1] != 0 {
		return nil, nil, fmt.Errorf("item %02X%02X where %02X00 belongs", b[0], b[1], want)
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if len(b)-4 < n {
		return nil, nil, fmt.Errorf("item %02XH says %d octets and has %d", want, n, len(b)-4)
	}
	return b[4 : 4+n], b[4+n:], nil
}

// takeText is takeItem for an item that must hold exactly this text.
func takeText(b []byte, kind byte, want string) (rest []byte, err error) {
	value, rest, err := takeItem(b, kind)
	if err != nil {
		return nil, err
	}
	if string(value) != want {
		return nil, fmt.Errorf("item %02XH is %q, not %q", kind, value, want)
	}
	return rest, nil
}

// readAssociate judges an A-ASSOCIATE-RQ, header included, by D1 and D2.
func readAssociate(pdu []byte, called, calling string) *breach {
	body := pdu[6:]
	if pdu[1] != 0 || len(body) < 68 {
		return &breach{CodeDICOMAssociate, "header is not well formed"}
	}
	if body[0] != 0 || body[1] != 1 || body[2] != 0 || body[3] != 0 || !bytes.Equal(body[36:68], make([]byte, 32)) {
		return &breach{CodeDICOMAssociate, "protocol version or reserved octets"}
	}
	if got := string(body[4:20]); got != padTitle(called) {
		return &breach{CodeDICOMTitle, fmt.Sprintf("called %q", got)}
	}
	if got := string(body[20:36]); got != padTitle(calling) {
		return &breach{CodeDICOMTitle, fmt.Sprintf("calling %q", got)}
	}
	rest, err := takeText(body[68:], 0x10, uidApplication)
	if err != nil {
		return &breach{CodeDICOMAssociate, err.Error()}
	}
	context, rest, err := takeItem(rest, 0x20)
	if err != nil {
		return &breach{CodeDICOMContext, err.Error()}
	}
	if len(context) < 4 || !bytes.Equal(context[:4], []byte{1, 0, 0, 0}) {
		return &breach{CodeDICOMContext, "context id is not 1, or reserved octets"}
	}
	context, err = takeText(context[4:], 0x30, uidVerification)
	if err == nil {
		context, err = takeText(context, 0x40, uidImplicitLE)
	}
	if err == nil && len(context) != 0 {
		err = fmt.Errorf("%d octets after the transfer syntax", len(context))
	}
	if err != nil {
		return &breach{CodeDICOMContext, err.Error()}
	}
	if len(rest) > 0 && rest[0] == 0x20 {
		return &breach{CodeDICOMContext, "a second presentation context"}
	}
	info, rest, err := takeItem(rest, 0x50)
	if err == nil && len(rest) != 0 {
		err = fmt.Errorf("%d octets after the user information", len(rest))
	}
	if err == nil {
		err = readUserInfo(info)
	}
	if err != nil {
		return &breach{CodeDICOMUserInfo, err.Error()}
	}
	return nil
}

// readUserInfo wants 51H, 52H and at most 55H, in this order (PS3.7 D.3.3).
func readUserInfo(info []byte) error {
	length, info, err := takeItem(info, 0x51)
	if err != nil {
		return err
	}
	if len(length) != 4 || binary.BigEndian.Uint32(length) != 16384 {
		return fmt.Errorf("maximum length % X is not 16384", length)
	}
	class, info, err := takeItem(info, 0x52)
	if err != nil {
		return err
	}
	if !validUID(string(class)) {
		return fmt.Errorf("implementation class UID %q", class)
	}
	if len(info) == 0 {
		return nil
	}
	name, info, err := takeItem(info, 0x55)
	if err != nil {
		return err
	}
	if len(name) == 0 || len(name) > 16 || strings.ContainsFunc(string(name), func(r rune) bool { return r < 0x20 || r > 0x7E || r == '\\' }) {
		return fmt.Errorf("implementation version name %q", name)
	}
	if len(info) != 0 {
		return fmt.Errorf("%d octets after the version name", len(info))
	}
	return nil
}

// validUID is PS3.5 section 9.1: digits and dots, no leading zeros, at most 64.
func validUID(uid string) bool {
	if uid == "" || len(uid) > 64 {
		return false
	}
	for part := range strings.SplitSeq(uid, ".") {
		if part == "" || len(part) > 1 && part[0] == '0' || strings.Trim(part, "0123456789") != "" {
			return false
		}
	}
	return true
}

func padTitle(title string) string { return title + strings.Repeat(" ", max(0, 16-len(title))) }

// element is one element of a DIMSE command set, implicit little endian.
func element(number uint16, value []byte) []byte {
	out := []byte{0, 0, byte(number), byte(number >> 8)}
	out = binary.LittleEndian.AppendUint32(out, uint32(len(value)))
	return append(out, value...)
}

func short(n uint16) []byte { return []byte{byte(n), byte(n >> 8)} }

// echoCommand is a P-DATA-TF with one command of the Verification class.
func echoCommand(fields ...[]byte) []byte {
	set := element(0x0002, append([]byte(uidVerification), 0))
	for _, field := range fields {
		set = append(set, field...)
	}
	command := element(0x0000, binary.LittleEndian.AppendUint32(nil, uint32(len(set))))
	command = append(command, set...)
	value := binary.BigEndian.AppendUint32(nil, uint32(len(command)+2))
	value = append(value, 1, 0x03)
	return pdu(pduData, append(value, command...))
}

// echoRequest is the only question a device may be asked (D3).
func echoRequest() []byte {
	return echoCommand(element(0x0100, short(0x0030)), element(0x0110, short(1)), element(0x0800, short(0x0101)))
}

func echoResponse(status uint16) []byte {
	return echoCommand(element(0x0100, short(0x8030)), element(0x0120, short(1)),
		element(0x0800, short(0x0101)), element(0x0900, short(status)))
}

func pdu(kind byte, body []byte) []byte {
	out := []byte{kind, 0}
	out = binary.BigEndian.AppendUint32(out, uint32(len(body)))
	return append(out, body...)
}

func item(kind byte, value []byte) []byte {
	out := []byte{kind, 0}
	out = binary.BigEndian.AppendUint16(out, uint16(len(value)))
	return append(out, value...)
}

// associateAccept answers an association request.
func associateAccept(s *DICOMConfig, result uint8) []byte {
	body := []byte{0, 1, 0, 0}
	body = append(body, padTitle(s.CalledAE)+padTitle(s.CallingAE)...)
	body = append(body, make([]byte, 32)...)
	body = append(body, item(0x10, []byte(uidApplication))...)
	context := append([]byte{1, 0, result, 0}, item(0x40, []byte(uidImplicitLE))...)
	body = append(body, item(0x21, context)...)
	info := item(0x51, binary.BigEndian.AppendUint32(nil, 16384))
	info = append(info, item(0x52, []byte(s.ClassUID))...)
	if s.VersionName != "" {
		info = append(info, item(0x55, []byte(s.VersionName))...)
	}
	return pdu(pduAssociateAC, append(body, item(0x50, info)...))
}

// differs says where two messages part, for a person.
func differs(got, want []byte) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("octet %d is %02X, not %02X", i, got[i], want[i])
		}
	}
	return fmt.Sprintf("%d octets, not %d", len(got), len(want))
}
