package main

import (
	"strings"
	"time"
	_ "time/tzdata" // zones, also where the machine has none

	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "primum/proto/admin/v1"
)

type windowCommands struct {
	Create windowCreateCommand `cmd:"" help:"Make an approved time."`
	List   windowListCommand   `cmd:"" help:"List approved times."`
}

type windowCreateCommand struct {
	Name       string        `arg:"" help:"Short name."`
	Recurrence string        `xor:"when" required:"" help:"RFC 5545, such as DTSTART:20270110T030000 or, with \\n between, DTSTART and RRULE:FREQ=WEEKLY."`
	OpensIn    time.Duration `xor:"when" required:"" help:"Open once, this long from now."`
	Zone       string        `required:"" help:"IANA zone, such as Europe/Vienna."`
	Duration   time.Duration `required:"" help:"How long it is open."`
	Agent      string        `required:"" help:"Agent that asks."`
	Device     []string      `help:"Asset tag; may be given again. Defaults to every device."`
}

// Run creates.
func (c *windowCreateCommand) Run(e *env) error {
	zone, err := time.LoadLocation(c.Zone)
	if err != nil || c.Zone == "" || c.Zone == "Local" {
		return input("the zone %q is not known; it is an IANA name such as Europe/Vienna", c.Zone)
	}
	text := strings.ReplaceAll(c.Recurrence, `\n`, "\n")
	if text == "" {
		opens := time.Now().Add(c.OpensIn + time.Second - 1).In(zone)
		text = "DTSTART:" + opens.Format("20060102T150405")
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	w, err := call(adminv1.NewWindowServiceClient(cl.conn).CreateWindow, &adminv1.CreateWindowRequest{Window: &adminv1.Window{Name: within("windows", c.Name),
		Recurrence: text, Zone: c.Zone, Duration: durationpb.New(c.Duration), Devices: c.Device, Agent: within("agents", c.Agent)}})
	if err != nil {
		return err
	}
	return e.show(w, func() {
		e.say("Approved time %s opens at %s, for %s. Now: primum plan %s", short(w.GetName()), when(w.GetNextOpens()), w.GetDuration().AsDuration().String(), short(w.GetName()))
	})
}

type windowListCommand struct{}

// Run lists.
func (c *windowListCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	all, err := pages(func(token string) ([]*adminv1.Window, string, error) {
		r, err := call(adminv1.NewWindowServiceClient(cl.conn).ListWindows, &adminv1.ListWindowsRequest{PageToken: token})
		return r.GetWindows(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return e.show(&adminv1.ListWindowsResponse{Windows: all}, func() {
		var rows [][]string
		for _, w := range all {
			rows = append(rows, []string{short(w.GetName()), when(w.GetNextOpens()), w.GetDuration().AsDuration().String(), w.GetZone(), short(w.GetAgent()), strings.ReplaceAll(w.GetRecurrence(), "\n", " ")})
		}
		e.table([]string{"NAME", "NEXT OPENS", "DURATION", "ZONE", "AGENT", "RECURRENCE"}, rows)
	})
}
