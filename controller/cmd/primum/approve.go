package main

import (
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"time"

	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
	"primum/safetylists/frame"
	"primum/safetylists/permit"
)

type approveCommand struct {
	Plan    string `arg:"" help:"Plan."`
	Key     string `required:"" help:"File: the approver's private key."`
	By      string `required:"" help:"Name of the approver in the site file."`
	Summary bool   `help:"Leave out the bytes in hex."`
}

// Run shows what the document itself says and signs that, whatever else the controller tells (H-009).
func (c *approveCommand) Run(e *env) error {
	key, err := readKey(c.Key)
	if err != nil {
		return err
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	plans := adminv1.NewPlanServiceClient(cl.conn)
	name := within("plans", c.Plan)
	p, err := call(plans.GetPlan, &adminv1.GetPlanRequest{Name: name})
	if err != nil {
		return err
	}
	digest := sha256.Sum256(p.GetDocument())
	if string(digest[:]) != string(p.GetDigest()) {
		return refusedError{"the digest that the controller tells is not that of the plan document; nothing was signed. Treat this as a security incident."}
	}
	doc, _, err := permit.DecodePlan(p.GetDocument())
	if err != nil {
		return refusedError{"the plan document cannot be read, and nothing was signed: " + err.Error()}
	}
	if doc.ID != name {
		return refusedError{"the controller gave the document of " + doc.ID + " for " + name + "; nothing was signed. Treat this as a security incident."}
	}
	// with JSON on standard output, what is signed is shown all the same
	show := *e
	if e.json {
		show.out, show.json = e.err, false
	}
	if err := show.document(doc, digest, c.Summary); err != nil {
		return err
	}
	for _, note := range p.GetNotes() {
		show.say("The controller notes: %s", note)
	}
	signed, err := call(plans.ApprovePlan, &adminv1.ApprovePlanRequest{Name: name, By: c.By, Signature: permit.Sign(permit.DomainPlan, key, p.GetDocument())})
	if err != nil {
		return err
	}
	return e.show(signed, func() {
		e.say("Signed by %s: %d of %d. State %s. The approved time opens at %s.", c.By, len(signed.GetApprovedBy()), signed.GetApproversNeeded(), signed.GetState(), moment(doc.Opens))
		if signed.GetState() == "APPROVED" {
			e.say("The run fires by itself. To follow: primum watch %s", name)
		}
	})
}

// document prints a plan from the bytes that are signed, and from nothing else. Questions are shown with
// the bytes that this program makes of them.
func (e *env) document(doc permit.Plan, digest permit.Digest, summary bool) error {
	e.say("The document of %s, site %s, for %s:", doc.ID, doc.Site, doc.Caller)
	messages, octets := 0, 0
	for _, it := range doc.Items {
		all, err := frame.Messages(it.Query, frame.Example())
		if err != nil {
			return refusedError{"the plan holds a question that cannot be asked, and nothing was signed: " + err.Error()}
		}
		e.say("  %s  %s at %s", it.Device.ID, list.NameAt(it.Device.Name, it.Device.Place), it.Device.Address.String())
		e.say("    %s, purpose %s, allowed by %s", it.Query.String(), string(it.Purpose), strings.Join(it.Statements, ", "))
		var shown []*adminv1.PlannedMessage
		for _, m := range all {
			messages++
			octets += len(m.Bytes)
			shown = append(shown, &adminv1.PlannedMessage{Hex: hex.EncodeToString(m.Bytes), Words: m.Words})
		}
		e.messages(shown, summary)
	}
	e.say("The document says: %d questions, %d messages, %d octets, at most about %s, from %s to %s; %d refused.", len(doc.Items), messages, octets,
		cmp.Or(list.Span(doc.Busy().Round(time.Second)), "0 s"), moment(doc.Opens), moment(doc.Closes), len(doc.Refusals))
	e.short(doc.Busy().Round(time.Second), doc.Closes.Sub(doc.Opens))
	e.say("Digest %s, of list release %s", digest.String(), doc.List.String())
	return nil
}

// short says it where an approved time may end before the last question has had its turn.
func (e *env) short(busy, open time.Duration) {
	if busy > open {
		e.say("The approved time is %s: what does not come to its turn in it is not asked.", list.Span(open))
	}
}

func moment(t time.Time) string { return t.UTC().Format(time.DateTime) + " UTC" }

func readKey(path string) (ed25519.PrivateKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, input("the key cannot be read: %v", err)
	}
	key, err := permit.ParsePrivate(string(b))
	if err != nil {
		return nil, input("%s is not a private key: %v", path, err)
	}
	return key, nil
}
