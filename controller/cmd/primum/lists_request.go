package main

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
	"time"

	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
	"primum/safetylists/letter"
)

type listRequestCommand struct {
	Product  string `arg:"" help:"Maker and model as the inventory has them, with a slash between."`
	Hospital string `required:"" help:"Who asks."`
	Contact  string `help:"A person and an address."`
	Out      string `default:"." help:"Folder for the letter and the statement file."`
	Months   int    `default:"12" help:"How long the answer should hold."`
}

// Run writes the letter to the manufacturer of a model in the inventory that nobody has approved.
func (c *listRequestCommand) Run(e *env) error {
	if _, _, ok := strings.Cut(c.Product, "/"); !ok || c.Months < 1 || c.Months > 60 {
		return input("name the product as MAKER/MODEL, and 1 to 60 months")
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	all, err := cl.devices()
	if err != nil {
		return err
	}
	now := time.Now()
	r := letter.Request{Hospital: c.Hospital, Contact: c.Contact, Date: now, Until: now.AddDate(0, c.Months, 0), Class: list.OtherClass}
	for _, d := range all {
		if !list.SameName(d.GetManufacturer()+"/"+d.GetModel(), c.Product) {
			continue
		}
		x, err := call(adminv1.NewInventoryServiceClient(cl.conn).ExplainQuestion, &adminv1.ExplainQuestionRequest{Device: d.GetName()})
		if err != nil {
			return err
		}
		for _, y := range x.GetExplanations() {
			if y.GetReason() == string(list.Denied) {
				return refusedError{"refused: DENIED. " + list.Denied.Words().String() + " Statement: " + strings.Join(y.GetStatements(), " ")}
			}
			if y.GetAllowed() {
				return input("%s has an allowance already: %s. Look at primum explain %s.", c.Product, strings.Join(y.GetStatements(), " "), d.GetAssetTag())
			}
		}
		r.Maker, r.Model, r.Units = d.GetManufacturer(), d.GetModel(), r.Units+1
		r.Versions = append(r.Versions, d.GetFirmware())
		if class, err := list.ParseClass(d.GetRiskClass()); err != nil || class != list.OtherClass {
			r.Class = list.HighRisk
		}
		r.Queries = addQueries(r.Queries, d)
	}
	if r.Units == 0 {
		return input("the inventory has no %s. primum devices list shows what it has.", c.Product)
	}
	l, err := letter.Write(r)
	if err != nil {
		return input("%v", err)
	}
	stem := strings.TrimSuffix(l.File, ".yaml")
	for name, text := range map[string][]byte{stem + ".letter.md": l.Markdown, stem + ".letter.html": l.HTML, l.File: l.Statement} {
		if err := writeMode(filepath.Join(c.Out, name), string(text), 0o644); err != nil {
			return err
		}
	}
	e.say("Request %s for %d units and %d questions:", l.Reference, r.Units, len(r.Queries))
	e.say("  %s   the letter", filepath.Join(c.Out, stem+".letter.md"))
	e.say("  %s the letter, to be printed", filepath.Join(c.Out, stem+".letter.html"))
	e.say("  %s          the statement file, for the manufacturer to correct and sign", filepath.Join(c.Out, l.File))
	e.say("Nothing was sent to anybody. Unsigned, the statement file allows nothing.")
	return nil
}

// snmpQuestion is the default question in the version that the device is registered with. Of version 3 the
// strongest protocols that every engine of RFC 7860 and RFC 3826 has are asked for; the manufacturer may correct it.
func snmpQuestion(d *adminv1.Device) list.QuerySpec {
	q := list.QuerySpec{Kind: list.SNMPGet, Port: uint16(d.GetSnmpPort()), OIDs: list.DefaultOIDs()}
	switch d.GetSnmpVersion() {
	case "1":
		q.SNMPVersion = list.SNMPv1
	case "3":
		q.SNMPVersion, q.Auth, q.Privacy = list.SNMPv3, "SHA256", "AES128"
	}
	return q
}

// addQueries adds the questions that the registered services of a device suggest, each once.
func addQueries(have []list.Query, d *adminv1.Device) []list.Query {
	specs := []list.QuerySpec{
		snmpQuestion(d),
		{Kind: list.DICOMEcho, Port: uint16(d.GetDicomPort()), CalledAE: d.GetAeTitle(), CallingAE: "PRIMUM", TLSPin: d.GetTlsPin()},
		{Kind: list.HL7Ack, Port: uint16(d.GetHl7Port()), Facility: "SITE", ReceivingApp: d.GetHl7Application(), ReceivingFac: d.GetHl7Facility(), HL7Version: "2.5.1", Expect: "AA", TLSPin: d.GetTlsPin()},
	}
	for _, s := range specs {
		q, err := list.ParseQuery(s)
		same := func(x list.Query) bool { return x.Kind() == q.Kind() && x.Port() == q.Port() }
		if err != nil || list.NeverPort(s.Kind.Transport(), s.Port) || slices.ContainsFunc(have, same) {
			continue // not registered, never to be asked for, or there already
		}
		have = append(have, q)
	}
	slices.SortStableFunc(have, func(a, b list.Query) int { return cmp.Compare(a.String(), b.String()) })
	return have
}
