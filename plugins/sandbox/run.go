package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin/runner"
	"golang.org/x/sys/unix"
)

const (
	// maxHandshake bounds the first line: five short fields and a certificate of about 1 kB.
	maxHandshake = 8 << 10
	// lastWordsWait bounds how long the output of an ended plugin is read on, in case something
	// that it left behind still holds the pipe.
	lastWordsWait = 500 * time.Millisecond
)

// limits keep a plugin small by the cheapest means there are. The number of processes is not among
// them: the kernel counts it for each user, and the agent is the same user.
func limits() map[int]uint64 {
	return map[int]uint64{
		unix.RLIMIT_CORE:   0,         // a core could hold what a device said (H-025)
		unix.RLIMIT_NOFILE: 64,        //
		unix.RLIMIT_DATA:   256 << 20, // not RLIMIT_AS: Go reserves far more than it uses
		unix.RLIMIT_FSIZE:  0,         // a probe writes no files
	}
}

// run is one process, as go-plugin's runner.
type run struct {
	name  string
	image *os.File // sealed, verified
	words *words

	dir string   // where the plugin may put its socket; set by go-plugin before Start
	env []string // nothing but what go-plugin needs; the same

	handshake *io.PipeReader
	toHost    *io.PipeWriter
	done      chan struct{}  // closed when the process is gone and its output read
	readers   sync.WaitGroup // of stdout and stderr

	mu      sync.Mutex // guards what follows
	pid     int
	alive   bool
	killed  bool
	state   *os.ProcessState
	socket  string
	refused error
}

var _ runner.Runner = (*run)(nil)

func newRun(name string, image *os.File, w *words) *run {
	r := &run{name: name, image: image, words: w, done: make(chan struct{})}
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

	p, stdout, stderr, err := r.spawn()
	if err != nil {
		_ = r.toHost.Close()
		started <- err
		return
	}
	r.mu.Lock()
	r.pid, r.alive = p.Pid, true
	if r.killed { // while it was being started
		_ = unix.Kill(-p.Pid, unix.SIGKILL)
	}
	r.mu.Unlock()
	r.readers.Go(func() { r.readStdout(stdout) })
	r.readers.Go(func() { _, _ = io.Copy(r.words, stderr) })
	started <- nil

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
	r.mu.Lock()
	r.state = state
	r.mu.Unlock()

	deadline := time.Now().Add(lastWordsWait)
	_ = stdout.SetReadDeadline(deadline)
	_ = stderr.SetReadDeadline(deadline)
	r.readers.Wait()
	_ = stdout.Close()
	_ = stderr.Close()
}

// spawn starts the verified copy with nothing of the agent's but three descriptors.
func (r *run) spawn() (_ *os.Process, stdout, stderr *os.File, err error) {
	var opened []*os.File
	defer func() {
		if err != nil {
			for _, f := range opened {
				_ = f.Close()
			}
		}
	}()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("open null device: %w", err)
	}
	defer null.Close()
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

	// Between fork and exec Go moves descriptors to just above the highest one handed over; the
	// image must lie well above, or it would be overwritten there.
	high := max(null.Fd(), outW.Fd(), errW.Fd()) + 32
	fd, err := unix.FcntlInt(r.image.Fd(), unix.F_DUPFD_CLOEXEC, int(high))
	if err != nil {
		return nil, nil, nil, fmt.Errorf("hold plugin image: %w", err)
	}
	defer unix.Close(fd)
	// Go opens everything close-on-exec, but the agent may itself have inherited descriptors.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return nil, nil, nil, fmt.Errorf("close descriptors to the plugin: %w", err)
	}
	p, err := os.StartProcess("/proc/self/fd/"+strconv.Itoa(fd), []string{r.name}, &os.ProcAttr{
		Dir:   r.dir,
		Env:   r.env,
		Files: []*os.File{null, outW, errW},
		Sys:   &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("execute plugin: %w", err)
	}
	for which, n := range limits() {
		if lerr := unix.Prlimit(p.Pid, which, &unix.Rlimit{Cur: n, Max: n}, nil); lerr != nil && !errors.Is(lerr, unix.ESRCH) {
			_ = p.Kill()
			_, _ = p.Wait()
			return nil, nil, nil, fmt.Errorf("limit plugin: %w", lerr)
		}
	}
	return p, stdout, stderr, nil
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

// PluginToHost decides what may be dialled: see ownSocket.
func (r *run) PluginToHost(network, address string) (string, string, error) {
	path, err := ownSocket(r.dir, network, address)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.refused = err
		return "", "", err
	}
	r.socket = path
	return "unix", path, nil
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
