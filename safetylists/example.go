package safetylists

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Example is a device and a question with the decision that the authors of a file expect of it. A file
// whose own examples do not come out does not load.
type Example struct {
	Says   string
	Device Device
	Query  Query
	Expect Reason
	By     []string // statements that decide; empty: not said
}

type exampleSpec struct {
	Says   string        `yaml:"says,omitempty"`
	Device exampleDevice `yaml:"device"`
	Ask    exampleQuery  `yaml:"ask"`
	Expect Reason        `yaml:"expect"`
	By     []string      `yaml:"by,omitempty"`
}

type exampleDevice struct {
	Maker    string   `yaml:"maker,omitempty"`
	Model    string   `yaml:"model,omitempty"`
	Version  string   `yaml:"version,omitempty"`
	Sources  []Source `yaml:"sources,omitempty"` // default: cmms
	Class    string   `yaml:"class,omitempty"`   // default: other
	InUse    bool     `yaml:"in_use,omitempty"`  // nobody has confirmed that it is not
	MAC      string   `yaml:"mac,omitempty"`
	Options  []string `yaml:"options,omitempty"`
	AETitle  string   `yaml:"ae_title,omitempty"` // default: TITLE
	HL7App   string   `yaml:"hl7_application,omitempty"`
	Facility string   `yaml:"hl7_facility,omitempty"`
}

type exampleQuery struct {
	Kind        Kind     `yaml:"kind"`
	Port        uint16   `yaml:"port,omitempty"` // default: 161, 104 or 2575
	OIDs        []string `yaml:"oids,omitempty"` // default: DefaultOIDs
	CallingAE   string   `yaml:"calling_ae,omitempty"`
	VersionName string   `yaml:"version_name,omitempty"`
	HL7Version  string   `yaml:"hl7_version,omitempty"`
	Expect      string   `yaml:"expect,omitempty"`
	SNMPVersion string   `yaml:"snmp_version,omitempty"` // the device is registered with the same
	Auth        string   `yaml:"auth,omitempty"`
	Privacy     string   `yaml:"privacy,omitempty"`
	TLS         bool     `yaml:"tls,omitempty"` // the device has a registered certificate

	Messages []MessageTemplate `yaml:"messages,omitempty"`
}

const exampleFacility = "SITE"

func (e exampleSpec) parse() (Example, error) {
	out := Example{Says: e.Says, Expect: e.Expect, By: e.By}
	if _, ok := catalogue()[e.Expect]; !ok || e.Expect == NotDecided {
		return Example{}, fmt.Errorf("expect: %q is no reason code", e.Expect)
	}
	port := e.Ask.Port
	if port == 0 {
		port = map[Kind]uint16{SNMPGet: 161, DICOMEcho: 104, HL7Ack: 2575}[e.Ask.Kind]
	}
	class, err := ParseClass(or(e.Device.Class, string(OtherClass)))
	if err != nil {
		return Example{}, fmt.Errorf("device: %w", err)
	}
	d := Device{ID: "example", Class: class, MAC: strings.ToLower(e.Device.MAC), Options: e.Device.Options}
	d.Endpoints = Endpoints{AETitle: or(e.Device.AETitle, "TITLE"), HL7Application: or(e.Device.HL7App, "APP"), HL7Facility: or(e.Device.Facility, "FAC"), HL7Connections: 2}
	switch e.Ask.Kind {
	case SNMPGet:
		d.SNMPPort = port
	case DICOMEcho:
		d.DICOMPort = port
	case HL7Ack:
		d.HL7Port = port
	}
	if !e.Device.InUse {
		d.OutOfUse = &OutOfUse{By: "example", Until: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	}
	for _, s := range e.Device.Sources {
		if s != CMMS && s != Attestation && s != Answer {
			return Example{}, fmt.Errorf("device: source %q is not cmms, attestation or answer", s)
		}
	}
	if e.Device.Maker+e.Device.Model+e.Device.Version != "" {
		sources := e.Device.Sources
		if len(sources) == 0 {
			sources = []Source{CMMS}
		}
		for _, s := range sources {
			d.Claims = append(d.Claims, Claim{Source: s, Manufacturer: e.Device.Maker, Model: e.Device.Model, Version: e.Device.Version})
		}
	}
	rule := defaultRule(e.Ask.Kind)
	rule.Port = port
	if len(e.Ask.OIDs) > 0 {
		rule.OIDs = e.Ask.OIDs
	}
	rule.CallingAE, rule.VersionName = or(e.Ask.CallingAE, rule.CallingAE), e.Ask.VersionName
	rule.HL7Version, rule.Expect = or(e.Ask.HL7Version, rule.HL7Version), or(e.Ask.Expect, rule.Expect)
	if rule.SNMPVersion = e.Ask.SNMPVersion; rule.SNMPVersion == "2c" {
		rule.SNMPVersion = SNMPv2c
	}
	rule.Auth, rule.Privacy, rule.TLS, rule.Messages = e.Ask.Auth, e.Ask.Privacy, e.Ask.TLS, unspaced(e.Ask.Messages)
	d.SNMPVersion = rule.SNMPVersion
	if rule.TLS {
		d.TLSPin = strings.Repeat("0", 64)
	}
	if !e.Ask.Kind.known() {
		return Example{}, fmt.Errorf("ask: kind %q is not known", e.Ask.Kind)
	}
	out.Device = d
	if out.Query, err = rule.Fill(d.Endpoints, exampleFacility); err != nil {
		return Example{}, fmt.Errorf("ask: %w", err)
	}
	return out, nil
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// try decides about an example with this file alone, at a site that has signed off everything in it.
func (f *File) try(e Example, at time.Time) error {
	site := Site{Name: "example", Facility: exampleFacility, Policy: Real}
	if f.Lab {
		site.Policy = Lab
	}
	for _, s := range f.Statements {
		if s.Type == Allow {
			site.SignOffs = append(site.SignOffs, SignOff{Statement: s.ID, Digest: s.Digest, By: []string{"one", "another"}})
		}
	}
	l, err := New([]*File{f}, site)
	if err != nil {
		return err
	}
	return e.on(l, at)
}

// on reports how the decision of a list differs from what the example expects; nil if it does not.
func (e Example) on(l *List, at time.Time) error {
	dec := l.Decide(e.Device, e.Query, at)
	if dec.Reason != e.Expect {
		return fmt.Errorf("expect: the decision is %s (%s %s), not %s", dec.Reason, strings.Join(dec.Statements, " "), dec.Detail(), e.Expect)
	}
	for _, id := range e.By {
		if !slices.Contains(dec.Statements, id) {
			return fmt.Errorf("by: %s decided, not %s", strings.Join(dec.Statements, " "), id)
		}
	}
	return nil
}
