package controller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"primum/controller/internal/auth"
	"primum/controller/internal/store"
)

type commandLine struct {
	Serve   serveCommand   `cmd:"" help:"Run the controller until it is told to end."`
	Token   tokenCommands  `cmd:"" help:"Tokens of people and tools."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

type serveCommand struct {
	Data     string        `required:"" help:"Data directory; made at the first start. authority.crt, admin.token and admin.address in it are what primum --home reads."`
	Admin    string        `default:"127.0.0.1:7443" help:"Address of the admin API."`
	Control  string        `default:"127.0.0.1:7444" help:"Address of the control plane, for agents."`
	Host     []string      `help:"Further name or address under which the controller is reached; goes into its certificate."`
	ListRoot string        `required:"" help:"File: root of the safety list (TUF metadata), as primum list init made it and its keys signed it."`
	Lease    time.Duration `default:"15s" help:"How long an agent may go on without hearing from the controller; at most 15 s."`
}

type tokenCommands struct {
	Create tokenCreateCommand `cmd:"" help:"Make a token and print it. A token of the same name ends."`
}

type tokenCreateCommand struct {
	Data string `required:"" help:"Data directory of the controller; it may be serving."`
	Name string `required:"" help:"Who gets it; the audit trail and standing approvals name it."`
	Role string `required:"" enum:"viewer,operator,clinical,tool,admin" help:"What whoever has it may do; every role looks, places holds and says that a device is in use. viewer: no more. operator, for HTM: inventory, approved times, plans, runs, standing approvals, questions on demand, and the word that a device is out of use. clinical: lifts holds, clears a device that was in distress, and the word that one is out of use. tool, another program: questions on demand under a standing approval, and the word that a device is out of use; it does not read the record. admin: all of it, and agents, credentials and the safety list."`
}

type versionCommand struct{}

type env struct{ out, err io.Writer }

// Main runs the command line and returns the exit code: 0 done, 1 failed, 2 wrong usage.
func Main(args []string, stdout, stderr io.Writer) int {
	var cli commandLine
	exit := -1
	parser, err := kong.New(&cli, kong.Name("primum-controller"), kong.Description("Controller of Primum. Exit codes: 0 done, 1 failed, 2 wrong usage."),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exit = code }))
	if err != nil {
		fmt.Fprintln(stderr, "primum-controller:", err)
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
		fmt.Fprintln(stderr, "primum-controller:", wrong(c, err))
		return 2
	}
	if err := c.Run(&env{stdout, stderr}); err != nil {
		fmt.Fprintln(stderr, "primum-controller:", err)
		if errors.As(err, new(usageError)) {
			return 2
		}
		return 1
	}
	return 0
}

// Run serves.
func (c *serveCommand) Run(e *env) error {
	root, err := os.ReadFile(c.ListRoot)
	if err != nil {
		return usage("read list root: %v", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return Run(ctx, Config{Data: c.Data, Admin: c.Admin, Control: c.Control, Hosts: c.Host, ListRoot: root, Lease: c.Lease, Log: slog.New(slog.NewTextHandler(e.err, nil))})
}

// Run makes a token.
func (c *tokenCreateCommand) Run(e *env) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := os.Stat(c.Data); err != nil {
		return usage("there is no controller in %s; start it once with serve", c.Data)
	}
	if err := auth.CheckName(c.Name); err != nil {
		return usage("%v", err)
	}
	db, err := store.Open(ctx, c.Data, false)
	if err != nil {
		return err
	}
	defer db.Close()
	token, err := auth.NewToken(ctx, db, c.Name, auth.Role(c.Role), store.Audit{At: time.Now(), Actor: "primum-controller", Verb: "create token", Resource: "tokens/" + c.Name, Detail: c.Role})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.out, token)
	return err
}

// Run prints the version.
func (c *versionCommand) Run(e *env) error {
	_, err := fmt.Fprintln(e.out, "primum-controller", Version)
	return err
}
