package agent

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"primum/agent/internal/pluginhost"
	"primum/plugins/sandbox/confine"
	"primum/safetylists/evidence"
)

// faultsDir remembers, below the data directory, what was wrong with plugins.
const faultsDir = "plugin-faults"

// pluginConfig is how the agent runs its plugins.
func (a *Agent) pluginConfig(binaries []pluginhost.Binary, sockets string, proof confine.Proof) pluginhost.Config {
	return pluginhost.Config{Binaries: binaries, Dir: sockets, Faults: filepath.Join(a.cfg.Data, faultsDir), Confinement: proof, Unconfined: a.cfg.Unconfined,
		Most: a.most(), Note: a.notePlugin, Log: a.log}
}

// notePlugin writes what happened to a plugin into the journal.
func (a *Agent) notePlugin(i pluginhost.Incident) error {
	kind := map[string]evidence.Kind{pluginhost.Faulted: evidence.PluginFault, pluginhost.Aside: evidence.PluginBarred, pluginhost.Cleared: evidence.PluginCleared}[i.What]
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err := a.note(evidence.Record{At: i.At, Kind: kind, Plugin: i.Plugin, Digest: hex.EncodeToString(i.SHA256[:]), Words: i.Words})
	return err
}

type clearCommand struct {
	dataFlag
	Plugin string `arg:"" optional:"" help:"Name of the plugin, or the beginning of its SHA-256."`
	Reason string `help:"Why it may start again; it goes into the agent's record."`
}

// Run clears one plugin, or lists those that are put aside.
func (c *clearCommand) Run(e *env) error {
	dir := filepath.Join(c.Data, faultsDir)
	all, err := pluginhost.ListBarred(dir)
	if err != nil {
		return err
	}
	if c.Plugin == "" {
		if len(all) == 0 {
			_, err := fmt.Fprintln(e.out, "No plugin is put aside.")
			return err
		}
		for _, b := range all {
			if _, err := fmt.Fprintf(e.out, "%s  %s\n  put aside %s: %s\n", b.Plugin, b.SHA256, b.Since.Format(time.DateTime), b.Why); err != nil {
				return err
			}
		}
		return nil
	}
	var found []pluginhost.Barred
	for _, b := range all {
		name, _, _ := strings.Cut(b.Plugin, " ")
		if c.Plugin == name || c.Plugin == b.Plugin || len(c.Plugin) >= 8 && strings.HasPrefix(b.SHA256, c.Plugin) {
			found = append(found, b)
		}
	}
	switch {
	case len(found) == 0:
		return fmt.Errorf("no plugin %q is put aside on this agent", c.Plugin)
	case len(found) > 1:
		return fmt.Errorf("%d versions of %s are put aside; name one by the beginning of its SHA-256", len(found), c.Plugin)
	case strings.TrimSpace(c.Reason) == "":
		return errors.New("say with --reason why it may start again")
	}
	who, err := user.Current()
	if err != nil {
		return fmt.Errorf("find out who you are: %w", err)
	}
	if err := pluginhost.Clear(dir, found[0].SHA256, who.Username, c.Reason, time.Now()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "%s may start again. A running agent takes it up within seconds.\n", found[0].Plugin)
	return err
}
