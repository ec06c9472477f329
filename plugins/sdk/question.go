package sdk

// Kinds of question that the contract knows.
const (
	// KindSNMPGet is one GetRequest of SNMPv1 or v2c.
	KindSNMPGet = "snmp.get"
	// KindDICOMEcho is one association with one C-ECHO and its release.
	KindDICOMEcho = "dicom.echo"
	// KindHL7Ack is one NMD^N02 message in MLLP, answered by an acknowledgment.
	KindHL7Ack = "hl7.ack"
)

// Question is one approved question: SNMPGet, DICOMEcho, HL7Ack or Vendor. Every value that varies from one
// message to the next is in it, chosen by the agent.
type Question interface {
	// Kind names the question as in a safety list, for example "snmp.get".
	Kind() string
	question()
}

// SNMPVersion is the version of the messages of a question. The zero value is no version.
type SNMPVersion int

// The versions that a probe speaks. Version 3 is not among them: the agent alone has the keys of a user. It
// tells such a question as one of version 2c and hands the reply over in that form.
const (
	SNMPv1  SNMPVersion = iota + 1 // RFC 1157
	SNMPv2c                        // RFC 1901, RFC 3416
)

// SNMPGet asks for objects by GetRequest (RFC 1157 4.1.2, RFC 3416 4.2.1). The community stays empty in the
// message: the agent inserts it after the check, so that no probe ever holds a secret (H-026).
type SNMPGet struct {
	// Version of the message.
	Version SNMPVersion
	// OIDs in dotted form without a leading dot, 1 to 16, in message order.
	OIDs []string
	// RequestID, 1 to 2^31-1.
	RequestID uint32
}

// DICOMEcho asks for one verification (PS3.7 9.1.5) over one association (PS3.8 9.3).
type DICOMEcho struct {
	// CalledAE title, 1 to 16 characters, without padding.
	CalledAE string
	// CallingAE title, 1 to 16 characters, without padding.
	CallingAE string
	// ImplementationClassUID is ours (PS3.7 D.3.3.2).
	ImplementationClassUID string
	// ImplementationVersionName is ours (PS3.7 D.3.3.2.3); empty: not sent.
	ImplementationVersionName string
	// MaxPDULength that we receive, in octets (PS3.8 D.1.1).
	MaxPDULength uint32
	// MessageID of the C-ECHO-RQ, 1 to 65535.
	MessageID uint16
}

// HL7Ack sends one NMD^N02 and reads its acknowledgment (HL7 v2.5.1 14.3.2, 2.9.2).
type HL7Ack struct {
	// SendingApplication is MSH-3.
	SendingApplication string
	// SendingFacility is MSH-4.
	SendingFacility string
	// ReceivingApplication is MSH-5.
	ReceivingApplication string
	// ReceivingFacility is MSH-6.
	ReceivingFacility string
	// Time is MSH-7 as sent, YYYYMMDDHHMMSS+0000.
	Time string
	// ControlID is MSH-10, 1 to 20 characters.
	ControlID string
	// VersionID is MSH-12, for example "2.5.1".
	VersionID string
	// ExpectedCode is what the allowance expects in MSA-1, for example "AA" or "AR".
	ExpectedCode string
}

// Kind is "snmp.get".
func (SNMPGet) Kind() string { return KindSNMPGet }

// Kind is "dicom.echo".
func (DICOMEcho) Kind() string { return KindDICOMEcho }

// Kind is "hl7.ack".
func (HL7Ack) Kind() string { return KindHL7Ack }

// Vendor is a question of a vendor's own. The signed allowance has its messages as templates; what Next returns
// must fit the template at its place, and the octets that it leaves free are the probe's to choose.
type Vendor struct {
	// Name of the kind, "tcp." or "udp.", the maker, and a word: for example "tcp.aldane.status".
	Name string
}

// Kind is the name.
func (v Vendor) Kind() string { return v.Name }

func (Vendor) question()    {}
func (SNMPGet) question()   {}
func (DICOMEcho) question() {}
func (HL7Ack) question()    {}

var (
	_ Question = SNMPGet{}
	_ Question = DICOMEcho{}
	_ Question = HL7Ack{}
	_ Question = Vendor{}
)
