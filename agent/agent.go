package agent

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/credentials"

	"primum/agent/internal/guard"
	"primum/agent/internal/journal"
	"primum/agent/internal/pluginhost"
	"primum/agent/internal/secret"
	"primum/agent/internal/trust"
	"primum/agent/internal/uplink"
	"primum/agent/internal/whereabouts"
	"primum/agent/internal/wire"
	"primum/plugins/sandbox"
	list "primum/safetylists"
	"primum/safetylists/evidence"
	"primum/safetylists/release"
)

// Version of the agent program.
const Version = "0.1.0"

// Config is what a running agent needs.
type Config struct {
	Data     string             // data directory of an enrolled agent
	Policy   list.Policy        // lab or real; required
	Leases   whereabouts.Leases // the zero value proves no address
	Near     bool               // the kernel's neighbour table proves addresses too
	List     string             // file or folder of a list release carried in by hand, or empty
	Plugins  string             // directory of the plugin binaries
	Builtins string             // names and hashes of the plugins, from the linker
	// Unconfined lets the built-in plugins run where this machine cannot confine them.
	Unconfined bool
	Running    int           // conversations at a time. Defaults to 64
	Witness    string        // file that each signed head is appended to, or empty
	Heads      time.Duration // between signed heads while records grow. Defaults to a minute, and is never more
	Journal    int64         // octets of records above which acknowledged ones are trimmed. Defaults to 64 MiB
	Log        *slog.Logger
}

// Agent is a running agent.
type Agent struct {
	cfg       Config
	id        Identity
	permitKey ed25519.PublicKey
	log       *slog.Logger

	trust     *trust.Store
	secrets   *secret.Key
	signer    evidence.Signer // of heads
	plugins   *pluginhost.Host
	dialer    wire.Dialer
	places    whereabouts.Prover
	brake     guard.Brake
	witnessed signedHead   // newest in the witness file of this life; for the keeper of heads
	word      atomic.Int64 // time of the site's word that is in force, in nanoseconds; 0: it is looked at anew

	mu      sync.Mutex
	journal *journal.Journal // guarded by mu, as is all below; replaced at a reset
	guard   *guard.Guard
	epoch   uint64
	queue   []*pending
	running int
	wake    chan struct{}
	failed  chan struct{} // the journal takes nothing more
	acked   uint64        // newest record that the controller has stored
	trims   chan struct{}
	head    signedHead
	// unwritten is the time of the site's word that the journal did not take, the zero time if it took all.
	unwritten time.Time
	headed    chan struct{} // closed and replaced when there is a newer head
}

// bootTime is the clock that runs on in suspend (DESIGN 6.17).
func bootTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 1<<63 - 1 // no clock: every lease has ended
	}
	return time.Duration(ts.Nano())
}

// Run runs an enrolled agent until ctx ends. What is under way is brought to its end first.
func Run(ctx context.Context, cfg Config) error {
	id, permitKey, err := load(cfg.Data)
	if err != nil {
		return err
	}
	a := &Agent{cfg: cfg, id: id, permitKey: permitKey, log: cfg.Log, places: whereabouts.Prover{Leases: cfg.Leases.Kept()}, wake: make(chan struct{}, 1), failed: make(chan struct{}, 1), trims: make(chan struct{}, 1), headed: make(chan struct{})}
	if cfg.Near {
		a.places.Table = whereabouts.Neighbours
	}
	if a.trust, err = trust.Open(filepath.Join(cfg.Data, "papers"), cfg.Policy, id.ListRoot); err != nil {
		return err
	}
	if a.secrets, err = secret.Open(filepath.Join(cfg.Data, "secrets")); err != nil {
		return err
	}
	if a.signer, err = openSigner(cfg.Data, id.Name); err != nil {
		return err
	}
	builtins, err := pluginhost.ParseBuiltins(cfg.Builtins, cfg.Plugins)
	if err != nil {
		return err
	}
	others, err := otherMakers(cfg.Data, cfg.Log)
	if err != nil {
		return err
	}
	sockets, err := os.MkdirTemp("", "primum-")
	if err != nil {
		return fmt.Errorf("make directory for plugins: %w", err)
	}
	defer os.RemoveAll(sockets)
	if err := a.openJournal(); err != nil {
		return err
	}
	defer func() {
		if err := a.journal.Close(); err != nil {
			a.log.Error("close journal", "error", err)
		}
		a.log.Info("agent ended")
	}()
	a.lookStop() // before there is any work
	if cfg.List != "" {
		if err := a.carriedIn(cfg.List); err != nil {
			return err
		}
	}
	proof := sandbox.Prove(ctx, "")
	a.log.Info("sandbox tried", "level", proof.Level(), "not", proof.Why())
	if a.plugins, err = pluginhost.Start(ctx, a.pluginConfig(append(builtins, others...), sockets, proof)); err != nil {
		return err
	}
	defer a.plugins.Close()
	a.log.Info("agent is ready", "agent", id.Name, "policy", cfg.Policy, "controller", id.Controller, "evidence_key", a.signer.Verifier())
	return a.serve(ctx)
}

// carriedIn takes a list release that a person brought to this machine. It is verified like any other.
func (a *Agent) carriedIn(path string) error {
	bundle, err := trust.Carried(path)
	if err != nil {
		return err
	}
	if reason, detail := (*local)(a).Release(bundle); reason != "" {
		return fmt.Errorf("the safety list in %s is refused: %s: %s", path, reason, detail)
	}
	return nil
}

// serve owns the loops: uplink, worker, renewal of the certificate, signed heads, the size of the journal, and the stop of the site.
func (a *Agent) serve(ctx context.Context) error {
	workCtx, stopWork := context.WithCancel(context.Background())
	var worker sync.WaitGroup
	worker.Go(func() { a.work(workCtx) })
	worker.Go(func() { a.keepIdentity(workCtx) })
	worker.Go(func() { a.watchStop(workCtx) })
	worker.Go(func() { a.keepHeads(workCtx) })
	worker.Go(func() { a.keepTrimmed(workCtx) })
	link := uplink.Config{Address: a.id.Controller, Boot: bootTime, Log: a.log,
		Creds: func() (credentials.TransportCredentials, error) { return creds(a.cfg.Data) }}
	var err error
	for {
		err = a.linked(ctx, link)
		if err == nil && ctx.Err() == nil {
			a.mend(ctx)
			continue
		}
		if !errors.Is(err, uplink.ErrReset) {
			break
		}
		if err = a.reset(); err != nil {
			break
		}
	}
	a.mu.Lock()
	a.guard.Stop()
	a.mu.Unlock()
	stopWork()
	worker.Wait()
	a.signHead() // over what ended last
	// Late answers must find our sockets open, or the kernel tells the device that nobody is there (G6).
	a.log.Info("agent ends; sockets stay open for late answers", "at_most", "31s")
	lingerCtx, cancel := context.WithTimeout(context.Background(), 31*time.Second)
	defer cancel()
	a.dialer.Wait(lingerCtx)
	return err
}

// past is a guard that remembers the journals that were put aside.
func (a *Agent) past() (*guard.Guard, error) {
	g := guard.New(guard.Config{Policy: a.cfg.Policy, Boot: bootTime, Prove: a.prove, Answers: a.answers,
		Append: a.append, Brake: &a.brake,
		Release: func() *release.Release { r, _ := a.trust.Current(); return r }})
	if err := journal.ReplayRetired(a.journalDir(), g); err != nil {
		return nil, err
	}
	g.ClosePast()
	return g, nil
}

func (a *Agent) journalDir() string { return filepath.Join(a.cfg.Data, journalDir) }

// journalDir holds the journal, below the data directory.
const journalDir = "journal"

// openJournal opens the journal and a guard that remembers it. What a crash left without an outcome
// ends as unknown, and is never asked again by itself (CONTROL-PLANE I3).
func (a *Agent) openJournal() error {
	g, err := a.past()
	if err != nil {
		return err
	}
	j, err := journal.Open(a.journalDir(), time.Now(), g)
	if err != nil {
		return err
	}
	a.journal, a.guard, a.head, a.acked = j, g, signedHead{}, 0
	a.word.Store(0)
	for _, r := range g.Open() {
		out := evidence.Record{At: time.Now(), Kind: evidence.Outcome, Order: r.Order, Ordinal: r.Ordinal, Permit: r.Permit, Device: r.Device,
			Result: &evidence.Result{State: evidence.Unknown, Detail: "the agent stopped between the permit and the outcome; the device may have been asked", Asked: r.At}}
		if _, err := j.Append(out); err != nil {
			return err
		}
		g.Note(out)
	}
	return nil
}

// answers reports whether an answer proves an address here: the site takes it, and the agent has nothing else to ask.
func (a *Agent) answers() bool {
	r, _ := a.trust.Current()
	return r != nil && r.List.Site().AddressProof == list.ByAnswer && a.places.Blind()
}

// prove holds the address of a device against what the agent sees and what the site's policy takes beside it.
func (a *Agent) prove(d list.Device, at time.Time) *list.Refusal {
	also := list.AddressProof("")
	if r, _ := a.trust.Current(); r != nil {
		also = r.List.Site().AddressProof
	}
	return a.places.Prove(d, also, at)
}

// reset puts the journal aside, because the controller does not know it. The new guard reads it all the
// same: a device does not forget that it was asked.
func (a *Agent) reset() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.running > 0 {
		a.mu.Unlock()
		time.Sleep(50 * time.Millisecond)
		a.mu.Lock()
	}
	if err := a.journal.Retire(time.Now()); err != nil {
		return err
	}
	a.queue = nil
	if err := a.openJournal(); err != nil {
		return err
	}
	a.log.Warn("the controller asked for a new journal; the old one was put aside")
	return nil
}
