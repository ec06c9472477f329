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
	Device     []string      `sep:"none" help:"Asset tag; may be given again. Defaults to every device."`
}

// Run creates.
func (c *windowCreateCommand) Run(e *env) error {
	zone, err := time.LoadLocation(c.Zone)
	if err != nil || c.Zone == "" || c.Zone == "Local" {
		return input("the zone %q is not known; it is an IANA name such as Europe/Vienna", c.Zone)
	}
	text := strings.ReplaceAll(c.Recurrence, `\n`, "\n")
	if text == "" {
		if text, err = once(time.Now(), c.OpensIn, zone); err != nil {
			return err
		}
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	w, err := call(adminv1.NewWindowServiceClient(cl.conn).CreateWindow, &adminv1.CreateWindowRequest{Window: &adminv1.Window{Name: within("windows", c.Name),
		Recurrence: text, Zone: c.Zone, Duration: durationpb.New(c.Duration), Devices: tags(c.Device), Agent: within("agents", c.Agent)}})
	if err != nil {
		return err
	}
	return e.show(w, func() {
		e.say("Approved time %s opens at %s, for %s. Now: primum plan %s", short(w.GetName()), when(w.GetNextOpens()), w.GetDuration().AsDuration().String(), short(w.GetName()))
	})
}

// once is the recurrence of one opening, on a whole second. A wall clock that stands twice in the night
// when clocks go back names no moment, and is not taken.
func once(now time.Time, in time.Duration, zone *time.Location) (string, error) {
	if in < 0 {
		return "", input("--opens-in is %s; an approved time opens in the future", in)
	}
	const wall = "20060102T150405"
	opens := now.Add(in + time.Second - 1).In(zone).Truncate(time.Second)
	for _, other := range []time.Duration{-time.Hour, time.Hour} {
		if opens.Add(other).Format(wall) == opens.Format(wall) {
			return "", input("%s stands twice on the clock of %s that night; give another time, or --zone UTC", opens.Format(time.DateTime), zone)
		}
	}
	return "DTSTART:" + opens.Format(wall), nil
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
