package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/alecthomas/kong"
	"github.com/mattn/go-isatty"
)

// version of the program.
const version = "0.1.0"

// Exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2 // wrong usage, or input that is not good
	exitRefused     = 3
	exitUnreachable = 4
)

const description = `The command line of Primum.

Exit codes: 0 done, 1 failed, 2 wrong usage or bad input, 3 refused, 4 the controller cannot be reached.`

const firstSteps = `Primum asks medical devices what they are, and only what their makers approve.

What to do first (each with --home DIR, the data directory of the controller, or PRIMUM_HOME):

  1. primum devices import FILE.csv           the inventory, as the CMMS exports it
  2. primum agents token NAME                 a one-time token for a site agent; then primum-agent enroll
  3. primum list publish BUNDLE               the signed safety list
  4. primum secret set --agent NAME --any --file -
                                              the SNMP read community, from standard input
  5. primum window create NAME --opens-in 1h --duration 30m --zone Europe/Vienna --agent NAME
  6. primum plan NAME                         what would be asked, what not, and why; sends nothing
  7. primum approve PLAN --key FILE --by YOU  the run fires by itself when the approved time opens
  8. primum watch PLAN, then primum report RUN

primum explain DEVICE says why a device is asked or not. primum hold place --all stops everything.
`

type commandLine struct {
	Home      string `env:"PRIMUM_HOME" help:"Folder with admin.address, authority.crt and admin.token."`
	Server    string `help:"Address of the controller, host:port; over that in --home."`
	Authority string `help:"File: certificate of the controller's authority; over that in --home."`
	TokenFile string `help:"File: bearer token; over that in --home."`
	Output    string `default:"text" enum:"text,json" help:"text or json."`

	Devices deviceCommands   `cmd:"" help:"The inventory."`
	Window  windowCommands   `cmd:"" help:"Approved times."`
	Plan    planCommand      `cmd:"" help:"Show what the next opening of an approved time would do. Sends nothing."`
	Plans   plansCommands    `cmd:"" help:"Plans that were made."`
	Approve approveCommand   `cmd:"" help:"Show a plan as its document says it, and sign it."`
	Run     runCommands      `cmd:"" help:"Runs."`
	Watch   watchCommand     `cmd:"" help:"Follow a run, or wait for the run of a plan."`
	Tasks   tasksCommand     `cmd:"" help:"Questions of a run with their outcomes."`
	Report  reportCommand    `cmd:"" help:"Report of a run."`
	Probe   probeCommand     `cmd:"" help:"Put one question to one device now, under a standing approval."`
	Explain explainCommand   `cmd:"" help:"Say whether a device may be asked, and why. Sends nothing."`
	Hold    holdCommands     `cmd:"" help:"Stop things, and let them go on."`
	Agents  agentCommands    `cmd:"" help:"Site agents."`
	Secret  secretCommands   `cmd:"" help:"Credentials, sealed to an agent."`
	List    listCommands     `cmd:"" help:"The safety list."`
	Paper   advisoryCommands `cmd:"" name:"advisory" help:"Security advisories (CSAF 2.0), and the denials that they suggest."`
	MDS2    mds2Commands     `cmd:"" name:"mds2" help:"What manufacturers disclose of their models (HN 1-2019)."`
	Proof   evidenceCommands `cmd:"" name:"evidence" help:"The record of what was asked, and its proof."`
	Touched touchedCommand   `cmd:"" help:"What was sent to a device in a time, by whose approval, the state before and after; or that nothing was."`
	Key     keyCommands      `cmd:"" help:"Keys of people who sign."`
	Stand   standingCommands `cmd:"" name:"standing" help:"Standing approvals."`
	Version versionCommand   `cmd:"" help:"Print the version."`
}

// env is what a command works with.
type env struct {
	in       io.Reader
	out, err io.Writer
	json     bool
	live     bool     // standard output is a terminal
	said     []string // with json: what say was told, for one document at the end
	dial     func() (*client, error)
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stdout, firstSteps)
		return exitDone
	}
	if args[0] == "help" {
		args = append(slices.Clone(args[1:]), "--help")
	}
	var cli commandLine
	exit := -1
	parser, err := kong.New(&cli, kong.Name("primum"), kong.Description(description), kong.Writers(stdout, stderr), kong.Exit(func(code int) { exit = code }))
	if err != nil {
		fmt.Fprintln(stderr, "primum:", err)
		return exitFailed
	}
	c, err := parser.Parse(args)
	if exit >= 0 {
		return exit
	}
	if err == nil {
		err = empty(c)
	}
	if err != nil {
		fmt.Fprintln(stderr, "primum:", wrong(c, err))
		return exitUsage
	}
	var open *client
	e := &env{in: stdin, out: stdout, err: stderr, json: cli.Output == "json"}
	if f, ok := stdout.(*os.File); ok {
		e.live = isatty.IsTerminal(f.Fd())
	}
	e.dial = func() (*client, error) {
		open, err = connect(cli)
		return open, err
	}
	err = c.Run(e)
	e.flush()
	if open != nil {
		open.close()
	}
	return explain(stderr, open, err)
}

type versionCommand struct{}

// Run prints the version.
func (c *versionCommand) Run(e *env) error {
	return e.data(map[string]string{"version": version}, func() { e.say("primum %s", version) })
}
