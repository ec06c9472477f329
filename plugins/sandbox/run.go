package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"golang.org/x/sys/unix"

	"primum/plugins/sandbox/confine"
)

const (
	// maxHandshake bounds the first line: five short fields and a certificate of about 1 kB.
	maxHandshake = 8 << 10
	// lastWordsWait bounds how long the output of an ended plugin is read on, in case something
	// that it left behind still holds the pipe.
	lastWordsWait = 500 * time.Millisecond
)

// run is one process, as go-plugin's runner.
type run struct {
	name  string
	image *os.File // sealed, verified
	proof confine.Proof
	words *words

	dir string   // the plugin's directory on a machine without namespaces; set by go-plugin before Start
	env []string // nothing but what go-plugin needs; the same

	handshake *io.PipeReader
	toHost    *io.PipeWriter
	done      chan struct{}  // closed when the process is gone and its output read
	readers   sync.WaitGroup // of stdout and stderr

	mu      sync.Mutex // guards what follows
	pid     int
	alive   bool
	killed  bool
	why     error // the agent ended it for this
	state   *os.ProcessState
	left    error          // of its cgroup
	place   *confine.Place // once it is confined
	socket  string         // its name there
	refused error
}

var _ runner.Runner = (*run)(nil)

func newRun(name string, image *os.File, proof confine.Proof, w *words) *run {
	r := &run{name: name, image: image, proof: proof, words: w, done: make(chan struct{})}
	r.handshake, r.toHost = io.Pipe()
	return r
}

// Start starts the process. Its owner is the goroutine below, which lives as long as it does.
func (r *run) Start(context.Context) error {
	started := make(chan error, 1)
	go r.own(started)
	return <-started
}

// own starts the process and waits for it, all on one thread: the kernel sends the parent death
// signal when the *thread* that started the child ends, and a Go thread may end at any time unless
// a goroutine is locked to it.
func (r *run) own(started chan<- error) {
	defer close(r.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	group, err := r.proof.Group(filepath.Base(r.dir))
	if err != nil {
		_ = r.toHost.Close()
		started <- fmt.Errorf("%w: %w", confine.ErrConfine, err)
		return
	}
	child, stdout, stderr, err := r.spawn(group.Dir())
	if err != nil {
		_ = group.Close() // nothing ran in it
		_ = r.toHost.Close()
		started <- err
		return
	}
	p := child.Process
	r.mu.Lock()
	r.pid, r.alive = p.Pid, true
	if r.killed { // while it was being started
		_ = unix.Kill(-p.Pid, unix.SIGKILL)
	}
	r.mu.Unlock()
	r.readers.Go(func() { r.readStdout(stdout) })
	r.readers.Go(func() { _, _ = io.Copy(r.words, stderr) })
	place, err := child.Await(time.Now().Add(startTimeout))
	r.mu.Lock()
	r.place = place
	if err != nil {
		_ = unix.Kill(-p.Pid, unix.SIGKILL)
	}
	r.mu.Unlock()
	started <- err

	// Wait without reaping, so that the number of the process still is its own while what it may
	// have left behind in its group is ended.
	for {
		if err := unix.Waitid(unix.P_PID, p.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	r.mu.Lock()
	_ = unix.Kill(-p.Pid, unix.SIGKILL)
	r.alive = false
	r.mu.Unlock()
	state, _ := p.Wait()
	left := group.Close()
	r.mu.Lock()
	r.state, r.left = state, left
	r.mu.Unlock()

	deadline := time.Now().Add(lastWordsWait)
	_ = stdout.SetReadDeadline(deadline)
	_ = stderr.SetReadDeadline(deadline)
	r.readers.Wait()
	_ = stdout.Close()
	_ = stderr.Close()
}

// spawn starts the verified copy with nothing of the agent's but two pipes.
func (r *run) spawn(group *os.File) (_ *confine.Child, stdout, stderr *os.File, err error) {
	var opened []*os.File
	defer func() {
		if err != nil {
			for _, f := range opened {
				_ = f.Close()
			}
		}
	}()
	stdout, outW, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, fmt.Errorf("make pipe: %w", err)
	}
	defer outW.Close()
	opened = append(opened, stdout)
	stderr, errW, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, fmt.Errorf("make pipe: %w", err)
	}
	defer errW.Close()
	opened = append(opened, stderr)
	dir, err := confine.OpenDir(r.dir)
	if err != nil {
		return nil, nil, nil, err
	}
	defer dir.Close()
	child, err := confine.Launch(confine.Order{Level: r.proof.Level(), Program: r.proof.Program(), Name: r.name, Env: environment(r.env),
		Image: r.image, Dir: dir, Group: group, Stdout: outW, Stderr: errW})
	return child, stdout, stderr, err
}

// environment is what go-plugin tells a plugin. The directory is where it is; Go is told to keep small.
func environment(env []string) []string {
	out := []string{"GOMAXPROCS=2", "GOMEMLIMIT=48MiB"}
	for _, e := range env {
		if strings.HasPrefix(e, plugin.EnvUnixSocketDir+"=") {
			e = plugin.EnvUnixSocketDir + "=."
		}
		out = append(out, e)
	}
	return out
}

// readStdout hands the first line to go-plugin; the rest is the plugin's words.
func (r *run) readStdout(stdout io.Reader) {
	defer r.toHost.Close()
	in := bufio.NewReaderSize(stdout, maxHandshake)
	line, err := in.ReadSlice('\n')
	if err != nil {
		_, _ = r.words.Write(line)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
		// A first line without an end is no handshake; go-plugin sees none and gives up.
		_ = r.toHost.Close()
	} else if _, err := r.toHost.Write(line); err != nil {
		return
	}
	_, _ = io.Copy(r.words, in)
}

// Wait waits until the process is gone.
func (r *run) Wait(context.Context) error {
	<-r.done
	return nil
}

// Kill ends the process and everything in its group, and releases whoever reads from it.
func (r *run) Kill(context.Context) error {
	r.mu.Lock()
	r.killed = true
	if r.alive {
		_ = unix.Kill(-r.pid, unix.SIGKILL)
	}
	started := r.pid != 0
	r.mu.Unlock()
	_ = r.handshake.Close()
	if started {
		<-r.done
	}
	return nil
}

// end ends the process for a reason, without waiting: whoever reads its output may call.
func (r *run) end(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.alive && r.why == nil {
		r.why = why
		_ = unix.Kill(-r.pid, unix.SIGKILL)
	}
}

// err says how the process ended.
func (r *run) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.why != nil {
		return r.why
	}
	if r.state == nil {
		return errors.New("it has not ended")
	}
	if s, ok := r.state.Sys().(syscall.WaitStatus); ok && s.Signaled() && s.Signal() == unix.SIGSYS {
		return errors.New("the kernel ended it for a system call of another ABI")
	}
	return errors.New(r.state.String())
}

// PluginToHost decides what may be dialled: see ownSocket. go-plugin dials nothing; it is told the name.
func (r *run) PluginToHost(network, address string) (string, string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name, err := ownSocket(r.place, network, address)
	if err != nil {
		r.refused = err
		return "", "", err
	}
	r.socket = name
	return "unix", name, nil
}

// HostToPlugin is refused: the agent listens for no plugin.
func (r *run) HostToPlugin(string, string) (string, string, error) {
	return "", "", errors.New("the agent offers no address to a plugin")
}

// Stdout holds the handshake line and then nothing.
func (r *run) Stdout() io.ReadCloser { return r.handshake }

// Stderr is empty for go-plugin, which would parse it as log records and believe them.
func (r *run) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name is the plugin's name.
func (r *run) Name() string { return r.name }

// ID is the process id.
func (r *run) ID() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strconv.Itoa(r.pid)
}

// Diagnose has nothing to add: Start says in its own words how the process ended.
func (r *run) Diagnose(context.Context) string { return "" }

// ended says how the process ended, if it did.
func (r *run) ended() (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == nil {
		return "", false
	}
	return r.state.String(), true
}
