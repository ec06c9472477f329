package safetylists

import (
	"regexp"
	"time"
)

// Type says what a statement does. Deny, ForbidPort and Allow decide, in that order; Note and
// Fingerprint decide nothing.
type Type string

// The statement types.
const (
	Deny        Type = "deny"
	ForbidPort  Type = "forbid_port"
	Allow       Type = "allow"
	Note        Type = "note"
	Fingerprint Type = "fingerprint"
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
	Provenance string `yaml:"provenance"` // who serves the copy that was read
}

// Trigger is what sets off the effect that a deny or a note tells of.
type Trigger struct {
	Layer     string `yaml:"layer,omitempty"`     // network, transport, application
	Transport string `yaml:"transport,omitempty"` // tcp, udp
	Port      uint16 `yaml:"port,omitempty"`
	Class     string `yaml:"class"` // malformed, volume, ordinary, object, unknown
	Words     string `yaml:"words"`
}

// Statement is one sentence of a list, parsed. It is immutable.
type Statement struct {
	ID       string
	Type     Type
	File     string
	Maker    string
	Product  Product
	Kinds    []Kind // deny, note: which kinds of question; none: every kind
	Ports    []PortRange
	Trigger  Trigger
	Effect   string
	Words    string // what a technician should know
	Purpose  Purpose
	Question QuestionRule
	Limits   Limits
	Expires  time.Time // allow: required
	Evidence []Evidence
	Digest   [32]byte // of its canonical form: what a sign-off names

	model       string         // fingerprint: what it names when its pattern does not
	objectIDs   []OID          // fingerprint: sysObjectID values
	description *regexp.Regexp // fingerprint: of sysDescr, with groups model and version
}

// PortRange is a range of ports of one transport.
type PortRange struct {
	Transport string `yaml:"transport"` // tcp or udp
	From      uint16 `yaml:"from"`
	To        uint16 `yaml:"to"`
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

// strength is the best reading among the evidence.
func (s *Statement) strength() Seen {
	best := SeenContents
	for _, e := range s.Evidence {
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
}

// Fill makes the question for one device of one site. It fails when the inventory lacks what the
// question needs.
func (r QuestionRule) Fill(e Endpoints, facility string) (Query, error) {
	s := QuerySpec{Kind: r.Kind, Port: r.port(e)}
	switch r.Kind {
	case SNMPGet:
		s.OIDs = r.OIDs
	case DICOMEcho:
		s.CalledAE, s.CallingAE, s.VersionName = e.AETitle, r.CallingAE, r.VersionName
	case HL7Ack:
		s.Facility, s.ReceivingApp, s.ReceivingFac = facility, e.HL7Application, e.HL7Facility
		s.HL7Version, s.Expect = r.HL7Version, r.Expect
	}
	return ParseQuery(s)
}

// port is the allowance's own port, else the one that the site registered.
func (r QuestionRule) port(e Endpoints) uint16 {
	if r.Port != 0 {
		return r.Port
	}
	return e.Port(r.Kind)
}
