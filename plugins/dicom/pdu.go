package dicom

import (
	"encoding/binary"
	"errors"
)

// PDU types (PS3.8 9.3.1) and items (9.3.2, 9.3.3, D.1, PS3.7 D.3.3).
const (
	pduAssociateRQ = 0x01
	pduAssociateAC = 0x02
	pduAssociateRJ = 0x03
	pduData        = 0x04
	pduReleaseRQ   = 0x05
	pduReleaseRP   = 0x06
	pduAbort       = 0x07

	itemApplicationContext = 0x10
	itemContextRQ          = 0x20
	itemContextAC          = 0x21
	itemAbstractSyntax     = 0x30
	itemTransferSyntax     = 0x40
	itemUserInformation    = 0x50
	itemMaxLength          = 0x51
	itemClassUID           = 0x52
	itemVersionName        = 0x55
)

const (
	pduHeader = 6
	// maxPDU and maxItems bound what is read of one PDU (D8).
	maxPDU   = 16384
	maxItems = 64
)

var (
	errLength = errors.New("the PDU is cut short or too long")
	errItems  = errors.New("the items of the PDU do not fit into it")
)

// pdu splits one whole PDU into its type and body.
func pdu(b []byte) (kind byte, body []byte, err error) {
	if len(b) < pduHeader || len(b) > maxPDU {
		return 0, nil, errLength
	}
	if n := binary.BigEndian.Uint32(b[2:6]); uint64(n) != uint64(len(b)-pduHeader) {
		return 0, nil, errLength
	}
	return b[0], b[pduHeader:], nil
}

// items calls f for each item that b is made of, and nothing else may be in b.
func items(b []byte, f func(kind byte, body []byte) error) error {
	for count := 0; len(b) > 0; count++ {
		if count == maxItems || len(b) < 4 {
			return errItems
		}
		n := int(binary.BigEndian.Uint16(b[2:4]))
		if n > len(b)-4 {
			return errItems
		}
		if err := f(b[0], b[4:4+n]); err != nil {
			return err
		}
		b = b[4+n:]
	}
	return nil
}
