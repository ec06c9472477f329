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
	SNMPGet   Kind = "snmp.get"   // one GetRequest of SNMPv1, v2c or v3 (RFC 1157 4.1.2, RFC 3416 4.2.1)
	DICOMEcho Kind = "dicom.echo" // one association, one C-ECHO, its release (PS3.7 9.1.5)
	HL7Ack    Kind = "hl7.ack"    // one NMD^N02 in MLLP and its ACK (HL7 v2.5.1 14.3.2)
)

// Transport is the transport of a kind: "udp" or "tcp".
func (k Kind) Transport() string {
	if k == SNMPGet || strings.HasPrefix(string(k), "udp.") {
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
		if k.Transport() == "tcp" {
			return "fin"
		}
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

	OIDs        []string `json:"oids,omitempty"`         // snmp.get: 1 to 16, distinct, in message order
	SNMPVersion string   `json:"snmp_version,omitempty"` // snmp.get: 1 or 3; empty: 2c
	Auth        string   `json:"auth,omitempty"`         // snmp.get of version 3: one of AuthProtocols
	Privacy     string   `json:"privacy,omitempty"`      // snmp.get of version 3: one of PrivacyProtocols; empty: not encrypted

	CalledAE    string `json:"called_ae,omitempty"`    // dicom.echo: title of the device
	CallingAE   string `json:"calling_ae,omitempty"`   // dicom.echo: our title, registered at the device
	VersionName string `json:"version_name,omitempty"` // dicom.echo: 55H, empty: not sent

	Facility     string `json:"facility,omitempty"`      // hl7.ack: MSH-4, our site
	ReceivingApp string `json:"receiving_app,omitempty"` // hl7.ack: MSH-5
	ReceivingFac string `json:"receiving_fac,omitempty"` // hl7.ack: MSH-6
	HL7Version   string `json:"hl7_version,omitempty"`   // hl7.ack: MSH-12
	Expect       string `json:"expect,omitempty"`        // hl7.ack: MSA-1 that counts as the good answer

	// TLSPin is the SHA-256 of the device's certificate (DER), 64 lower-case hex digits. dicom.echo and
	// hl7.ack: the question goes over TLS to the holder of that certificate or not at all (D10, H13);
	// empty: not over TLS.
	TLSPin string `json:"tls_pin,omitempty"`

	Messages []MessageTemplate `json:"messages,omitempty"` // a vendor's own kind: its messages, in order
}

// SNMP versions of a question.
const (
	SNMPv1  = "1"
	SNMPv2c = "" // the default
	SNMPv3  = "3"
)

// AuthProtocols are the authentication protocols that a version 3 question can name (RFC 7860, RFC 3414 6
// and 7). MD5 is there for devices that know nothing else; an approval has to name it (S8).
func AuthProtocols() []string { return []string{"SHA1", "SHA224", "SHA256", "SHA384", "SHA512", "MD5"} }

// PrivacyProtocols are the privacy protocols that a version 3 question can name: AES with keys of 128 bits
// (RFC 3826) and, for devices that know nothing else, DES (RFC 3414 8, S8).
func PrivacyProtocols() []string { return []string{"AES128", "DES"} }

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
		empty.OIDs, empty.SNMPVersion, empty.Auth, empty.Privacy = s.OIDs, s.SNMPVersion, s.Auth, s.Privacy
		err = checkSNMP(s)
	case DICOMEcho:
		empty.CalledAE, empty.CallingAE, empty.VersionName, empty.TLSPin = s.CalledAE, s.CallingAE, s.VersionName, s.TLSPin
		err = checkDICOM(s)
	case HL7Ack:
		empty.Facility, empty.ReceivingApp, empty.ReceivingFac = s.Facility, s.ReceivingApp, s.ReceivingFac
		empty.HL7Version, empty.Expect, empty.TLSPin = s.HL7Version, s.Expect, s.TLSPin
		err = checkHL7(s)
	default:
		if !s.Kind.Vendor() {
			return Query{}, fmt.Errorf("question kind %q is not known; it is snmp.get, dicom.echo, hl7.ack, or a vendor's own such as tcp.maker.status", s.Kind)
		}
		empty.Messages, empty.TLSPin = s.Messages, s.TLSPin
		if err = checkTemplates(s.Kind, s.Port, s.Messages); err == nil {
			err = checkPin(s.TLSPin)
		}
		if err == nil && s.TLSPin != "" && s.Kind.Transport() != "tcp" {
			err = fmt.Errorf("TLS needs a connection")
		}
	}
	if err != nil {
		return Query{}, fmt.Errorf("question %s: %w", s.Kind, err)
	}
	if !empty.equal(s) {
		return Query{}, fmt.Errorf("question %s: a parameter of another kind is set", s.Kind)
	}
	s.OIDs, s.Messages = slices.Clone(s.OIDs), cloneMessages(s.Messages)
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
	return checkUSM(s)
}

// checkUSM holds a version 3 question to named protocols: there is no level without authentication, for a
// reply that nobody signed proves nothing (S8).
func checkUSM(s QuerySpec) error {
	switch s.SNMPVersion {
	case SNMPv1, SNMPv2c:
		if s.Auth != "" || s.Privacy != "" {
			return fmt.Errorf("auth and privacy belong to version 3")
		}
	case SNMPv3:
		if !slices.Contains(AuthProtocols(), s.Auth) {
			return fmt.Errorf("auth %q: version 3 needs one of %s", s.Auth, strings.Join(AuthProtocols(), " "))
		}
		if s.Privacy != "" && !slices.Contains(PrivacyProtocols(), s.Privacy) {
			return fmt.Errorf("privacy %q: one of %s, or left out for none", s.Privacy, strings.Join(PrivacyProtocols(), " "))
		}
	default:
		return fmt.Errorf("SNMP version %q: 1 or 3, or empty for 2c", s.SNMPVersion)
	}
	return nil
}

// checkPin takes one spelling only, so that equal pins are equal texts.
func checkPin(pin string) error {
	if pin == "" {
		return nil
	}
	if len(pin) != 64 || strings.Trim(pin, "0123456789abcdef") != "" {
		return fmt.Errorf("certificate pin %q: the SHA-256 of the certificate in 64 lower-case hex digits", pin)
	}
	return nil
}

func checkDICOM(s QuerySpec) error {
	if err := checkPin(s.TLSPin); err != nil {
		return err
	}
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
	if err := checkPin(s.TLSPin); err != nil {
		return err
	}
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
	return slices.Equal(s.OIDs, t.OIDs) && sameMessages(s.Messages, t.Messages) && s.Kind == t.Kind && s.Port == t.Port && s.TLSPin == t.TLSPin &&
		s.SNMPVersion == t.SNMPVersion && s.Auth == t.Auth && s.Privacy == t.Privacy &&
		s.CalledAE == t.CalledAE && s.CallingAE == t.CallingAE && s.VersionName == t.VersionName &&
		s.Facility == t.Facility && s.ReceivingApp == t.ReceivingApp && s.ReceivingFac == t.ReceivingFac &&
		s.HL7Version == t.HL7Version && s.Expect == t.Expect
}

// Credential reports whether asking shows a credential to whoever is there (S4).
func (q Query) Credential() bool { return q.spec.Kind == SNMPGet }

// Kind returns the kind; empty for the zero Query.
func (q Query) Kind() Kind { return q.spec.Kind }

// Port returns the one port that the question goes to; 0 for the zero Query.
func (q Query) Port() uint16 { return q.spec.Port }

// Spec returns a copy of the written form.
func (q Query) Spec() QuerySpec {
	s := q.spec
	s.OIDs, s.Messages = slices.Clone(s.OIDs), cloneMessages(s.Messages)
	return s
}

// Equal reports whether both are the same exact question.
func (q Query) Equal(r Query) bool { return q.spec.equal(r.spec) }

// String is a short form for people, for example "snmp.get of 4 objects on port 161".
func (q Query) String() string {
	secured := security(q.spec.SNMPVersion, q.spec.Auth, q.spec.Privacy, q.spec.TLSPin != "")
	switch q.spec.Kind {
	case SNMPGet:
		return fmt.Sprintf("snmp.get of %s on port %d%s", strings.Join(q.spec.OIDs, " "), q.spec.Port, secured)
	case DICOMEcho:
		return fmt.Sprintf("dicom.echo to %s as %s on port %d%s", q.spec.CalledAE, q.spec.CallingAE, q.spec.Port, secured)
	case HL7Ack:
		return fmt.Sprintf("hl7.ack to %s at %s on port %d%s", q.spec.ReceivingApp, q.spec.ReceivingFac, q.spec.Port, secured)
	default:
		if q.spec.Kind.Vendor() {
			return fmt.Sprintf("%s on port %d%s", q.spec.Kind, q.spec.Port, secured)
		}
		return "no question"
	}
}

// security says how a question is protected; empty for SNMPv2c and for plain TCP.
func security(version, auth, privacy string, tls bool) string {
	switch {
	case tls:
		return " over TLS"
	case version == SNMPv1:
		return ", version 1"
	case version == SNMPv3 && privacy == "":
		return ", version 3, signed with " + auth
	case version == SNMPv3:
		return ", version 3, signed with " + auth + " and encrypted with " + privacy
	}
	return ""
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
