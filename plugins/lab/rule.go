package lab

// Code is the stable name of one rule of a glass device. Reports, tests and
// people cite it, so a code never changes its meaning.
type Code string

// Rules of pace: the message may be right, but not now (G8, G9).
const (
	CodeGap              Code = "gap-too-short"
	CodeSecondConnection Code = "second-connection"
	CodeConcurrent       Code = "concurrent-conversation"
	CodeOutsideTime      Code = "outside-approved-time"
	CodeForbidden        Code = "must-receive-nothing"
	CodeFlood            Code = "flood"
)

// Rules of a TCP connection (G5, H10).
const (
	CodeReset Code = "tcp-reset"
	CodeEmpty Code = "tcp-no-message"
	CodeHeld  Code = "tcp-held-open"
)

// Rules of the SNMP language (WIRE-RULES section 2, S1 to S5).
const (
	CodeSNMPSize      Code = "snmp-size"
	CodeSNMPBER       Code = "snmp-ber"
	CodeSNMPVersion   Code = "snmp-version"
	CodeSNMPCommunity Code = "snmp-community"
	CodeSNMPType      Code = "snmp-pdu-type"
	CodeSNMPRequestID Code = "snmp-request-id"
	CodeSNMPField     Code = "snmp-field"
	CodeSNMPOID       Code = "snmp-oid"
	CodeSNMPReused    Code = "snmp-request-id-reused"
	CodeSNMPRepeated  Code = "snmp-repeated"
)

// Rules of the DICOM language (D1 to D7).
const (
	CodeDICOMPDU            Code = "dicom-pdu"
	CodeDICOMAssociate      Code = "dicom-associate"
	CodeDICOMTitle          Code = "dicom-ae-title"
	CodeDICOMContext        Code = "dicom-context"
	CodeDICOMUserInfo       Code = "dicom-user-information"
	CodeDICOMEcho           Code = "dicom-echo"
	CodeDICOMRelease        Code = "dicom-release"
	CodeDICOMOrder          Code = "dicom-order"
	CodeDICOMPartial        Code = "dicom-partial"
	CodeDICOMMissingRelease Code = "dicom-missing-release"
	CodeDICOMAfterRelease   Code = "dicom-after-release"
)

// Rules of the HL7 language (H2 to H7).
const (
	CodeHL7Frame      Code = "hl7-frame"
	CodeHL7Template   Code = "hl7-template"
	CodeHL7Type       Code = "hl7-message-type"
	CodeHL7Segment    Code = "hl7-segment"
	CodeHL7Processing Code = "hl7-processing-id"
	CodeHL7Reused     Code = "hl7-control-id-reused"
	CodeHL7Second     Code = "hl7-second-message"
	CodeHL7Partial    Code = "hl7-partial-frame"
)

// Rules of the serial language of a rack (B2: octets, order and counts).
const (
	CodeSerialFrame   Code = "serial-frame"
	CodeSerialOrder   Code = "serial-order"
	CodeSerialCount   Code = "serial-count"
	CodeSerialPartial Code = "serial-partial"
)

// Codes returns every rule, in the order of the report.
func Codes() []Code {
	return []Code{
		CodeGap, CodeSecondConnection, CodeConcurrent, CodeOutsideTime, CodeForbidden, CodeFlood,
		CodeReset, CodeEmpty, CodeHeld,
		CodeSNMPSize, CodeSNMPBER, CodeSNMPVersion, CodeSNMPCommunity, CodeSNMPType,
		CodeSNMPRequestID, CodeSNMPField, CodeSNMPOID, CodeSNMPReused, CodeSNMPRepeated,
		CodeDICOMPDU, CodeDICOMAssociate, CodeDICOMTitle, CodeDICOMContext, CodeDICOMUserInfo,
		CodeDICOMEcho, CodeDICOMRelease, CodeDICOMOrder, CodeDICOMPartial,
		CodeDICOMMissingRelease, CodeDICOMAfterRelease,
		CodeHL7Frame, CodeHL7Template, CodeHL7Type, CodeHL7Segment, CodeHL7Processing,
		CodeHL7Reused, CodeHL7Second, CodeHL7Partial,
		CodeSerialFrame, CodeSerialOrder, CodeSerialCount, CodeSerialPartial,
	}
}

// Words says the rule's breach as a person would.
func (c Code) Words() string {
	switch c {
	case CodeGap:
		return "asked again before the device had its rest"
	case CodeSecondConnection:
		return "second connection while one was open"
	case CodeConcurrent:
		return "second conversation while one was going on"
	case CodeOutsideTime:
		return "spoken to outside the approved time"
	case CodeForbidden:
		return "reached a device or port that must receive nothing"
	case CodeFlood:
		return "received more messages than any visit could need"
	case CodeReset:
		return "connection was reset instead of closed"
	case CodeEmpty:
		return "connection opened and nothing said"
	case CodeHeld:
		return "connection held open without a word"
	case CodeSNMPSize:
		return "SNMP datagram over 484 octets"
	case CodeSNMPBER:
		return "SNMP datagram not in canonical BER"
	case CodeSNMPVersion:
		return "SNMP version is not 2c"
	case CodeSNMPCommunity:
		return "SNMP community is not the device's"
	case CodeSNMPType:
		return "SNMP message is not a GetRequest"
	case CodeSNMPRequestID:
		return "SNMP request-id is zero or negative"
	case CodeSNMPField:
		return "SNMP GetRequest has a field that is not empty"
	case CodeSNMPOID:
		return "SNMP OID that nobody approved"
	case CodeSNMPReused:
		return "SNMP request-id used a second time"
	case CodeSNMPRepeated:
		return "SNMP datagram sent a second time"
	case CodeDICOMPDU:
		return "DICOM PDU of a kind that is not approved"
	case CodeDICOMAssociate:
		return "A-ASSOCIATE-RQ is not the approved one"
	case CodeDICOMTitle:
		return "AE title is not the one registered"
	case CodeDICOMContext:
		return "presentation context is not Verification alone"
	case CodeDICOMUserInfo:
		return "user information is not the approved one"
	case CodeDICOMEcho:
		return "P-DATA is not the approved C-ECHO-RQ"
	case CodeDICOMRelease:
		return "A-RELEASE-RQ or A-ABORT is not well formed"
	case CodeDICOMOrder:
		return "DICOM message out of turn"
	case CodeDICOMPartial:
		return "DICOM PDU broken off"
	case CodeDICOMMissingRelease:
		return "association left without a release"
	case CodeDICOMAfterRelease:
		return "octets after the release"
	case CodeHL7Frame:
		return "MLLP frame is not well formed"
	case CodeHL7Template:
		return "HL7 message is not the approved template"
	case CodeHL7Type:
		return "HL7 message type is not NMD^N02"
	case CodeHL7Segment:
		return "HL7 segment that is not approved"
	case CodeHL7Processing:
		return "HL7 processing id is not T"
	case CodeHL7Reused:
		return "HL7 control id used a second time"
	case CodeHL7Second:
		return "second HL7 message on one connection"
	case CodeHL7Partial:
		return "MLLP frame broken off"
	case CodeSerialFrame:
		return "serial frame is not one of the manual"
	case CodeSerialOrder:
		return "serial message out of turn"
	case CodeSerialCount:
		return "serial message more often than allowed"
	case CodeSerialPartial:
		return "serial frame broken off"
	}
	return string(c)
}

// breach is one rule broken, with what was seen.
type breach struct {
	code   Code
	detail string
}
