// Command primum-plugin is the tool of who writes a probe: it begins a module, certifies a binary, and signs it.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"primum/plugins/sandbox"
)

type commandLine struct {
	New     newCommand     `cmd:"" help:"Begin a module with a probe that works, tests included."`
	Certify certifyCommand `cmd:"" help:"Run the conformance suite and the hostile replies against a binary in the sandbox, and write a report."`
	Key     keyCommand     `cmd:"" help:"Make a maker's key."`
	Sign    signCommand    `cmd:"" help:"Write BINARY.manifest: name, version, questions and SHA-256 of a binary, signed."`
	Verify  verifyCommand  `cmd:"" help:"Hold a binary and its manifest against a maker's public key."`
}

type env struct {
	in       io.Reader
	out, err io.Writer
}

func (e *env) say(format string, args ...any) { fmt.Fprintf(e.out, format+"\n", args...) }

func main() {
	if code, started := sandbox.Shim(); started {
		os.Exit(code)
	}
	os.Exit(run(os.Args[1:], &env{os.Stdin, os.Stdout, os.Stderr}))
}

// run returns the exit code.
func run(args []string, e *env) int {
	var cli commandLine
	exit := -1
	parser, err := kong.New(&cli, kong.Name("primum-plugin"), kong.Description("For makers of probes. Exit codes: 0 done, 1 failed or not passed, 2 wrong usage."),
		kong.Writers(e.out, e.err), kong.Exit(func(code int) { exit = code }))
	if err != nil {
		fmt.Fprintln(e.err, "primum-plugin:", err)
		return 1
	}
	c, err := parser.Parse(args)
	if exit >= 0 {
		return exit
	}
	if err != nil {
		fmt.Fprintf(e.err, "primum-plugin: %v. See primum-plugin --help.\n", err)
		return 2
	}
	if err := c.Run(e); err != nil {
		fmt.Fprintln(e.err, "primum-plugin:", err)
		return 1
	}
	return 0
}
