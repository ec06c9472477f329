package dicom

import (
	"encoding/binary"
	"fmt"
	"strings"

	godicom "github.com/grailbio/go-dicom"
	"github.com/grailbio/go-dicom/dicomio"
	"github.com/grailbio/go-dicom/dicomtag"

	"primum/plugins/sdk"
)

// Names of PS3.8 and PS3.4 A.4.
const (
	uidApplicationContext = "1.2.840.10008.3.1.1.1"
	uidVerification       = "1.2.840.10008.1.1"
	uidImplicitLE         = "1.2.840.10008.1.2"
)

// contextID is the id of the one presentation context (D1).
const contextID = 1

// associateRQ builds the A-ASSOCIATE-RQ of D1 (PS3.8 9.3.2): one context, and of user information the
// maximum length, our class UID, and our version name if there is one.
func associateRQ(q sdk.DICOMEcho) ([]byte, error) {
	called, err := aeTitle(q.CalledAE)
	if err != nil {
		return nil, fmt.Errorf("called AE title: %w", err)
	}
	calling, err := aeTitle(q.CallingAE)
	if err != nil {
		return nil, fmt.Errorf("calling AE title: %w", err)
	}
	if err := checkUID(q.ImplementationClassUID); err != nil {
		return nil, fmt.Errorf("implementation class UID: %w", err)
	}
	if n := len(q.ImplementationVersionName); n > 16 || !printable(q.ImplementationVersionName) {
		return nil, fmt.Errorf("implementation version name %q is not 1 to 16 printable characters", q.ImplementationVersionName)
	}
	if q.MaxPDULength < 1024 || q.MaxPDULength > 16384 { // D8
		return nil, fmt.Errorf("maximum length %d is not within 1024 to 16384", q.MaxPDULength)
	}

	user := item(itemMaxLength, binary.BigEndian.AppendUint32(nil, q.MaxPDULength))
	user = append(user, item(itemClassUID, []byte(q.ImplementationClassUID))...)
	if q.ImplementationVersionName != "" {
		user = append(user, item(itemVersionName, []byte(q.ImplementationVersionName))...)
	}
	context := []byte{contextID, 0, 0, 0}
	context = append(context, item(itemAbstractSyntax, []byte(uidVerification))...)
	context = append(context, item(itemTransferSyntax, []byte(uidImplicitLE))...)

	body := []byte{0, 1, 0, 0} // protocol version 1, reserved
	body = append(body, called...)
	body = append(body, calling...)
	body = append(body, make([]byte, 32)...)
	body = append(body, item(itemApplicationContext, []byte(uidApplicationContext))...)
	body = append(body, item(itemContextRQ, context)...)
	body = append(body, item(itemUserInformation, user)...)
	return frame(pduAssociateRQ, body), nil
}

// echoRQ builds the P-DATA-TF with the C-ECHO-RQ of D3 (PS3.7 9.3.5): the whole command in one
// fragment, the affected SOP class in it (PS3.7 table 9.3-12).
func echoRQ(id uint16) ([]byte, error) {
	if id == 0 {
		return nil, fmt.Errorf("message id 0 is not allowed")
	}
	// Command sets are always implicit VR little endian (PS3.7 6.3.1).
	e := dicomio.NewBytesEncoder(binary.LittleEndian, dicomio.ImplicitVR)
	for _, v := range []struct {
		tag   dicomtag.Tag
		value any
	}{
		{dicomtag.AffectedSOPClassUID, uidVerification},
		{dicomtag.CommandField, uint16(fieldEchoRQ)},
		{dicomtag.MessageID, id},
		{dicomtag.CommandDataSetType, uint16(noDataSet)},
	} {
		if err := write(e, v.tag, v.value); err != nil {
			return nil, err
		}
	}
	elements := e.Bytes()
	e = dicomio.NewBytesEncoder(binary.LittleEndian, dicomio.ImplicitVR)
	if err := write(e, dicomtag.CommandGroupLength, uint32(len(elements))); err != nil {
		return nil, err
	}
	command := append(e.Bytes(), elements...)

	value := binary.BigEndian.AppendUint32(nil, uint32(2+len(command)))
	value = append(value, contextID, controlLastCommand)
	return frame(pduData, append(value, command...)), nil
}

// write writes one element. go-dicom finds the value representation in its dictionary and pads.
func write(e *dicomio.Encoder, tag dicomtag.Tag, value any) error {
	element, err := godicom.NewElement(tag, value)
	if err != nil {
		return fmt.Errorf("make element: %w", err)
	}
	godicom.WriteElement(e, element)
	if err := e.Error(); err != nil {
		return fmt.Errorf("write element: %w", err)
	}
	return nil
}

// releaseRQ builds the A-RELEASE-RQ (PS3.8 9.3.6).
func releaseRQ() []byte { return frame(pduReleaseRQ, make([]byte, 4)) }

func frame(kind byte, body []byte) []byte {
	out := binary.BigEndian.AppendUint32([]byte{kind, 0}, uint32(len(body)))
	return append(out, body...)
}

func item(kind byte, body []byte) []byte {
	out := binary.BigEndian.AppendUint16([]byte{kind, 0}, uint16(len(body)))
	return append(out, body...)
}

// aeTitle pads an AE title to 16 (PS3.8 9.3.2) and holds it to the characters of D2.
func aeTitle(s string) ([]byte, error) {
	if len(s) < 1 || len(s) > 16 || strings.TrimSpace(s) != s {
		return nil, fmt.Errorf("%q is not 1 to 16 characters without padding", s)
	}
	for _, c := range []byte(s) {
		if !(c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_-. ", c) >= 0) {
			return nil, fmt.Errorf("%q holds a character outside A-Z 0-9 _ - . and space", s)
		}
	}
	return []byte(fmt.Sprintf("%-16s", s)), nil
}

// checkUID holds a UID to PS3.5 9.1.
func checkUID(s string) error {
	if len(s) < 1 || len(s) > 64 {
		return fmt.Errorf("%q is not 1 to 64 characters", s)
	}
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || len(part) > 1 && part[0] == '0' || strings.Trim(part, "0123456789") != "" {
			return fmt.Errorf("%q is not a UID", s)
		}
	}
	return nil
}

func printable(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return true
}
