package safetylists

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Type says what a statement does. Deny, ForbidPort, StackHazardType and Allow decide, in that order;
// Note and Fingerprint decide nothing.
type Type string

// The statement types.
const (
	Deny            Type = "deny"
	ForbidPort      Type = "forbid_port"
	StackHazardType Type = "stack_hazard" // G14, D11: software that is known to fall, whoever sells it
	Allow           Type = "allow"
	Note            Type = "note"
	Fingerprint     Type = "fingerprint"
)

// Purpose says when an allowance may be used. Identify may be the first question to a device;
// Routine needs the exact version and two independent sources (DESIGN 6.2).
type Purpose string

// The purposes.
const (
	Identify Purpose = "identify"
	Routine  Purpose = "routine"
)

// Seen says how much of the cited document was read (DESIGN 6.3).
type Seen string

// How much was read. Contents is a table of contents only and never carries an allowance.
const (
	SeenFull     Seen = "full"
	SeenExcerpt  Seen = "excerpt"
	SeenContents Seen = "contents"
)

// Evidence is one cited document.
type Evidence struct {
	Kind       string `yaml:"kind"`
	Title      string `yaml:"title"`
	Publisher  string `yaml:"publisher"`
	Document   string `yaml:"document,omitempty"` // number of the document
	Date       string `yaml:"date"`
	Address    string `yaml:"address,omitempty"`
	Says       string `yaml:"says"` // in our own words
	Seen       Seen   `yaml:"seen"`
	Provenance string `yaml:"provenance"`      // who serves the copy that was read
	Until      string `yaml:"until,omitempty"` // date from which the document itself is no longer valid
}

// Trigger is what sets off the effect that a statement tells of.
type Trigger struct {
	Layer     string `yaml:"layer,omitempty"`     // network, transport or application
	Transport string `yaml:"transport,omitempty"` // tcp or udp
	Port      uint16 `yaml:"port,omitempty"`
	Class     string `yaml:"class"` // malformed, volume, ordinary (a message), object (a specific one) or unknown
	Words     string `yaml:"words"`
}

// Effect is what happens to the device, apart from what sets it off.
type Effect struct {
	// reboot, interface_off, communication_module, therapy, data_or_clock, service (it stops serving),
	// output (it prints or announces), privacy (its answer names a person) or unknown
	Classes []string `yaml:"classes"`
	Words   string   `yaml:"words"`
}

// Statement is one sentence of a list, parsed. It is immutable.
type Statement struct {
	ID       string
	Type     Type
	File     string
	Maker    string
	Product  Product
	Kinds    []Kind // deny, stack_hazard, note: which kinds of question; none: every kind
	Ports    []PortRange
	Trigger  Trigger
	Effect   Effect
	Words    string // what a technician should know
	Purpose  Purpose
	Question QuestionRule
	Limits   Limits
	Sources  []netip.Prefix // allow: addresses of agents that may ask; none: any
	Options  []string       // allow: licensed options that the device must have
	Accepts  []string       // allow: ids of the stack hazards that the maker accepts for this question
	OutOfUse bool           // allow: whatever the class, only while no patient depends on it
	StopOn   []string       // allow: what the maker wants the conversation to stop at; we stop at all of them
	Expires  time.Time      // allow: required
	Evidence []Evidence
	Digest   [32]byte // of its canonical form: what a sign-off names

	expires string   // Expires as a date
	options []string // Options, folded
	site    bool     // written by the site itself
	line    int      // where it begins in its file

	strength Seen // the best reading among the evidence

	model       string         // fingerprint: what it names when its pattern does not
	objectIDs   []OID          // fingerprint: sysObjectID values
	description *regexp.Regexp // fingerprint: of sysDescr, with groups model and version
	hints       identitySpec   // fingerprint: what only hints at a maker
}

// PortRange is a range of ports of one transport.
type PortRange struct {
	Transport string `yaml:"transport"` // tcp or udp
	From      uint16 `yaml:"from"`
	To        uint16 `yaml:"to"`
}

// forbids reports whether a range of the statement has the port.
func (s *Statement) forbids(transport string, port uint16) bool {
	return slices.ContainsFunc(s.Ports, func(r PortRange) bool { return r.contains(transport, port) })
}

func (r PortRange) contains(transport string, port uint16) bool {
	return r.Transport == transport && r.From <= port && port <= r.To
}

// speaksOf reports whether a deny or note covers the kind of question.
func (s *Statement) speaksOf(k Kind) bool {
	if len(s.Kinds) == 0 {
		return true
	}
	for _, kind := range s.Kinds {
		if kind == k {
			return true
		}
	}
	return false
}

// strongest is the best reading among the evidence.
func strongest(evidence []Evidence) Seen {
	best := SeenContents
	for _, e := range evidence {
		switch e.Seen {
		case SeenFull:
			return SeenFull
		case SeenExcerpt:
			best = SeenExcerpt
		}
	}
	return best
}

// QuestionRule is the exact question of an allowance, with the holes that the site's own
// registration fills: port, AE title, HL7 application and facility.
type QuestionRule struct {
	Kind        Kind
	Port        uint16 // 0: the port that the site registered
	OIDs        []string
	CallingAE   string
	VersionName string
	HL7Version  string
	Expect      string
	SNMPVersion string
	Auth        string
	Privacy     string
	TLS         bool              // only over TLS, to the certificate that the site registered
	Messages    []MessageTemplate // a vendor's own kind

	text string // for a person
}

// lacks says what the site has not registered that the question needs; empty if nothing.
func (r *QuestionRule) lacks(e Endpoints, facility string) string {
	switch {
	case r.Port == 0 && e.Port(r.Kind) == 0:
		return "the inventory has no port for it"
	case r.Kind == SNMPGet && r.SNMPVersion != e.SNMPVersion:
		return "the inventory has another SNMP version than the allowance"
	case r.TLS && e.TLSPin == "":
		return "the inventory has no tls_pin, and the allowance is for TLS alone"
	case r.Kind == DICOMEcho && e.AETitle == "":
		return "the inventory has no AE title"
	case r.Kind == HL7Ack && (e.HL7Application == "" || e.HL7Facility == ""):
		return "the inventory lacks the HL7 application or facility"
	case r.Kind == HL7Ack && e.HL7Connections < 2: // H9: ours might displace the one it is there for
		return "the inventory does not say that the HL7 listener takes more than one connection (hl7_connections)"
	case r.Kind == HL7Ack && facility == "": // H1: nothing is asked of an interface that its owner has not registered
		return "the site file names no facility"
	}
	return ""
}

// asks reports whether q is exactly the question of the rule for a device with these endpoints.
func (r *QuestionRule) asks(q Query, e Endpoints, facility string) bool {
	s := &q.spec
	if s.Kind != r.Kind || s.Port != r.port(e) {
		return false
	}
	switch r.Kind {
	case SNMPGet:
		return slices.Equal(s.OIDs, r.OIDs) && s.SNMPVersion == r.SNMPVersion && s.Auth == r.Auth && s.Privacy == r.Privacy
	case DICOMEcho:
		return s.TLSPin == r.pin(e) && s.CalledAE == e.AETitle && s.CallingAE == r.CallingAE && s.VersionName == r.VersionName
	case HL7Ack:
		return s.TLSPin == r.pin(e) && s.Facility == facility && s.ReceivingApp == e.HL7Application && s.ReceivingFac == e.HL7Facility &&
			s.HL7Version == r.HL7Version && s.Expect == r.Expect
	default:
		return r.Kind.Vendor() && s.TLSPin == r.pin(e) && sameMessages(s.Messages, r.Messages)
	}
}

// String says the question as the allowance has it.
func (r *QuestionRule) String() string {
	port := "the registered port"
	if r.Port != 0 {
		port = fmt.Sprintf("port %d", r.Port)
	}
	port += security(r.SNMPVersion, r.Auth, r.Privacy, r.TLS)
	switch r.Kind {
	case SNMPGet:
		return fmt.Sprintf("%s of %s on %s", r.Kind, strings.Join(r.OIDs, " "), port)
	case DICOMEcho:
		return fmt.Sprintf("%s as %s on %s", r.Kind, r.CallingAE, port)
	case HL7Ack:
		return fmt.Sprintf("%s of HL7 %s that is answered %s on %s", r.Kind, r.HL7Version, r.Expect, port)
	default:
		return fmt.Sprintf("%s on %s", r.Kind, port)
	}
}

// Fill makes the question for one device of one site. It fails when the inventory lacks what the
// question needs.
func (r QuestionRule) Fill(e Endpoints, facility string) (Query, error) {
	s := QuerySpec{Kind: r.Kind, Port: r.port(e)}
	switch r.Kind {
	case SNMPGet:
		s.OIDs, s.SNMPVersion, s.Auth, s.Privacy = r.OIDs, r.SNMPVersion, r.Auth, r.Privacy
	case DICOMEcho:
		s.CalledAE, s.CallingAE, s.VersionName, s.TLSPin = e.AETitle, r.CallingAE, r.VersionName, r.pin(e)
	case HL7Ack:
		s.TLSPin = r.pin(e)
		s.Facility, s.ReceivingApp, s.ReceivingFac = facility, e.HL7Application, e.HL7Facility
		s.HL7Version, s.Expect = r.HL7Version, r.Expect
	default:
		s.Messages, s.TLSPin = r.Messages, r.pin(e)
	}
	return ParseQuery(s)
}

// port is the allowance's own port, else the one that the site registered.
func (r *QuestionRule) port(e Endpoints) uint16 {
	if r.Port != 0 {
		return r.Port
	}
	return e.Port(r.Kind)
}

// pin is the registered certificate, where the allowance is for TLS.
func (r *QuestionRule) pin(e Endpoints) string {
	if r.TLS {
		return e.TLSPin
	}
	return ""
}
