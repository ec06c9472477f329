package agent

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"

	"primum/agent/internal/installed"
	"primum/agent/internal/pluginhost"
	"primum/plugins/manifest"
	"primum/plugins/sandbox"
)

// otherMakers are the installed plugins whose makers are admitted now. One that is not is left out and named.
func otherMakers(data string, log *slog.Logger) ([]pluginhost.Binary, error) {
	store, err := installed.Open(data)
	if err != nil {
		return nil, err
	}
	all, err := store.All()
	if err != nil {
		return nil, err
	}
	var out []pluginhost.Binary
	for _, p := range all {
		if p.Why != nil {
			log.Error("an installed plugin does not start", "plugin", p.Manifest.Name, "sha256", fmt.Sprintf("%x", p.SHA256), "error", p.Why)
			continue
		}
		out = append(out, pluginhost.Binary{Name: p.Manifest.Name, Version: p.Manifest.Version, Kinds: p.Manifest.Kinds, Path: p.Path, SHA256: p.SHA256, Trust: sandbox.Signed})
	}
	return out, nil
}

// pluginCommand changes what another maker's plugins may do on this machine. It works on files alone: what it
// changed holds from the next start of the agent on.
type pluginCommand struct {
	Admit   admitCommand   `cmd:"" help:"Admit a maker by its public key. Compare the fingerprint with the maker's, by telephone or on paper."`
	Dismiss dismissCommand `cmd:"" help:"Take a maker's key away. Its plugins do not start again."`
	Install installCommand `cmd:"" help:"Install a plugin that an admitted maker has signed."`
	List    listCommand    `cmd:"" help:"Name the admitted makers and the installed plugins."`
	Remove  removeCommand  `cmd:"" help:"Remove an installed plugin."`
	Clear   clearCommand   `cmd:"" help:"Let a plugin that was put aside start again. Without a name: say which are."`
}

type dataFlag struct {
	Data string `required:"" help:"Data directory of the agent."`
}

type admitCommand struct {
	dataFlag
	Maker string `arg:"" help:"The maker as it stands in its questions: aldane in tcp.aldane.status."`
	Key   string `arg:"" help:"File: the maker's public key, a line of OpenSSH."`
}

type dismissCommand struct {
	dataFlag
	Maker string `arg:"" help:"The maker."`
}

type installCommand struct {
	dataFlag
	Binary   string `arg:"" help:"The plugin."`
	Manifest string `help:"Its manifest. Defaults to BINARY.manifest."`
}

type listCommand struct{ dataFlag }

type removeCommand struct {
	dataFlag
	Plugin string `arg:"" help:"Name of the plugin, or the beginning of the SHA-256 of its binary, at least 8 digits."`
}

const fromNextStart = "It holds from the next start of the agent on."

// Run admits a maker.
func (c *admitCommand) Run(e *env) error {
	text, err := os.ReadFile(c.Key)
	if err != nil {
		return err
	}
	key, err := manifest.ParseKey(text)
	if err != nil {
		return err
	}
	store, err := installed.Open(c.Data)
	if err != nil {
		return err
	}
	if err := store.Admit(c.Maker, key); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "Maker %s is admitted with the key %s.\n", c.Maker, manifest.Fingerprint(key))
	return err
}

// Run dismisses a maker.
func (c *dismissCommand) Run(e *env) error {
	store, err := installed.Open(c.Data)
	if err != nil {
		return err
	}
	if err := store.Dismiss(c.Maker); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "Maker %s is dismissed. %s\n", c.Maker, fromNextStart)
	return err
}

// Run installs.
func (c *installCommand) Run(e *env) error {
	if c.Manifest == "" {
		c.Manifest = c.Binary + ".manifest"
	}
	store, err := installed.Open(c.Data)
	if err != nil {
		return err
	}
	if _, err := os.Stat(c.Binary); err != nil {
		return err
	}
	if _, err := os.Stat(c.Manifest); err != nil {
		return fmt.Errorf("a plugin is installed with what its maker signed for it: ask the maker for its manifest, or name it with --manifest: %w", err)
	}
	m, err := store.Install(c.Binary, c.Manifest)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "Plugin %s %s of %s is installed; it speaks %s, and is %s. %s\n", m.Name, m.Version, m.Maker, strings.Join(m.Kinds, ", "), m.Certified(), fromNextStart)
	return err
}

// Run lists.
func (c *listCommand) Run(e *env) error {
	store, err := installed.Open(c.Data)
	if err != nil {
		return err
	}
	makers, err := store.Makers()
	if err != nil {
		return err
	}
	all, err := store.All()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MAKER\tKEY")
	for _, m := range makers {
		if m.Why != nil {
			fmt.Fprintf(w, "%s\tnone: %v; dismiss the maker and admit it again\n", m.Name, m.Why)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\n", m.Name, manifest.Fingerprint(m.Key))
	}
	fmt.Fprintln(w, "\nPLUGIN\tVERSION\tMAKER\tQUESTIONS\tSHA-256\tCERTIFIED\tSTARTS")
	for _, p := range all {
		starts := "yes"
		if p.Why != nil {
			starts = "no: " + p.Why.Error()
			if p.Manifest.Name == "" {
				starts += fmt.Sprintf("; install it again, or remove %x", p.SHA256[:4])
			}
		}
		name, certified := p.Manifest.Name, "no"
		if p.Manifest.Report != ([sha256.Size]byte{}) {
			certified = "yes"
		}
		if p.Why != nil { // what nobody has verified says nothing of a report
			certified = "?"
		}
		if name == "" { // its manifest cannot be read
			name = "?"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%x\t%s\t%s\n", name, p.Manifest.Version, p.Manifest.Maker, strings.Join(p.Manifest.Kinds, " "), p.SHA256, certified, starts)
	}
	return w.Flush()
}

// Run removes.
func (c *removeCommand) Run(e *env) error {
	store, err := installed.Open(c.Data)
	if err != nil {
		return err
	}
	n, err := store.Remove(c.Plugin)
	if err == nil && n == 0 {
		err = fmt.Errorf("no plugin %q is installed", c.Plugin)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "%d removed. %s\n", n, fromNextStart)
	return err
}
