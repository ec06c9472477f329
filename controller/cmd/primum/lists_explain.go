package main

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"time"

	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
	"primum/safetylists/frame"
)

type listExplainCommand struct {
	Maker    string   `help:"Maker, as the CMMS has it."`
	Model    string   `help:"Model."`
	Software string   `help:"Software version."`
	MAC      string   `help:"Address of the network card."`
	Class    string   `default:"other" help:"life-support, high-risk or other."`
	Kind     string   `default:"snmp.get" help:"snmp.get, dicom.echo, hl7.ack, or a maker's own, such as tcp.acme.status."`
	Port     uint16   `help:"Port. Defaults to 161, 104 or 2575."`
	OID      []string `name:"oid" help:"Objects of snmp.get, in order. Default: the four of the system group."`
	CalledAE string   `name:"called-ae" default:"TITLE" help:"Title of the device, for dicom.echo."`
	Persons  int      `help:"How many of the site's persons to suppose have signed off every allowance: 0, 1 or 2."`
	From     string   `help:"Address that would ask."`
	In       []string `help:"List files, folders of them, or the word shipped (default)."`
}

// Run decides about a device that is described on the command line, without a controller.
func (c *listExplainCommand) Run(e *env) error {
	files, err := readLists(defaultLists(c.In))
	if err != nil {
		return err
	}
	l, err := together(files, c.Persons)
	if err != nil {
		return err
	}
	class, err := list.ParseClass(c.Class)
	if err != nil {
		return input("--class: %v", err)
	}
	d := list.Device{ID: "device", Class: class, MAC: strings.ToLower(c.MAC), Endpoints: list.Endpoints{AETitle: c.CalledAE, HL7Application: "APP", HL7Facility: "FACILITY", HL7Connections: 2}}
	if c.Maker+c.Model+c.Software != "" {
		d.Claims = []list.Claim{{Source: list.CMMS, Manufacturer: c.Maker, Model: c.Model, Version: c.Software}}
	}
	if c.Persons < 0 || c.Persons > 2 {
		return input("--persons is %d; it is 0, 1 or 2", c.Persons)
	}
	q, err := c.query(l, &d)
	if err != nil && !list.Kind(c.Kind).Vendor() {
		return input("%v", err)
	}
	dec := l.Decide(d, q, time.Now())
	reason, detail := dec.Reason, dec.Detail()
	asked := q.String()
	if err != nil { // nobody knows the messages of such a question: nobody has approved it
		reason, detail, dec, asked = list.NotApproved, err.Error()+" at that port; compare maker, model and port with the list", list.Decision{}, c.Kind
	}
	if c.From != "" {
		from, err := netip.ParseAddr(c.From)
		if err != nil {
			return input("--from %q is no IP address", c.From)
		}
		if no := dec.From(from); no != nil && dec.Allowed() {
			reason, detail = no.Reason, no.Detail
		}
	}
	w := reason.Words()
	x := &adminv1.Explanation{Question: asked, Allowed: reason == list.Allowed, Reason: string(reason), Detail: detail, What: w.What, Why: w.Why, Do: w.Do, Statements: dec.Statements}
	for _, id := range dec.Statements {
		x.Evidence = append(x.Evidence, sources(l.Statement(id))...)
	}
	for _, hint := range l.Hints(list.Observed{MAC: d.MAC}) {
		x.Beside = append(x.Beside, "the network card hints at: "+hint.Maker)
	}
	if dec.Allowed() {
		all, err := frame.Messages(q, frame.Example())
		if err != nil {
			return err
		}
		for _, m := range all {
			x.Messages = append(x.Messages, &adminv1.PlannedMessage{Hex: hex.EncodeToString(m.Bytes), Words: m.Words})
		}
	}
	return e.show(x, func() {
		e.say("%s: %s", asked, string(reason))
		e.say("  %s %s", w.What, w.Why)
		if detail != "" {
			e.say("  In particular: %s", detail)
		}
		e.say("  %s", w.Do)
		for _, id := range dec.Statements {
			e.say("  statement: %s", id)
			for _, line := range sources(l.Statement(id)) {
				e.say("    source: %s", line)
			}
		}
		for _, b := range x.Beside {
			e.say("  %s", b)
		}
		e.messages(x.Messages, true)
	})
}

func (c *listExplainCommand) query(l *list.List, d *list.Device) (list.Query, error) {
	s := list.QuerySpec{Kind: list.Kind(c.Kind), Port: c.Port}
	if s.Kind.Vendor() { // its messages stand in the list
		return l.Question(*d, s.Kind, c.Port, nil)
	}
	or := func(p uint16) {
		if s.Port == 0 {
			s.Port = p
		}
	}
	switch s.Kind {
	case list.DICOMEcho:
		or(104)
		s.CalledAE, s.CallingAE, d.DICOMPort = c.CalledAE, "PRIMUM", s.Port
	case list.HL7Ack:
		or(2575)
		s.Facility, s.ReceivingApp, s.ReceivingFac, s.HL7Version, s.Expect, d.HL7Port = "SITE", "APP", "FACILITY", "2.5.1", "AA", s.Port
	default:
		or(161)
		s.OIDs, d.SNMPPort = c.OID, s.Port
		if len(s.OIDs) == 0 {
			s.OIDs = list.DefaultOIDs()
		}
	}
	return list.ParseQuery(s)
}
