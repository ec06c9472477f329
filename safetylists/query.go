package safetylists

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Kind names the protocol act of a question.
type Kind string

// The kinds that are built in.
const (
	SNMPGet   Kind = "snmp.get"   // one SNMPv2c GetRequest (RFC 3416 4.2.1)
	DICOMEcho Kind = "dicom.echo" // one association, one C-ECHO, its release (PS3.7 9.1.5)
	HL7Ack    Kind = "hl7.ack"    // one NMD^N02 in MLLP and its ACK (HL7 v2.5.1 14.3.2)
)

// Transport is the transport of a kind: "udp" or "tcp".
func (k Kind) Transport() string {
	if k == SNMPGet {
		return "udp"
	}
	return "tcp"
}

// Ending is how a conversation of the kind ends, which is part of it: "none" for a datagram, "release" of
// the association (PS3.8 9.3.6) and "fin" (H10) for the others.
func (k Kind) Ending() string {
	switch k {
	case DICOMEcho:
		return "release"
	case HL7Ack:
		return "fin"
	default:
		return "none"
	}
}

// Query is one exact question: kind, port and every parameter that goes into its bytes. It is made
// by [ParseQuery] alone and cannot express a write, a walk or a second context. The zero value is no
// question and is refused everywhere.
type Query struct{ spec QuerySpec }

// QuerySpec is the written form of a question, in plans and in statements that are filled in.
type QuerySpec struct {
	Kind Kind   `json:"kind"` // Required.
	Port uint16 `json:"port"` // Required. 1 to 65535.

	OIDs []string `json:"oids,omitempty"` // snmp.get: 1 to 16, distinct, in message order

	CalledAE    string `json:"called_ae,omitempty"`    // dicom.echo: title of the device
	CallingAE   string `json:"calling_ae,omitempty"`   // dicom.echo: our title, registered at the device
	VersionName string `json:"version_name,omitempty"` // dicom.echo: 55H, empty: not sent

	Facility     string `json:"facility,omitempty"`      // hl7.ack: MSH-4, our site
	ReceivingApp string `json:"receiving_app,omitempty"` // hl7.ack: MSH-5
	ReceivingFac string `json:"receiving_fac,omitempty"` // hl7.ack: MSH-6
	HL7Version   string `json:"hl7_version,omitempty"`   // hl7.ack: MSH-12
	Expect       string `json:"expect,omitempty"`        // hl7.ack: MSA-1 that counts as the good answer
}

// MaxOIDs is the cap on objects in one GetRequest (WIRE-RULES 2.2: 16 stay below 484 octets).
const MaxOIDs = 16

// ParseQuery checks a written question against the closed vocabulary and returns it.
func ParseQuery(s QuerySpec) (Query, error) {
	if s.Port == 0 {
		return Query{}, fmt.Errorf("question %s: port is missing", s.Kind)
	}
	empty := QuerySpec{Kind: s.Kind, Port: s.Port}
	var err error
	switch s.Kind {
	case SNMPGet:
		empty.OIDs = s.OIDs
		err = checkSNMP(s)
	case DICOMEcho:
		empty.CalledAE, empty.CallingAE, empty.VersionName = s.CalledAE, s.CallingAE, s.VersionName
		err = checkDICOM(s)
	case HL7Ack:
		empty.Facility, empty.ReceivingApp, empty.ReceivingFac = s.Facility, s.ReceivingApp, s.ReceivingFac
		empty.HL7Version, empty.Expect = s.HL7Version, s.Expect
		err = checkHL7(s)
	default:
		return Query{}, fmt.Errorf("question kind %q is not known; it is snmp.get, dicom.echo or hl7.ack", s.Kind)
	}
	if err != nil {
		return Query{}, fmt.Errorf("question %s: %w", s.Kind, err)
	}
	if !empty.equal(s) {
		return Query{}, fmt.Errorf("question %s: a parameter of another kind is set", s.Kind)
	}
	s.OIDs = slices.Clone(s.OIDs)
	return Query{s}, nil
}

func checkSNMP(s QuerySpec) error {
	if len(s.OIDs) == 0 || len(s.OIDs) > MaxOIDs {
		return fmt.Errorf("%d object identifiers; 1 to %d are allowed", len(s.OIDs), MaxOIDs)
	}
	for i, text := range s.OIDs {
		if _, err := ParseOID(text); err != nil {
			return err
		}
		if slices.Contains(s.OIDs[:i], text) {
			return fmt.Errorf("object identifier %s is named twice", text)
		}
	}
	return nil
}

func checkDICOM(s QuerySpec) error {
	if err := checkAE("called AE title", s.CalledAE); err != nil {
		return err
	}
	if err := checkAE("calling AE title", s.CallingAE); err != nil {
		return err
	}
	if len(s.VersionName) > 16 || !printable(s.VersionName, "") {
		return fmt.Errorf("version name %q: at most 16 printable characters (PS3.7 D.3.3.2.3)", s.VersionName)
	}
	return nil
}

// checkAE holds D2: the charset of registered titles, never a wildcard that some stacks accept.
func checkAE(what, ae string) error {
	if ae == "" || len(ae) > 16 || strings.TrimSpace(ae) != ae {
		return fmt.Errorf("%s %q: 1 to 16 characters without space at either end", what, ae)
	}
	for _, r := range ae {
		if !(r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-. ", r)) {
			return fmt.Errorf("%s %q: only A-Z, 0-9, underscore, hyphen, dot and space", what, ae)
		}
	}
	if ae == "ANY-SCP" {
		return fmt.Errorf("%s ANY-SCP is a guess, not a registered title", what)
	}
	return nil
}

func checkHL7(s QuerySpec) error {
	for _, f := range []struct{ what, text string }{
		{"sending facility (MSH-4)", s.Facility}, {"receiving application (MSH-5)", s.ReceivingApp},
		{"receiving facility (MSH-6)", s.ReceivingFac},
	} {
		if f.text == "" || len(f.text) > 64 || !printable(f.text, `|^~\&`) {
			return fmt.Errorf("%s %q: 1 to 64 printable characters without HL7 separators", f.what, f.text)
		}
	}
	switch s.HL7Version {
	case "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6":
	default: // H5: the network management messages end with v2.6
		return fmt.Errorf("version (MSH-12) %q: 2.3 to 2.6 only", s.HL7Version)
	}
	switch s.Expect {
	case "AA", "AE", "AR":
	default:
		return fmt.Errorf("expected code (MSA-1) %q: AA, AE or AR in original mode", s.Expect)
	}
	return nil
}

// printable reports whether s is ASCII 20H to 7EH without any of the characters in without.
func printable(s, without string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e || strings.IndexByte(without, s[i]) >= 0 {
			return false
		}
	}
	return true
}

func (s QuerySpec) equal(t QuerySpec) bool {
	sameOIDs := slices.Equal(s.OIDs, t.OIDs)
	return sameOIDs && s.Kind == t.Kind && s.Port == t.Port &&
		s.CalledAE == t.CalledAE && s.CallingAE == t.CallingAE && s.VersionName == t.VersionName &&
		s.Facility == t.Facility && s.ReceivingApp == t.ReceivingApp && s.ReceivingFac == t.ReceivingFac &&
		s.HL7Version == t.HL7Version && s.Expect == t.Expect
}

// Kind returns the kind; empty for the zero Query.
func (q Query) Kind() Kind { return q.spec.Kind }

// Port returns the one port that the question goes to; 0 for the zero Query.
func (q Query) Port() uint16 { return q.spec.Port }

// Spec returns a copy of the written form.
func (q Query) Spec() QuerySpec {
	s := q.spec
	s.OIDs = slices.Clone(s.OIDs)
	return s
}

// Equal reports whether both are the same exact question.
func (q Query) Equal(r Query) bool { return q.spec.equal(r.spec) }

// String is a short form for people, for example "snmp.get of 4 objects on port 161".
func (q Query) String() string {
	switch q.spec.Kind {
	case SNMPGet:
		return fmt.Sprintf("snmp.get of %s on port %d", strings.Join(q.spec.OIDs, " "), q.spec.Port)
	case DICOMEcho:
		return fmt.Sprintf("dicom.echo to %s as %s on port %d", q.spec.CalledAE, q.spec.CallingAE, q.spec.Port)
	case HL7Ack:
		return fmt.Sprintf("hl7.ack to %s at %s on port %d", q.spec.ReceivingApp, q.spec.ReceivingFac, q.spec.Port)
	default:
		return "no question"
	}
}

// MarshalJSON writes the written form.
func (q Query) MarshalJSON() ([]byte, error) { return json.Marshal(q.spec) }

// UnmarshalJSON reads the written form through [ParseQuery].
func (q *Query) UnmarshalJSON(b []byte) error {
	var s QuerySpec
	if err := decodeStrict(b, &s); err != nil {
		return fmt.Errorf("read question: %w", err)
	}
	parsed, err := ParseQuery(s)
	if err != nil {
		return err
	}
	*q = parsed
	return nil
}
