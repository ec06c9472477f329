package sandbox

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"primum/plugins/sandbox/confine"
	"primum/plugins/sdk"
	probev1 "primum/proto/probe/v1"
)

const (
	startTimeout    = 5 * time.Second
	describeTimeout = 2 * time.Second
	maxFrame        = 1 << 20
)

// Spec names one plugin. The zero value starts nothing.
type Spec struct {
	// Path of the binary. Required.
	Path string
	// SHA256 of the binary. Required: a zero hash matches nothing.
	SHA256 [sha256.Size]byte
	// Image is the sealed binary of that hash, for whoever starts several processes of it. Defaults to one
	// made of Path.
	Image *Image
	// Dir is where the private directory of this process is made. Required; short, because the
	// path of a unix socket has at most 107 octets.
	Dir string
	// Trust says why this binary may run at all. Required.
	Trust Trust
	// Confinement is what this machine was proven to be able to. Required; see Prove.
	Confinement confine.Proof
	// Unconfined says that a person has decided to run built-in plugins where the machine cannot confine
	// them. It lets no other plugin start.
	Unconfined bool
	// Log takes lifecycle and the plugin's words. Defaults to none.
	Log *slog.Logger
}

// Process is a running plugin. It is safe for use by several goroutines. Close it.
type Process struct {
	name  string
	dir   string
	run   *run
	words *words
	conn  *grpc.ClientConn
	probe probev1.ProbeClient

	listening sync.WaitGroup // of the stdio stream
	stop      context.CancelFunc
	closing   sync.Once
	closeErr  error
}

// ErrNotRun says that no instruction of the plugin was executed: it may not run, or the agent lacks
// something. What goes wrong later is the plugin's doing.
var ErrNotRun = errors.New("the plugin was not executed")

// Start verifies the binary, starts it, and asks it what it speaks. An error wraps ErrNotRun when it was not
// executed (ErrHash when the binary is another one), and ErrAddress when the plugin named an address that is
// not its own.
func Start(ctx context.Context, spec Spec) (_ *Process, err error) {
	name := filepath.Base(spec.Path)
	defer func() {
		if err != nil {
			err = fmt.Errorf("start plugin %s: %w", name, err)
		}
	}()
	log := spec.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	log = log.With("plugin", name)
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	image, dir, err := prepare(spec)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotRun, err)
	}
	if spec.Image == nil {
		defer image.Close()
	}
	w := &words{log: log}
	p := &Process{name: name, dir: dir, run: newRun(name, image.file, spec.Confinement, w), words: w}
	w.flooded = func() { p.run.end(ErrFlood) }
	if err := p.start(ctx); err != nil {
		_ = p.Close()
		return nil, p.explain(err)
	}
	log.Info("plugin started", "pid", p.Pid(), "sandbox", spec.Confinement.Level(), "sha256", fmt.Sprintf("%x", spec.SHA256))
	return p, nil
}

// prepare does all that comes before the first instruction of anybody.
func prepare(spec Spec) (image *Image, dir string, err error) {
	if spec.Path == "" || spec.Dir == "" {
		return nil, "", errors.New("path and directory are required")
	}
	if err := spec.mayRun(); err != nil {
		return nil, "", err
	}
	if image = spec.Image; image == nil {
		image, err = Seal(spec.Path, spec.SHA256)
	} else if image.sum != spec.SHA256 {
		err = fmt.Errorf("%w: the image is of another one", ErrHash)
	}
	if err != nil {
		return nil, "", err
	}
	if dir, err = os.MkdirTemp(spec.Dir, "p"); err != nil { // 0700
		err = fmt.Errorf("make private directory: %w", err)
		if spec.Image == nil {
			err = errors.Join(err, image.Close())
		}
		return nil, "", err
	}
	return image, dir, nil
}

func (p *Process) start(ctx context.Context) error {
	config := &plugin.ClientConfig{
		HandshakeConfig:  sdk.Handshake(),
		Plugins:          plugin.PluginSet{sdk.PluginName: &plugin.NetRPCUnsupportedPlugin{}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     startTimeout,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: p.dir},
		Logger:           hclog.NewNullLogger(),
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, dir string) (runner.Runner, error) {
			p.run.dir, p.run.env = dir, cmd.Env
			return p.run, nil
		},
	}
	client := plugin.NewClient(config)
	// go-plugin knows no context: when ours ends, the process ends, and with it the handshake.
	ended := make(chan struct{})
	release := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = p.run.Kill(context.Background())
	})
	_, err := client.Start()
	if !release() {
		<-ended
	}
	if err != nil {
		client.Kill() // no address yet: waits for go-plugin's goroutines and nothing more
		return errors.Join(ctx.Err(), err)
	}
	return p.connect(ctx, config.TLSConfig)
}

// connect opens the one kind of connection there is, with the keys of the handshake.
func (p *Process) connect(ctx context.Context, keys *tls.Config) error {
	keys = keys.Clone()
	keys.MinVersion = tls.VersionTLS13
	place, socket, pid := p.run.place, p.run.socket, p.run.pid
	conn, err := grpc.NewClient("passthrough:///plugin",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx, place, socket, pid) }),
		grpc.WithTransportCredentials(credentials.NewTLS(keys)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxFrame), grpc.MaxCallSendMsgSize(maxFrame)),
	)
	if err != nil {
		return fmt.Errorf("make connection: %w", err)
	}
	p.conn, p.probe = conn, probev1.NewProbeClient(conn)
	// Before the first question: a plugin that prints a lot would wait for a reader.
	listen, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = stop
	p.listening.Go(func() { hear(listen, conn, p.words) })
	_, err = p.Describe(ctx)
	return err
}

// explain says how a start failed in words for a person. go-plugin's own error may hold the plugin's
// words, so that it is quoted.
func (p *Process) explain(err error) error {
	p.run.mu.Lock()
	refused, why := p.run.refused, p.run.why
	p.run.mu.Unlock()
	switch {
	case refused != nil:
		return refused
	case why != nil:
		return why
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("it was not ready within %s: %w", startTimeout, context.DeadlineExceeded)
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, confine.ErrConfine) || errors.Is(err, confine.ErrNoShim):
		return fmt.Errorf("%w: %w", ErrNotRun, err)
	}
	how, gone := p.run.ended()
	last := p.words.close()
	if gone && how != "signal: killed" {
		return fmt.Errorf("it ended before it was ready (%s); its last words: %s", how, last)
	}
	return fmt.Errorf("it did not become ready: %s", strconv.QuoteToASCII(err.Error()))
}

// Run opens the stream of one conversation.
func (p *Process) Run(ctx context.Context) (probev1.Probe_RunClient, error) {
	stream, err := p.probe.Run(ctx)
	if err != nil {
		return nil, fmt.Errorf("open stream to plugin %s: %w", p.name, err)
	}
	return stream, nil
}

// Describe asks the plugin what it speaks. The answer is a claim.
func (p *Process) Describe(ctx context.Context) (*probev1.Description, error) {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	stream, err := p.probe.Run(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask plugin what it speaks: %w", err)
	}
	// A failed send shows its reason in the receive.
	_ = stream.Send(&probev1.HostFrame{Step: &probev1.HostFrame_Describe{Describe: &probev1.Describe{}}})
	frame, err := stream.Recv()
	if err != nil {
		return nil, fmt.Errorf("ask plugin what it speaks: %w", err)
	}
	d := frame.GetDescription()
	if d.GetName() == "" || d.GetVersion() == "" || len(d.GetKinds()) == 0 || len(d.GetKinds()) > 16 {
		return nil, errors.New("ask plugin what it speaks: it describes itself without name, version or kinds")
	}
	return d, nil
}

// Done is closed when the process is gone, for whatever reason.
func (p *Process) Done() <-chan struct{} { return p.run.done }

// Err says how the process ended, once Done is closed. It wraps ErrFlood if the agent ended it for that.
func (p *Process) Err() error { return p.run.err() }

// Pid is the number of the process.
func (p *Process) Pid() int {
	p.run.mu.Lock()
	defer p.run.mu.Unlock()
	return p.run.pid
}

// Close ends the process and removes what it left. A plugin holds nothing worth a farewell. Close may
// be called more than once; it returns when the process is gone.
func (p *Process) Close() error {
	p.closing.Do(func() {
		if p.stop != nil {
			p.stop()
		}
		var closeErr error
		if p.conn != nil {
			closeErr = p.conn.Close()
		}
		_ = p.run.Kill(context.Background())
		p.listening.Wait()
		p.words.close()
		if place := p.run.place; place != nil {
			closeErr = errors.Join(closeErr, place.Dir.Close())
		}
		p.closeErr = errors.Join(closeErr, p.run.left, os.RemoveAll(p.dir))
	})
	return p.closeErr
}
