package safetylists

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Class is the clinical risk class of a device, as the CMMS states it. The zero value is unknown
// and is treated like life-support.
type Class string

// The classes.
const (
	LifeSupport Class = "life-support"
	HighRisk    Class = "high-risk"
	OtherClass  Class = "other"
)

// ParseClass reads a class; the empty text is the unknown class.
func ParseClass(s string) (Class, error) {
	switch c := Class(strings.ToLower(strings.TrimSpace(s))); c {
	case "", LifeSupport, HighRisk, OtherClass:
		return c, nil
	default:
		return "", fmt.Errorf("risk class %q: it is life-support, high-risk or other", s)
	}
}

// NeedsUseEvidence reports whether the class may be asked only with fresh evidence that the device
// is not in use (H-002). Only the class other may not need it.
func (c Class) NeedsUseEvidence() bool { return c != OtherClass }

// Source says where a claim of identity comes from.
type Source string

// The sources. CMMS and Attestation are paper, and together count as one; an Answer is the other
// independent one (DESIGN 6.2).
const (
	CMMS        Source = "cmms"        // a row of the maintenance system
	Attestation Source = "attestation" // a technician read it at the device, by name and date
	Answer      Source = "answer"      // the device told it to an approved identify question
)

// paper reports whether the source is a person's record rather than the device's own answer.
func (s Source) paper() bool { return s == CMMS || s == Attestation }

// Claim is what one source says a device is. An empty field is not stated.
type Claim struct {
	Source       Source    `json:"source"`
	Manufacturer string    `json:"manufacturer,omitempty"`
	Model        string    `json:"model,omitempty"`
	Version      string    `json:"version,omitempty"`
	By           string    `json:"by,omitempty"` // person, import or run that it comes from
	At           time.Time `json:"at"`           // when it was stated
}

// OutOfUse is a person's confirmation that no patient depends on the device, with its time limit.
type OutOfUse struct {
	By    string    `json:"by"`
	Until time.Time `json:"until"`
}

// Device is what is known of one physical unit at the moment of a decision. The zero value knows
// nothing and is refused every question.
type Device struct {
	ID       string        `json:"id"`              // asset tag, the key of the CMMS
	Name     string        `json:"name"`            // for people: maker, model
	Place    string        `json:"place,omitempty"` // department and location
	Class    Class         `json:"class"`
	Serial   string        `json:"serial,omitempty"`
	MAC      string        `json:"mac,omitempty"` // lower case, colons
	Address  netip.Addr    `json:"address"`
	Claims   []Claim       `json:"claims"`
	OutOfUse *OutOfUse     `json:"out_of_use,omitempty"`
	Status   *CMMSStatus   `json:"cmms_status,omitempty"`
	Fixed    *FixedAddress `json:"fixed_address,omitempty"`
	Options  []string      `json:"options,omitempty"` // licensed options that somebody has confirmed at the device

	Endpoints
}

// Endpoints are the addresses of the device's services as the site registered them. Zero or empty:
// not registered.
type Endpoints struct {
	SNMPPort       uint16 `json:"snmp_port,omitempty"`
	SNMPVersion    string `json:"snmp_version,omitempty"` // 1 or 3; empty: 2c
	DICOMPort      uint16 `json:"dicom_port,omitempty"`
	HL7Port        uint16 `json:"hl7_port,omitempty"`
	AETitle        string `json:"ae_title,omitempty"`        // called AE title
	HL7Application string `json:"hl7_application,omitempty"` // MSH-5
	HL7Facility    string `json:"hl7_facility,omitempty"`    // MSH-6
	HL7Connections uint16 `json:"hl7_connections,omitempty"` // how many the listener takes at once, as its owner says
	TLSPin         string `json:"tls_pin,omitempty"`         // SHA-256 of the certificate that its services show, in hex
}

// Port returns the registered port of a kind of question, 0 if none.
func (e Endpoints) Port(k Kind) uint16 {
	switch k {
	case SNMPGet:
		return e.SNMPPort
	case DICOMEcho:
		return e.DICOMPort
	case HL7Ack:
		return e.HL7Port
	default:
		return 0
	}
}

// OUI returns the first three octets of the MAC in upper case with colons, empty if unknown. A MAC that
// cannot be read is unknown: it could be any card.
func (d Device) OUI() string {
	mac, ok := PlainMAC(d.MAC)
	if !ok {
		return ""
	}
	return strings.ToUpper(mac[:8])
}

// PlainMAC writes the address of a network card in its one form, lower case with colons. It reads pairs of
// digits between colons or hyphens, fours between dots, and digits alone; ok is false for anything else.
func PlainMAC(text string) (mac string, ok bool) {
	group, sep := 2, byte(':')
	switch {
	case strings.Contains(text, "-"):
		sep = '-'
	case strings.Contains(text, "."):
		group, sep = 4, '.'
	case !strings.Contains(text, ":"):
		group = len(text)
	}
	var digits []byte
	for i := range len(text) {
		c := text[i]
		if i%(group+1) == group {
			if c != sep {
				return "", false
			}
			continue
		}
		if c >= 'A' && c <= 'F' {
			c += 'a' - 'A'
		}
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", false
		}
		digits = append(digits, c)
	}
	if n := len(digits); n != 12 && n != 16 || text[len(text)-1] == sep {
		return "", false
	}
	out := make([]byte, 0, len(digits)*3/2)
	for i, c := range digits {
		if i > 0 && i%2 == 0 {
			out = append(out, ':')
		}
		out = append(out, c)
	}
	return string(out), true
}

// Reached names a physical device by all that it can be reached under (G9): two asset tags with one address or
// one network card are one device, however the card is written. An empty address or MAC is not stated.
func Reached(tag, address, mac string) []string {
	names := []string{"id " + tag}
	if address != "" {
		names = append(names, "ip "+address)
	}
	if plain, ok := PlainMAC(mac); ok {
		mac = plain
	}
	if mac != "" {
		names = append(names, "mac "+mac)
	}
	return names
}

// NameAt is a device's name with its place, where that is known: what a person reads first.
func NameAt(name, place string) string {
	if place == "" {
		return name
	}
	return name + " (" + place + ")"
}
