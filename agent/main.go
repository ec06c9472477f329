package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"primum/agent/internal/whereabouts"
	list "primum/safetylists"
)

// commandLine is the agent's command line.
type commandLine struct {
	Enroll  enrollCommand       `cmd:"" help:"Exchange a one-time token for an identity. Done once."`
	Serve   serveCommand        `cmd:"" help:"Run the agent until it is told to end."`
	Stop    stopCommand         `cmd:"" help:"Stop this agent at once, without a controller; it stays stopped over restarts."`
	Resume  resumeCommand       `cmd:"" help:"End the stop of this site. Holds of the controller stay."`
	Begin   beginJournalCommand `cmd:"" name:"begin-journal" help:"Put the journal aside and begin a new one, where the controller has lost records that were trimmed here. What it forbids stays forbidden."`
	Doctor  doctorCommand       `cmd:"" help:"Try how well this machine confines plugins, and say what is missing."`
	Plugin  pluginCommand       `cmd:"" help:"Install plugins of other makers, by their signature."`
	Version versionCommand      `cmd:"" help:"Print the version."`
}

type enrollCommand struct {
	Data       string `required:"" help:"Data directory of the agent."`
	Controller string `required:"" help:"Address of the control plane, host:port."`
	Authority  string `required:"" help:"File: certificate of the controller's authority, PEM."`
	ListRoot   string `required:"" help:"File: root of the safety list (TUF metadata). It is believed over the controller."`
	TokenFile  string `required:"" help:"File: the one-time token."`
}

type serveCommand struct {
	Data    string        `required:"" help:"Data directory of an enrolled agent."`
	Policy  string        `required:"" enum:"lab,real" help:"lab: reaches 127.0.0.0/8 alone, for the laboratory. real: never reaches loopback."`
	Leases  string        `help:"Lease file of the DHCP server, written or copied here at least every 5 minutes. Without a source that proves addresses nothing is asked."`
	Form    string        `name:"leases-form" default:"dnsmasq" enum:"dnsmasq,kea,isc" help:"How that file is written: dnsmasq, kea (memfile, CSV) or isc (dhcpd.leases)."`
	Near    bool          `name:"neighbours" help:"Let the kernel's neighbour table prove addresses too, of devices in this machine's own network that were heard of within 5 minutes."`
	List    string        `help:"Bundle file or repository folder of a safety list, carried in by hand. It is taken before anything else; one that is refused ends the program."`
	Plugins string        `help:"Directory of the probes. Defaults to that of this program."`
	Alone   bool          `name:"builtin-without-sandbox" help:"Let the probes that this program was built with run even where the machine cannot confine them. No other plugin ever does."`
	Witness string        `help:"File that each signed head of the record is appended to, best on another machine: whoever keeps it can show later that nothing was taken out."`
	Heads   time.Duration `default:"1m" help:"Time between signed heads while records grow, 100ms to 1m."`
	Journal int64         `name:"journal-most" default:"67108864" help:"Octets of records above which those that the controller has acknowledged are trimmed, 4096 to 1073741824."`
	Most    int           `default:"64" help:"Most conversations with devices at a time, 1 to 64."`
}

type versionCommand struct{}

type env struct {
	out, err io.Writer
	builtins string
}

// Main runs the command line and returns the exit code: 0 done, 1 failed, 2 wrong usage.
func Main(args []string, builtins string, stdout, stderr io.Writer) int {
	var cli commandLine
	exit := -1
	parser, err := kong.New(&cli, kong.Name("primum-agent"), kong.Description("Site agent of Primum. Exit codes: 0 done, 1 failed, 2 wrong usage."),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exit = code }))
	if err != nil {
		fmt.Fprintln(stderr, "primum-agent:", err)
		return 1
	}
	c, err := parser.Parse(args)
	if exit >= 0 {
		return exit
	}
	if err == nil {
		err = empty(c)
	}
	if err != nil {
		fmt.Fprintln(stderr, "primum-agent:", wrong(c, err))
		return 2
	}
	if err := c.Run(&env{stdout, stderr, builtins}); err != nil {
		fmt.Fprintln(stderr, "primum-agent:", err)
		if errors.As(err, new(usageError)) {
			return 2
		}
		return 1
	}
	return 0
}

// Run enrols.
func (c *enrollCommand) Run(e *env) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	id, err := Enroll(ctx, EnrollConfig(*c))
	if errors.Is(err, fs.ErrNotExist) {
		return usage("%v", err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "Enrolled as agent %s of the controller at %s.\n", id.Name, id.Controller)
	return err
}

// Run serves. A first signal lets what is under way come to its end, and late answers find our sockets
// open for up to 30 s; a second one ends at once.
func (c *serveCommand) Run(e *env) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	if c.Most < 1 || c.Most > maxRunning {
		return usage("--most is %d; it is from 1 to %d", c.Most, maxRunning)
	}
	if c.Heads < 100*time.Millisecond || c.Heads > mostBetweenHeads {
		return usage("--heads is %s; it is from 100ms to %s", c.Heads, mostBetweenHeads)
	}
	if c.Journal < 4<<10 || c.Journal > 1<<30 {
		return usage("--journal-most is %d; it is from 4096 to 1073741824", c.Journal)
	}
	if c.Plugins == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		c.Plugins = filepath.Dir(self)
	}
	return Run(ctx, Config{Data: c.Data, Policy: list.Policy(c.Policy), Leases: whereabouts.Leases{Path: c.Leases, Form: whereabouts.Form(c.Form)}, Near: c.Near, List: c.List, Plugins: c.Plugins, Builtins: e.builtins, Running: c.Most, Unconfined: c.Alone, Witness: c.Witness, Heads: c.Heads, Journal: c.Journal,
		Log: slog.New(slog.NewTextHandler(e.err, nil))})
}

// Run prints the version.
func (c *versionCommand) Run(e *env) error {
	_, err := fmt.Fprintln(e.out, "primum-agent", Version)
	return err
}
