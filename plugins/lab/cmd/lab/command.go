package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"primum/plugins/lab"
	"primum/plugins/lab/hospital"
)

// Exit codes: 3 says that a device took harm or an unapproved octet arrived.
const (
	exitFine    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitHarmful = 3
)

// errHarm is the outcome of a report that is not clean.
var errHarm = errors.New("a device was harmed or an unapproved octet arrived")

// commands is the command line.
type commands struct {
	Serve      serveCommand      `cmd:"" help:"Run the hospital on loopback and keep its papers in a folder."`
	Window     windowCommand     `cmd:"" help:"Tell the judge the approved time."`
	Report     reportCommand     `cmd:"" help:"Tell what every device received. Exit code 3 if any took harm."`
	Transcript transcriptCommand `cmd:"" help:"Tell every message that one device received, in hex."`
}

func run(ctx context.Context, args []string, out, complaints io.Writer) (int, error) {
	var c commands
	ended := -1
	parser, err := kong.New(&c, kong.Name("lab"), kong.Description("A simulated hospital of glass devices, and its judge."),
		kong.Writers(out, complaints),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.BindTo(out, (*io.Writer)(nil)), kong.Exit(func(code int) { ended = code }))
	if err != nil {
		return exitFailed, fmt.Errorf("build command line: %w", err)
	}
	parsed, err := parser.Parse(args)
	if ended >= 0 {
		return ended, nil
	}
	if err != nil {
		return exitUsage, err
	}
	switch err := parsed.Run(); {
	case errors.Is(err, errHarm):
		return exitHarmful, nil
	case err != nil:
		return exitFailed, err
	}
	return exitFine, nil
}

type serveCommand struct {
	Dir           string        `required:"" help:"Folder for inventory.csv, dnsmasq.leases, community, ready and the control socket."`
	Hospital      string        `help:"Hospital file. Defaults to the demo hospital." type:"existingfile"`
	CommunityFile string        `help:"File with the SNMP community that devices expect. Defaults to a random one." type:"existingfile"`
	MaxTime       time.Duration `default:"30m" help:"End by itself after this time."`
}

// Run serves until a signal or the end of the longest time.
func (c serveCommand) Run(ctx context.Context, out io.Writer) error {
	cfg, err := hospital.Demo()
	if c.Hospital != "" {
		raw, readErr := os.ReadFile(c.Hospital)
		if readErr != nil {
			return fmt.Errorf("read hospital: %w", readErr)
		}
		cfg, err = hospital.Read(raw)
	}
	if err != nil {
		return err
	}
	if c.CommunityFile != "" {
		raw, err := os.ReadFile(c.CommunityFile)
		if err != nil {
			return fmt.Errorf("read community: %w", err)
		}
		if cfg.Community = strings.TrimSpace(string(raw)); cfg.Community == "" {
			return errors.New("read community: the file is empty")
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.MaxTime)
	defer cancel()
	h, err := lab.Start(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "hospital %s: %d devices on loopback, papers in %s\n", h.Name(), len(h.Devices()), c.Dir)
	if err := lab.Serve(ctx, h, c.Dir); err != nil {
		return err
	}
	fmt.Fprintln(out, h.Report().Totals)
	return nil
}

type windowCommand struct {
	Dir   string        `required:"" help:"Folder of the running lab."`
	From  time.Time     `required:"" help:"First moment of the approved time, RFC 3339."`
	To    time.Time     `required:"" help:"Last moment of the approved time, RFC 3339."`
	Slack time.Duration `default:"1s" help:"How long after the end a release, an abort or a FIN may still come."`
}

// Run tells the judge.
func (c windowCommand) Run(ctx context.Context) error {
	return lab.TellWindow(ctx, c.Dir, lab.Window{From: c.From, To: c.To, Slack: c.Slack})
}

type reportCommand struct {
	Dir  string `required:"" help:"Folder of the lab, running or ended."`
	JSON bool   `name:"json" help:"Write JSON."`
}

// Run writes the report.
func (c reportCommand) Run(ctx context.Context, out io.Writer) error {
	report, err := lab.FetchReport(ctx, c.Dir)
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		err = report.WriteTable(out)
	}
	if err != nil {
		return err
	}
	if !report.Clean() {
		return errHarm
	}
	return nil
}

type transcriptCommand struct {
	Dir string `required:"" help:"Folder of the lab, running or ended."`
	Tag string `arg:"" help:"Asset tag of the device."`
}

// Run writes the transcript.
func (c transcriptCommand) Run(ctx context.Context, out io.Writer) error {
	entries, err := lab.FetchTranscript(ctx, c.Dir, c.Tag)
	if err != nil {
		return err
	}
	return lab.WriteTranscript(out, entries)
}
