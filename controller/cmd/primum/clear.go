package main

import (
	"fmt"
	"strings"
	"time"

	adminv1 "primum/proto/admin/v1"
	"primum/safetylists/permit"
)

type clearCommand struct {
	Device string `arg:"" help:"Asset tag that it was asked under."`
	Reason string `required:"" help:"What a person has seen at the device."`
	Key    string `required:"" help:"File: the approver's private key."`
	By     string `required:"" help:"Name of the approver in the site file."`
}

// Run signs one clearance for each distress that it shows. The signature goes to the agent, which verifies it.
func (c *clearCommand) Run(e *env) error {
	if strings.TrimSpace(c.Reason) == "" {
		return input("say why: --reason tells what a person has seen at the device")
	}
	key, err := readKey(c.Key)
	if err != nil {
		return err
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	devices := adminv1.NewInventoryServiceClient(cl.conn)
	d, err := call(devices.GetDevice, &adminv1.GetDeviceRequest{Name: within("devices", c.Device)})
	if err != nil {
		return err
	}
	rel, err := call(adminv1.NewListServiceClient(cl.conn).GetRelease, &adminv1.GetReleaseRequest{})
	if err != nil {
		return err
	}
	sent := 0
	for _, x := range d.GetDistresses() {
		if x.GetClearing() {
			continue
		}
		doc, err := permit.Clearance{Site: rel.GetSite(), Agent: short(x.GetAgent()), Device: tag(within("devices", c.Device)), Permit: x.GetPermit(),
			Reason: strings.TrimSpace(c.Reason), At: time.Now().UTC().Truncate(time.Second)}.Encode()
		if err != nil {
			return err
		}
		if _, _, err := permit.DecodeClearance(doc); err != nil {
			return input("%v", err)
		}
		r := &adminv1.ClearDeviceRequest{Document: doc, By: c.By, Signature: permit.Sign(permit.DomainClearance, key, doc)}
		if d, err = call(devices.ClearDevice, r); err != nil {
			return err
		}
		sent++
	}
	if sent == 0 {
		return refusedError{c.Device + " has no distress that is to be cleared; nothing was signed. See primum devices show " + c.Device}
	}
	return e.show(d, func() {
		what, has := "The clearance is", "it"
		if sent > 1 {
			what, has = fmt.Sprintf("%d clearances are", sent), "them"
		}
		e.say("%s signed by %s, and on the way to the agent. Until the agent has %s, the device is left alone.", what, c.By, has)
		e.distresses(d)
	})
}

// distresses says why a device is left alone.
func (e *env) distresses(d *adminv1.Device) {
	for _, x := range d.GetDistresses() {
		e.say("  Left alone by %s: %s at %s in %s: %s", x.GetAgent(), x.GetState(), when(x.GetAt()), x.GetRun(), x.GetDetail())
		switch {
		case x.GetClearing():
			e.say("    a clearance is on its way")
		case x.GetProblem() != "":
			e.say("    the agent refused a clearance: %s", x.GetProblem())
		default:
			e.say("    after a person has looked at it: primum devices clear %s --reason WHAT-WAS-SEEN --key FILE --by APPROVER", tag(d.GetName()))
		}
	}
}
