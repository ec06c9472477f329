// Package pluginhost runs the plugins and carries one conversation between a plugin and the wire. It
// never dials a device and never writes the journal: it hands each proposed message on, and ends a
// plugin that proposes what nobody approved (H-005, B1).
package pluginhost

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"primum/plugins/sandbox"
	"primum/plugins/sandbox/confine"
	probev1 "primum/proto/probe/v1"
)

// Binary is one plugin that may run.
type Binary struct {
	Name   string
	Path   string
	SHA256 [sha256.Size]byte
	Trust  sandbox.Trust
	// Version and Kinds are what the maker of a signed plugin has signed; it may speak nothing else.
	Version string
	Kinds   []string
}

// ParseBuiltins reads the linker's list "name=hash,...", and looks for the binaries as
// dir/primum-probe-NAME.
func ParseBuiltins(list, dir string) ([]Binary, error) {
	var out []Binary
	for part := range strings.SplitSeq(list, ",") {
		name, hash, ok := strings.Cut(part, "=")
		b, err := hex.DecodeString(hash)
		if !ok || name == "" || err != nil || len(b) != sha256.Size {
			return nil, fmt.Errorf("this agent was built without the hashes of its plugins; build it with make build")
		}
		out = append(out, Binary{Name: name, Path: dir + "/primum-probe-" + name, SHA256: [sha256.Size]byte(b), Trust: sandbox.BuiltIn})
	}
	return out, nil
}

// Config is what a host needs.
type Config struct {
	Binaries    []Binary
	Dir         string // for the sockets of plugins; short
	Confinement confine.Proof
	Unconfined  bool // a person lets the built-in plugins run where the machine cannot confine them
	Log         *slog.Logger
}

// Host is the running plugins. It is safe for concurrent use. Close it.
type Host struct {
	log   *slog.Logger
	level confine.Level

	mu      sync.Mutex
	plugins []*Plugin // guarded by mu
}

// Plugin is one running plugin.
type Plugin struct {
	Name    string
	Version string
	SHA256  [sha256.Size]byte
	Kinds   []string

	process *sandbox.Process
	barred  bool // guarded by Host.mu: it proposed what nobody approved, or it is gone
}

// Start starts every plugin, each verified by its hash. When a built-in one does not start, none runs. One of
// another maker that does not start is left out: it can cost its own questions and nothing else.
func Start(ctx context.Context, c Config) (*Host, error) {
	h := &Host{log: c.Log, level: c.Confinement.Level()}
	for _, b := range c.Binaries {
		p, err := h.start(ctx, c, b)
		if err != nil && b.Trust == sandbox.Signed {
			h.log.Error("a plugin of another maker does not start; its questions are refused", "plugin", b.Name, "error", err)
			continue
		}
		if err != nil {
			h.Close()
			return nil, fmt.Errorf("start plugin %s: %w", b.Name, err)
		}
		h.plugins = append(h.plugins, p)
	}
	return h, nil
}

func (h *Host) start(ctx context.Context, c Config, b Binary) (*Plugin, error) {
	p, err := sandbox.Start(ctx, sandbox.Spec{Path: b.Path, SHA256: b.SHA256, Dir: c.Dir, Trust: b.Trust, Confinement: c.Confinement, Unconfined: c.Unconfined, Log: c.Log})
	if err != nil {
		return nil, err
	}
	d, err := p.Describe(ctx)
	if err == nil {
		err = h.admits(b, d)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return &Plugin{Name: d.GetName(), Version: d.GetVersion(), SHA256: b.SHA256, Kinds: d.GetKinds(), process: p}, nil
}

// admits holds what a plugin says of itself against what its maker has signed. A question that a plugin speaks
// already is not taken over: what is asked of every device stays with the built-in plugins (H-033).
func (h *Host) admits(b Binary, d *probev1.Description) error {
	for _, k := range d.GetKinds() {
		if h.For(k) != nil {
			return fmt.Errorf("it speaks %s, which another plugin speaks", text(k, maxText))
		}
		if b.Trust == sandbox.Signed && !slices.Contains(b.Kinds, k) {
			return fmt.Errorf("it speaks %s, which its maker has not signed", text(k, maxText))
		}
	}
	if b.Trust == sandbox.Signed && (d.GetName() != b.Name || d.GetVersion() != b.Version) {
		return fmt.Errorf("it calls itself %s %s, and its maker signed %s %s", text(d.GetName(), maxText), text(d.GetVersion(), maxText), b.Name, b.Version)
	}
	return nil
}

// Level is how well the plugins are confined.
func (h *Host) Level() confine.Level { return h.level }

// Plugins returns what runs.
func (h *Host) Plugins() []*Plugin {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*Plugin(nil), h.plugins...)
}

// For returns the plugin that speaks a kind, nil when none runs.
func (h *Host) For(kind string) *Plugin {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.plugins {
		if p.barred {
			continue
		}
		select {
		case <-p.process.Done():
			continue
		default:
		}
		for _, k := range p.Kinds {
			if k == kind {
				return p
			}
		}
	}
	return nil
}

// Close ends every plugin.
func (h *Host) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.plugins {
		if err := p.process.Close(); err != nil {
			h.log.Warn("plugin did not end cleanly", "plugin", p.Name, "error", err)
		}
	}
}

// Reply is one message of the device for the plugin.
type Reply struct {
	Message []byte
	Elapsed time.Duration
	Last    bool
}

// Wire is where proposed messages go. Its error ends the conversation; Why then says to the plugin
// how.
type Wire interface {
	Exchange(ctx context.Context, proposed []byte) (Reply, error)
	Why() (reason probev1.Closed_Reason, breach bool)
}

// Result is what a plugin made of a conversation: a claim, cut to its schema (B11).
type Result struct {
	Status     probev1.Result_Status
	Detail     string
	Facts      []Fact
	Attributes []Attribute
	Uptime     *uint32
}

// Fact is one identity fact.
type Fact struct{ Field, Value, Origin string }

// Attribute is one protocol code.
type Attribute struct{ Name, Value string }

// Run carries one conversation. An error means that the plugin gave no result: it is gone, hangs, or
// broke the contract.
func (h *Host) Run(ctx context.Context, p *Plugin, start *probev1.Start, w Wire) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := p.process.Run(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("open conversation with plugin %s: %w", p.Name, err)
	}
	frame := &probev1.HostFrame{Step: &probev1.HostFrame_Start{Start: start}}
	closed := false
	for range maxFrames {
		if err := stream.Send(frame); err != nil && !errors.Is(err, io.EOF) {
			return Result{}, fmt.Errorf("speak to plugin %s: %w", p.Name, err)
		}
		got, err := stream.Recv()
		if err != nil {
			return Result{}, fmt.Errorf("hear plugin %s: %w", p.Name, err)
		}
		switch step := got.GetStep().(type) {
		case *probev1.PluginFrame_Result:
			return clean(step.Result), nil
		case *probev1.PluginFrame_Send:
			if closed {
				return Result{}, fmt.Errorf("plugin %s sends after the end", p.Name)
			}
			reply, err := w.Exchange(ctx, step.Send.GetMessage())
			if err != nil {
				reason, breach := w.Why()
				if breach {
					h.bar(p)
				}
				closed = true
				frame = &probev1.HostFrame{Step: &probev1.HostFrame_Closed{Closed: &probev1.Closed{Reason: reason}}}
				continue
			}
			frame = &probev1.HostFrame{Step: &probev1.HostFrame_Reply{Reply: &probev1.Reply{Message: reply.Message, ElapsedUs: uint64(reply.Elapsed.Microseconds())}}}
		default:
			return Result{}, fmt.Errorf("plugin %s sent a frame that has no place here", p.Name)
		}
	}
	return Result{}, fmt.Errorf("plugin %s does not come to an end", p.Name)
}

// maxFrames is more than the longest conversation has.
const maxFrames = 16

// bar ends a plugin for good: a violation is terminal, there is no warning (B2).
func (h *Host) bar(p *Plugin) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p.barred = true
	if err := p.process.Close(); err != nil {
		h.log.Warn("plugin did not end cleanly", "plugin", p.Name, "error", err)
	}
}

const (
	maxFacts      = 64
	maxAttributes = 32
	maxText       = 255
	maxDetail     = 512
)

func clean(r *probev1.Result) Result {
	out := Result{Status: r.GetStatus(), Detail: text(r.GetDetail(), maxDetail)}
	for _, f := range r.GetFacts() {
		switch f.GetField() {
		case "manufacturer", "model", "version", "serial", "name", "description", "object_id", "software":
		default:
			continue
		}
		if len(out.Facts) < maxFacts {
			out.Facts = append(out.Facts, Fact{f.GetField(), text(f.GetValue(), maxText), text(f.GetOrigin(), maxText)})
		}
	}
	for _, a := range r.GetAttributes() {
		if len(out.Attributes) < maxAttributes {
			out.Attributes = append(out.Attributes, Attribute{text(a.GetName(), maxText), text(a.GetValue(), maxText)})
		}
	}
	if v := r.GetVitals(); v != nil && v.UptimeTicks != nil {
		ticks := v.GetUptimeTicks()
		out.Uptime = &ticks
	}
	return out
}

// text drops what can forge a screen or a log: controls, and marks that turn the direction (H-024).
func text(s string, most int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			continue
		}
		if n == most {
			break
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}
