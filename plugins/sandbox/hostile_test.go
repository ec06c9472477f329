package sandbox_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"primum/plugins/sandbox"
	"primum/plugins/sandbox/confine"
	probev1 "primum/proto/probe/v1"
)

// refusedActs are what a hostile plugin tries from inside, each with the kernel's answer at both levels.
// What is not EPERM of the list of system calls stands with its reason.
func refusedActs() map[string][2]string {
	both := func(answer string) [2]string { return [2]string{answer, answer} }
	all := map[string][2]string{
		// By Go's own net package; the errors are its.
		"dial TCP": both("refused"), "dial TCP over IPv6": both("refused"), "dial UDP": both("refused"), "dial a unix socket outside": both("refused"),
		"dial an abstract socket": both("refused"), "send to a unix socket": both("refused"),
		// It may have a unix stream socket, to listen; such a one takes no address with a message.
		"have a unix stream socket": both("done"), "a message by it to an address": both("ENOTSUP"),
		// At full there is no such file, at fallback Landlock refuses it.
		"list the root": both("EACCES"),
		// clone3 counts as missing, so that C libraries take clone.
		"clone3": both("ENOSYS"),
		// The descriptor of the image was closed by exec and cannot be had again.
		"execute its image again": both("EBADF"), "have the image's number": both("EBADF"), "execute by the image's number and a path": {"ENOENT", "EACCES"},
		"a thousand descriptors": both("EMFILE"), "descriptors": {"50", "50"},
		// At full its directory is a memory file system of 16 inodes. At fallback it is one of the machine's.
		"64 files": {"ENOSPC", "done"},
	}
	for _, act := range []string{"read /etc/passwd", "read the agent's secret", "read the environment of the agent", "read its own /proc", "read by a way up",
		"read a device", "write beside the agent", "remove the agent's secret", "write a sysctl"} {
		all[act] = [2]string{"ENOENT", "EACCES"}
	}
	for _, act := range []string{
		"listen on TCP", "MPTCP", "SCTP", "UDP without connect", "raw IP", "ICMP", "netlink", "packet", "vsock", "bluetooth", "CAN", "kernel crypto", "XDP", "TIPC",
		"a pair of sockets", "connect it outside", "send by it to an address", "a filter on it",
		"empty the agent's secret", "make a directory", "make a symbolic link", "make a link", "make a device", "rename", "change a mode", "mount", "unmount",
		"change root", "pivot root", "grow a file", "allocate a file",
		"execute /bin/sh", "execute itself", "make a memory file", "execute a memory file", "fork", "vfork", "kill the agent", "kill everybody", "kill its group",
		"kill a thread of the agent", "kill by queue", "hold the agent", "take a descriptor of the agent", "trace the agent", "read the agent's memory",
		"write the agent's memory", "limit the agent", "pace the agent", "signals to the agent by a descriptor", "outlive the agent", "be dumped", "raise its limits",
		"be root", "be in the group of root", "take capabilities", "new namespaces", "enter a namespace", "another personality", "another filter",
		"io_uring", "bpf", "keys", "add a key", "performance events", "page faults", "load a module", "open by handle", "message queue",
		"shared memory of System V", "restart the machine", "set the clock", "set the time", "name the machine", "shared memory", "memory that grows", "type into a terminal",
	} {
		all[act] = both("EPERM")
	}
	return all
}

// ending is how a behaviour ends that is a process of its own.
type ending struct {
	name, mode, argument string
	err                  error  // Start fails with it
	says                 string // the error, or the description, holds it
	starts               bool
	fullOnly             bool // nothing in it depends on the level
}

func endings(dir string) []ending {
	const say = "say"
	return []ending{
		{"handshake: an address of TCP", say, "1|1|tcp|127.0.0.1:7001|grpc|", sandbox.ErrAddress, "tcp", false, true},
		{"handshake: an address of UDP", say, "1|1|udp|127.0.0.1:7002|grpc|", sandbox.ErrAddress, "udp", false, true},
		{"handshake: somebody's socket", say, "1|1|unix|" + dir + "/victim|grpc|", sandbox.ErrAddress, "no such socket", false, false},
		{"handshake: an abstract socket", say, "1|1|unix|@primum-victim|grpc|", sandbox.ErrAddress, "no such socket", false, true},
		{"handshake: its directory", say, "1|1|unix|.|grpc|", sandbox.ErrAddress, "no socket", false, true},
		{"handshake: the directory above", say, "1|1|unix|..|grpc|", sandbox.ErrAddress, "no socket", false, false},
		{"handshake: a way up", say, "1|1|unix|../../../" + dir + "/victim|grpc|", sandbox.ErrAddress, "no such socket", false, false},
		{"handshake: an escape", say, "1|1|\x1b[31mnet|x|grpc|", sandbox.ErrAddress, `\x1b`, false, true},
		{"handshake: another protocol", say, "1|1|unix|s|netrpc|", nil, "", false, true},
		{"handshake: another version of it", say, "9|1|unix|s|grpc|", nil, "", false, true},
		{"handshake: another version of ours", say, "1|9|unix|s|grpc|", nil, "", false, true},
		{"handshake: no certificate", say, "1|1|unix|s|grpc|AAAA", nil, "", false, true},
		{"handshake: words", say, "hello", nil, "", false, true},
		{"silence", "silent", "", context.DeadlineExceeded, "", false, true},
		{"it exits at once", "exit", "", nil, "exit status 7", false, true},
		{"it crashes at once", "crash", "", nil, "exit status 2", false, true},
		{"it panics in its description", "panic", "", nil, "panicked", false, true},
		{"it ends itself by a signal", "abort", "", nil, "ended before it was ready", false, true},
		{"it hangs in its description", "hang", "", nil, "DeadlineExceeded", false, true},
		{"a description of 2 MiB", "giant", "", nil, "ResourceExhausted", false, true},
		{"output without end", "stream", "", sandbox.ErrFlood, "", false, true},
		{"forged records", "forge", "\x1b[2J\rlevel=ERROR msg=forged\n{\"@level\":\"error\",\"@message\":\"forged\"}\n\u202eevil\n", nil, "exit status 1", false, true},
		{"a system call of i386", "i386", "", nil, "bad system call", false, false},
		{"a system call of x32", "x32", "", nil, "bad system call", false, false},
		{"memory without end", "memory", "", nil, "exit status 2", false, false},
		{"threads without end", "threads", "", nil, "exit status 2", false, false},
		{"addresses without end", "pages", "", nil, "cannot allocate memory", true, false},
		{"a file that grows", "grow", "", nil, "file too large", true, false},
	}
}

// ordinary tells the test that it was started again as an ordinary user.
const ordinary = "PRIMUM_TEST_ORDINARY"

// H-005, H-007, H-008: each behaviour is run for real, as root and as an ordinary user, at both levels. Around it
// stand listeners that nobody may reach, a secret that everybody could read, and tcpdump.
func TestNothingThatAHostilePluginTriesReachesAnybody(t *testing.T) {
	if os.Getenv(ordinary) != "" {
		misbehave(t)
		return
	}
	seen := capture(t)
	t.Run("as it was started", misbehave)
	if os.Getuid() == 0 {
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), ordinary+"=1", "TMPDIR=/tmp", "HOME=/nonexistent")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, Pdeathsig: syscall.SIGKILL}
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("behaviours as user 65534")) {
			t.Errorf("as an ordinary user: %v\n%s", err, out)
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "behaviours as user") {
				t.Log(strings.TrimSpace(line))
			}
		}
	}
	if packets := seen(); len(packets) != 0 {
		t.Errorf("%d packets:\n%s", len(packets), strings.Join(packets, "\n"))
	}
}

// misbehave runs everything as the user of this process.
func misbehave(t *testing.T) {
	w := newWitness(t)
	s := hostile(t, w)
	n := 0
	for _, level := range []confine.Level{confine.Full, confine.Fallback} {
		s.Trust, s.Confinement = sandbox.Signed, proven(t, level)
		n += w.acts(t, s, level)
		for _, e := range endings(w.dir) {
			if level == confine.Fallback && e.fullOnly {
				continue
			}
			n++
			t.Run(string(level)+"/"+e.name, func(t *testing.T) { e.try(t, s) })
		}
		t.Run(string(level)+"/frames without end", func(t *testing.T) { floodOfFrames(t, s) })
		t.Run(string(level)+"/it spins", func(t *testing.T) { spin(t, s) })
		n += 2
	}
	// Without confinement the directory holds what a plugin likes; only the kernel knows who listens (B5).
	s.Trust, s.Confinement = sandbox.BuiltIn, proven(t, confine.None)
	link := ending{"handshake: a link to the socket of another process", "link", w.dir + "/victim", nil, "not the plugin's", false, true}
	if os.Getuid() == 0 {
		link.says = "no such socket" // the plugin is another user, and the kernel lets it make no such link
	}
	t.Run(link.name, func(t *testing.T) { link.try(t, s) })
	n++
	w.untouched(t)
	t.Logf("%d behaviours as user %d", n, os.Getuid())
}

// hostile is the plugin without confinement.
func hostile(t *testing.T, w *witness) sandbox.Spec {
	t.Helper()
	b, err := os.ReadFile(program("hostile"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	image, err := sandbox.Seal(program("hostile"), sum)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = image.Close() })
	return sandbox.Spec{SHA256: sum, Image: image, Dir: w.sockets, Trust: sandbox.BuiltIn, Unconfined: true, Confinement: proven(t, confine.None)}
}

// The witnesses are no use if they see nothing: without confinement the same plugin reaches each of them.
func TestTheWitnessesSeeAPluginThatIsNotConfined(t *testing.T) {
	seen := capture(t)
	w := newWitness(t)
	s, _ := as(hostile(t, w), "reach", w.dir)
	p, err := sandbox.Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	waitFor(t, "the victims to be reached", func() bool { return w.reached.Load() >= 6 })
	if packets := seen(); len(packets) < 8 {
		t.Errorf("%d packets:\n%s", len(packets), strings.Join(packets, "\n"))
	}
}

// as is the specification of the plugin that behaves so, with its log.
func as(s sandbox.Spec, mode, argument string) (sandbox.Spec, *log) {
	l := new(log)
	s.Path, s.Log = mode+"-"+hex.EncodeToString([]byte(argument)), slog.New(slog.NewTextHandler(l, nil))
	return s, l
}

func (e ending) try(t *testing.T, s sandbox.Spec) {
	ctx := t.Context()
	if e.mode == "silent" {
		short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		ctx = short
	}
	s, l := as(s, e.mode, e.argument)
	p, err := sandbox.Start(ctx, s)
	text := l.String()
	if e.starts {
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		d, err := p.Describe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		text += strings.Join(d.GetKinds(), " ")
	} else {
		if err == nil {
			_ = p.Close()
			t.Fatal("it started")
		}
		if e.err != nil && !errors.Is(err, e.err) {
			t.Errorf("error %v", err)
		}
		text += err.Error()
	}
	if !strings.Contains(text, e.says) {
		t.Errorf("it says %q, not %q", text, e.says)
	}
	for line := range strings.Lines(text) {
		if strings.ContainsAny(line, "\x1b\r\u202e") || strings.HasPrefix(line, "level=ERROR") || strings.HasPrefix(line, "{") {
			t.Errorf("a forged record: %q", line)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.Dir, "p*")); len(left) != 0 && !e.starts {
		t.Errorf("left behind: %v", left)
	}
}

// witness is what nobody may reach.
type witness struct {
	dir, sockets string
	reached      atomic.Int64
}

const secretText = "canary 4711"

func newWitness(t *testing.T) *witness {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "v")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w := &witness{dir: dir, sockets: filepath.Join(dir, "s")}
	if err := errors.Join(os.Chmod(dir, 0o777), os.Mkdir(w.sockets, 0o755), os.WriteFile(dir+"/secret", []byte(secretText), 0o666), os.Chmod(dir+"/secret", 0o666)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PRIMUM_TEST_SECRET", secretText)
	var g sync.WaitGroup
	t.Cleanup(g.Wait) // comes last
	for _, a := range [][2]string{{"tcp", "127.0.0.1:7001"}, {"tcp", "[::1]:7001"}, {"unix", dir + "/victim"}, {"unix", "@primum-victim"}} {
		l, err := net.Listen(a[0], a[1])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		g.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_ = c.SetReadDeadline(time.Now().Add(time.Second))
				if n, _ := c.Read(make([]byte, 64)); n > 0 || a[0] == "tcp" { // by TCP the connection is harm enough
					w.reached.Add(1)
				}
				_ = c.Close()
			}
		})
	}
	for _, a := range [][2]string{{"udp", "127.0.0.1:7002"}, {"unixgram", dir + "/datagrams"}} {
		var lc net.ListenConfig
		c, err := lc.ListenPacket(t.Context(), a[0], a[1])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		g.Go(func() {
			for {
				if _, _, err := c.ReadFrom(make([]byte, 64)); err != nil {
					return
				}
				w.reached.Add(1)
			}
		})
	}
	for _, name := range []string{"/victim", "/datagrams"} {
		if err := os.Chmod(dir+name, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *witness) untouched(t *testing.T) {
	t.Helper()
	if n := w.reached.Load(); n != 0 {
		t.Errorf("victims were reached %d times", n)
	}
	if b, err := os.ReadFile(w.dir + "/secret"); err != nil || string(b) != secretText {
		t.Errorf("the secret is %q: %v", b, err)
	}
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains([]string{"s", "secret", "victim", "datagrams"}, e.Name()) {
			t.Errorf("there is a new file %s", e.Name())
		}
	}
	if host, err := os.Hostname(); err != nil || host == "owned" {
		t.Errorf("the machine is called %q: %v", host, err)
	}
}

// acts has one process try everything, and holds the kernel's answers against the table.
func (w *witness) acts(t *testing.T, s sandbox.Spec, level confine.Level) int {
	t.Helper()
	s, _ = as(s, "acts", w.dir+"|"+strconv.Itoa(os.Getpid()))
	p, err := sandbox.Start(t.Context(), s)
	if err != nil {
		t.Fatalf("%s: %v", level, err)
	}
	defer p.Close()
	d, err := p.Describe(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", level, err)
	}
	if strings.Contains(d.String(), secretText) {
		t.Errorf("%s: it has the secret", level)
	}
	got, want := map[string]string{}, refusedActs()
	if err := json.Unmarshal([]byte(d.GetKinds()[1]), &got); err != nil {
		t.Fatal(err)
	}
	for act, answers := range want {
		answer := answers[0]
		if level == confine.Fallback {
			answer = answers[1]
		}
		if got[act] != answer {
			t.Errorf("%s: %s: %q, want %q", level, act, got[act], answer)
		}
	}
	for act := range got {
		if _, ok := want[act]; !ok {
			t.Errorf("%s: %s is not in the table", level, act)
		}
	}
	return len(want)
}

// floodOfFrames: what nobody reads is not in the agent's memory.
func floodOfFrames(t *testing.T, s sandbox.Spec) {
	s, _ = as(s, "frames", "")
	p, err := sandbox.Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	stream, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&probev1.HostFrame{Step: &probev1.HostFrame_Start{Start: &probev1.Start{}}}); err != nil {
		t.Fatal(err)
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	before := heap()
	time.Sleep(500 * time.Millisecond) // the flood's own pace
	if grown := int64(heap()) - int64(before); grown > 8<<20 {
		t.Errorf("%d octets of frames that nobody reads", grown)
	}
}

// spin: it gets what the agent leaves over, and is alive to be ended.
func spin(t *testing.T, s sandbox.Spec) {
	s, _ = as(s, "spin", "")
	p, err := sandbox.Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	waitFor(t, "the processor to be used", func() bool {
		u, err := p.Usage()
		return err == nil && u.CPU >= 100*time.Millisecond && u.Threads > 0 && u.Memory > 0
	})
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(p.Pid()) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	if f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')'):])); f[17] != "5" {
		t.Errorf("niceness %s", f[17])
	}
}

// capture is tcpdump on loopback; the function that it returns ends it and tells the packets.
func capture(t *testing.T) func() []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "wire.pcap")
	args := []string{"-i", "lo", "-U", "--immediate-mode", "-w", file}
	if os.Getuid() == 0 {
		args = append(args, "-Z", "root")
	}
	cmd := exec.Command("tcpdump", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("tcpdump is needed: %v", err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	listening := make([]byte, 256)
	if n, err := io.ReadAtLeast(stderr, listening, 20); err != nil || !bytes.Contains(listening[:n], []byte("listening on")) {
		t.Fatalf("tcpdump: %v: %s", err, listening[:n])
	}
	go func() { _, _ = io.Copy(io.Discard, stderr) }() // ends with tcpdump
	return func() []string {
		time.Sleep(100 * time.Millisecond) // tcpdump has no word for "the ring is empty"
		if err := errors.Join(cmd.Process.Signal(unix.SIGINT), cmd.Wait()); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("tcpdump", "-nn", "-t", "-r", file).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
	}
}
