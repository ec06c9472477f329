package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"primum/plugins/sandbox"
	"primum/plugins/sandbox/confine"
	probev1 "primum/proto/probe/v1"
)

// Config is what a host needs.
type Config struct {
	Binaries    []Binary
	Dir         string // for the sockets of plugins; short
	Faults      string // folder that remembers the faults of plugins; made if it is not there
	Confinement confine.Proof
	Unconfined  bool // a person lets the built-in plugins run where the machine cannot confine them
	// Most processes of one plugin. Defaults to 64.
	Most int
	// Note writes what happened to a plugin into the journal. Required.
	Note func(Incident) error
	Log  *slog.Logger

	start func(context.Context, Binary) (process, error) // of tests
}

// What happened to a plugin.
const (
	Faulted = "FAULTED"
	Aside   = "BARRED"
	Cleared = "CLEARED"
)

// Incident is something that happened to a plugin, for the journal.
type Incident struct {
	At     time.Time
	What   string // Faulted, Aside or Cleared
	Plugin string // name and version, as far as they are known
	SHA256 [32]byte
	Words  string
}

// process is a running plugin.
type process interface {
	Run(context.Context) (probev1.Probe_RunClient, error)
	Describe(context.Context) (*probev1.Description, error)
	Done() <-chan struct{}
	Err() error
	Usage() (sandbox.Usage, error)
	Close() error
}

var _ process = (*sandbox.Process)(nil)

// Host is the running plugins. It is safe for concurrent use. Close it.
type Host struct {
	cfg    Config
	images *images
	ledger ledger
	own    context.Context // ends with Close
	stop   context.CancelFunc
	owned  sync.WaitGroup // the keepers, and what they start

	mu      sync.Mutex
	plugins []*plugin
}

// Start starts every plugin, each verified by its hash. A built-in plugin that may not run at all (another
// hash, no confinement) fails the start. One of another maker is left out then: it can cost its own questions
// and nothing else. One that faults or is put aside is left to its keeper.
func Start(ctx context.Context, c Config) (*Host, error) {
	if c.Most <= 0 {
		c.Most = 64
	}
	images := &images{of: map[[32]byte]*sandbox.Image{}}
	if c.start == nil {
		c.start = func(ctx context.Context, b Binary) (process, error) { return images.start(ctx, c, b) }
	}
	if err := os.MkdirAll(c.Faults, 0o700); err != nil {
		return nil, fmt.Errorf("make folder for faults of plugins: %w", err)
	}
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	h := &Host{cfg: c, images: images, ledger: ledger{c.Faults}, own: own, stop: stop}
	for _, b := range c.Binaries {
		h.plugins = append(h.plugins, &plugin{host: h, binary: b, wake: make(chan struct{}, 1), entry: h.ledger.load(b.SHA256)})
	}
	err := h.begin(ctx)
	for _, p := range h.plugins {
		h.owned.Go(p.keep)
	}
	if err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// begin makes the first process of each plugin: the built-in ones at once, the others in their order after
// them, so that none of those can come first with a question that is not its own.
func (h *Host) begin(ctx context.Context) error {
	errs := make([]error, len(h.plugins))
	var builtIn sync.WaitGroup
	for i, p := range h.plugins {
		if p.binary.Trust == sandbox.BuiltIn {
			builtIn.Go(func() { errs[i] = p.begin(ctx) })
		}
	}
	builtIn.Wait()
	for _, p := range h.plugins {
		if p.binary.Trust != sandbox.BuiltIn {
			if err := p.begin(ctx); err != nil {
				p.leaveOut()
			}
		}
	}
	return errors.Join(errs...)
}

// admits holds what a plugin says of itself against what its maker has signed. A question that a plugin speaks
// already is not taken over: what is asked of every device stays with the built-in plugins (H-033). The caller
// holds mu.
func (h *Host) admits(b Binary, name, version string, kinds []string) error {
	for _, k := range kinds {
		if slices.ContainsFunc(h.plugins, func(p *plugin) bool { return slices.Contains(p.kinds, k) }) {
			return fmt.Errorf("it speaks %s, which another plugin speaks", k)
		}
		if b.Trust == sandbox.Signed && !slices.Contains(b.Kinds, k) {
			return fmt.Errorf("it speaks %s, which its maker has not signed", k)
		}
	}
	if b.Trust == sandbox.Signed && (name != b.Name || version != b.Version) {
		return fmt.Errorf("it calls itself %s %s, and its maker signed %s %s", name, version, b.Name, b.Version)
	}
	return nil
}

// Level is how well the plugins are confined.
func (h *Host) Level() confine.Level { return h.cfg.Confinement.Level() }

// Info is a plugin that can serve.
type Info struct {
	Name, Version string
	SHA256        [32]byte
	Kinds         []string
}

// Plugins returns those that have described themselves and are not put aside.
func (h *Host) Plugins() []Info {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []Info
	for _, p := range h.plugins {
		if p.entry.Barred == "" && p.name != "" {
			out = append(out, Info{p.name, p.version, p.binary.SHA256, p.kinds})
		}
	}
	return out
}

// Reserve takes a process of the plugin that speaks a kind, for one conversation. Without one it says
// whether one is on its way.
func (h *Host) Reserve(kind string) (_ *Seat, coming bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.plugins {
		if p.entry.Barred != "" || !slices.Contains(p.kinds, kind) {
			continue
		}
		for i, s := range p.idle {
			select {
			case <-s.process.Done():
				continue // its keeper sees it
			default:
			}
			p.idle, p.wanted = slices.Delete(p.idle, i, i+1), false
			return s, false
		}
		p.wanted = true
		p.poke()
		return nil, true
	}
	return nil, false
}

// Close ends every plugin, and waits for what it owns.
func (h *Host) Close() {
	h.stop()
	h.owned.Wait()
	if err := h.images.close(); err != nil {
		h.cfg.Log.Warn("give up images of plugins", "error", err)
	}
}
