package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"time"

	adminv1 "primum/proto/admin/v1"
	"primum/safetylists/frame"
	"primum/safetylists/permit"
)

type planCommand struct {
	Window  string `arg:"" help:"Approved time."`
	Summary bool   `help:"Leave out the exact bytes."`
}

// Run plans.
func (c *planCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	p, err := call(adminv1.NewPlanServiceClient(cl.conn).CreatePlan, &adminv1.CreatePlanRequest{Window: within("windows", c.Window)})
	if err != nil {
		return err
	}
	return e.show(p, func() { e.plan(p, c.Summary) })
}

func (e *env) plan(p *adminv1.Plan, summary bool) {
	e.say("Plan %s, approved time %s to %s", short(p.GetName()), when(p.GetOpens()), when(p.GetCloses()))
	e.say("")
	e.say("WILL BE ASKED")
	for _, it := range p.GetItems() {
		e.say("  %s  %s (%s)", short(it.GetDevice()), it.GetDeviceName(), it.GetPlace())
		e.say("    %s, purpose %s, allowed by %s", it.GetQuestion(), it.GetPurpose(), strings.Join(it.GetStatements(), ", "))
		if !summary {
			e.messages(it.GetMessages())
		}
	}
	e.say("")
	e.say("WILL NOT BE ASKED")
	for _, r := range p.GetRefusals() {
		e.say("  %s  %s (%s) %s: %s", short(r.GetDevice()), r.GetDeviceName(), r.GetPlace(), r.GetQuestion(), r.GetReason())
		e.say("    %s %s", r.GetWhy(), r.GetDo())
		if r.GetDetail() != "" {
			e.say("    In particular: %s", r.GetDetail())
		}
	}
	e.say("")
	e.say("%d questions, %d messages, %d octets, about %s; %d refused. Nothing has been sent.", len(p.GetItems()), p.GetMessages(), p.GetOctets(),
		p.GetBusy().AsDuration().Round(time.Second).String(), len(p.GetRefusals()))
	e.say("State %s, signed by %d of %d. Digest %s", p.GetState(), len(p.GetApprovedBy()), p.GetApproversNeeded(), hex.EncodeToString(p.GetDigest()))
	if p.GetState() == "DRAFT" {
		e.say("To approve: primum approve %s --key FILE --by NAME", short(p.GetName()))
	}
}

type plansCommands struct {
	List plansListCommand `cmd:"" help:"List plans."`
	Show plansShowCommand `cmd:"" help:"Show a plan."`
}

type plansListCommand struct{}

// Run lists.
func (c *plansListCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	all, err := pages(func(token string) ([]*adminv1.Plan, string, error) {
		r, err := call(adminv1.NewPlanServiceClient(cl.conn).ListPlans, &adminv1.ListPlansRequest{PageToken: token})
		return r.GetPlans(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return e.show(&adminv1.ListPlansResponse{Plans: all}, func() {
		var rows [][]string
		for _, p := range all {
			rows = append(rows, []string{short(p.GetName()), p.GetWindow(), when(p.GetOpens()), p.GetState(), strings.Join(p.GetApprovedBy(), " "), short(p.GetRun())})
		}
		e.table([]string{"NAME", "FOR", "OPENS", "STATE", "SIGNED BY", "RUN"}, rows)
	})
}

type plansShowCommand struct {
	Plan    string `arg:"" help:"Plan."`
	Summary bool   `help:"Leave out the exact bytes."`
}

// Run shows.
func (c *plansShowCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	p, err := call(adminv1.NewPlanServiceClient(cl.conn).GetPlan, &adminv1.GetPlanRequest{Name: within("plans", c.Plan)})
	if err != nil {
		return err
	}
	return e.show(p, func() { e.plan(p, c.Summary) })
}

type approveCommand struct {
	Plan string `arg:"" help:"Plan."`
	Key  string `required:"" help:"File: the approver's private key."`
	By   string `required:"" help:"Name of the approver in the site file."`
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
	doc, digest, err := permit.DecodePlan(p.GetDocument())
	if err != nil {
		return refusedError{"the plan cannot be read, and was not signed: " + err.Error()}
	}
	if sha256.Sum256(p.GetDocument()) != [32]byte(digest) || string(digest[:]) != string(p.GetDigest()) || doc.ID != name {
		return refusedError{"the controller shows another plan than the one asked for; nothing was signed"}
	}
	if !e.json {
		if err := e.document(doc); err != nil {
			return err
		}
	}
	signed, err := call(plans.ApprovePlan, &adminv1.ApprovePlanRequest{Name: name, By: c.By, Signature: permit.Sign(permit.DomainPlan, key, p.GetDocument())})
	if err != nil {
		return err
	}
	return e.show(signed, func() {
		e.say("Signed by %s: %d of %d. State %s.", c.By, len(signed.GetApprovedBy()), signed.GetApproversNeeded(), signed.GetState())
		if signed.GetState() == "APPROVED" {
			e.say("The run fires by itself when the approved time opens, at %s. To follow: primum watch plans/%s", when(signed.GetOpens()), short(name))
		}
	})
}

func (e *env) document(doc permit.Plan) error {
	messages, octets := 0, 0
	for _, it := range doc.Items {
		all, err := frame.Messages(it.Query, frame.Example())
		if err != nil {
			return refusedError{"the plan holds a question that cannot be asked, and was not signed: " + err.Error()}
		}
		for _, m := range all {
			messages++
			octets += len(m.Bytes)
		}
		e.say("  %s  %s (%s) at %s: %s", it.Device.ID, it.Device.Name, it.Device.Place, it.Device.Address.String(), it.Query.String())
	}
	e.say("The document says: %d questions, %d messages, %d octets, from %s to %s; %d refused.", len(doc.Items), messages, octets,
		doc.Opens.UTC().Format(time.DateTime), doc.Closes.UTC().Format(time.DateTime)+" UTC", len(doc.Refusals))
	return nil
}

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
