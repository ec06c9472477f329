package agent

import (
	"context"
	"fmt"
	"time"

	"primum/plugins/sandbox"
	"primum/plugins/sandbox/confine"
)

type doctorCommand struct{}

// Run tries what a plugin must not be able to, and tells what came of it. It fails where the machine cannot
// confine a plugin.
func (c *doctorCommand) Run(e *env) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p := sandbox.Prove(ctx, "")
	level := p.Level()
	refused := 0
	for _, a := range p.Acts() {
		if a.Refused {
			refused++
		}
	}
	words := levelWords(level)
	if level == confine.Unproven {
		level = "not proven"
	}
	if _, err := fmt.Fprintf(e.out, "Sandbox: %s. %s\n", level, words); err != nil {
		return err
	}
	for _, a := range p.Acts() {
		if p.Level() == confine.None && !a.Refused {
			fmt.Fprintf(e.out, "  not refused: %s\n", a.Name)
		}
	}
	if p.Level() != confine.None && len(p.Acts()) > 0 {
		fmt.Fprintf(e.out, "  %d of %d forbidden acts were tried and refused; one that tries to go round the check is ended.\n", refused, len(p.Acts()))
	}
	if groups := p.Groups(); groups != "" {
		fmt.Fprintf(e.out, "  cgroups below %s: 64 MiB, a quarter of a processor and 32 tasks for each plugin.\n", groups)
	} else {
		fmt.Fprintf(e.out, "  no cgroups: %s. Limits of the process hold a plugin instead: 256 MiB of data, 32 threads, niceness 5.\n", p.NoGroups())
	}
	for _, why := range p.Why() {
		fmt.Fprintf(e.out, "  no level %s\n", why)
	}
	if p.Level() != confine.Full && p.Level() != confine.Fallback {
		return fmt.Errorf("this machine cannot confine a plugin")
	}
	return nil
}

// levelWords says what a level keeps from a plugin, and what not. The acts of plugins/sandbox are what it rests on.
func levelWords(level confine.Level) string {
	switch level {
	case confine.Full:
		return "A plugin has no network, no files and no other process in its reach."
	case confine.Fallback:
		return "A plugin has no network, opens no file outside its own directory, starts no program and reaches no other process: " +
			"Landlock and a list of system calls hold it, without namespaces behind them. It can fill its directory with empty files, and " +
			"shares the limit on tasks with the agent's user. All plugins start. For level full, allow unprivileged user namespaces."
	case confine.None:
		return "A plugin is not confined. Only the built-in ones may start, and only with serve --builtin-without-sandbox."
	}
	return "It could not be tried. No plugin starts."
}
