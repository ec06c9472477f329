package sandbox_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"primum/plugins/lab/namespace"
	"primum/plugins/sandbox"
	"primum/plugins/sandbox/confine"
	probev1 "primum/proto/probe/v1"
)

func TestMain(m *testing.M) {
	if _, inside := namespace.Word(); !inside {
		os.Exit(namespace.Again("sandbox"))
	}
	if os.Getenv(programs) != "" { // started again as somebody else: all is there already
		goleak.VerifyTestMain(m)
		return
	}
	dir, err := os.MkdirTemp("", "programs")
	if err == nil {
		err = os.Chmod(dir, 0o755) // everybody has to reach it
	}
	cmd := exec.Command("go", "build", "-o", dir+"/", "./testdata/plugin", "./testdata/hostile", "./cmd/primum-confine")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	text, buildErr := cmd.CombinedOutput()
	if err := errors.Join(err, buildErr, namespace.Up(), os.Setenv(programs, dir)); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %s\n", err, text)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// programs names the folder of the plugins and of the program that confines them, which starts faster than this
// one and needs less memory with the race detector on.
const programs = "PRIMUM_TEST_PROGRAMS"

func program(name string) string { return filepath.Join(os.Getenv(programs), name) }

// proven is what this machine can, and what it could if it had less.
func proven(t testing.TB, most confine.Level) confine.Proof {
	t.Helper()
	p := confine.ProveAtMost(t.Context(), program("primum-confine"), most)
	if p.Level() != most {
		t.Fatalf("this machine has the level %q only: %v", p.Level(), p.Why())
	}
	return p
}

// spec lays the plugin down under the name that makes it behave as asked.
func spec(t testing.TB, mode, argument string) (sandbox.Spec, *log) {
	t.Helper()
	binary, err := os.ReadFile(program("plugin"))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "s") // short: t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, mode+"-"+hex.EncodeToString([]byte(argument)))
	if err := os.WriteFile(path, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	l := new(log)
	return sandbox.Spec{Path: path, SHA256: sha256.Sum256(binary), Dir: dir, Trust: sandbox.BuiltIn, Confinement: proven(t, confine.Full),
		Log: slog.New(slog.NewTextHandler(l, nil))}, l
}

// log keeps what is logged, for looking at it while it is written.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// victim listens and counts what reaches it.
type victim struct {
	connections, octets atomic.Int64
	address             string
}

func listen(t *testing.T, network, address string) *victim {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{address: l.Addr().String()}
	var g sync.WaitGroup
	g.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			v.connections.Add(1)
			_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
			n, _ := io.Copy(io.Discard, c)
			v.octets.Add(n)
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); g.Wait() })
	return v
}

// start must fail, and leave neither a process nor a directory behind.
func refused(t *testing.T, s sandbox.Spec) error {
	t.Helper()
	p, err := sandbox.Start(t.Context(), s)
	if err == nil {
		_ = p.Close()
		t.Fatal("a plugin started that must not")
	}
	left, _ := filepath.Glob(filepath.Join(s.Dir, "p*"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	return err
}

func TestHandshakeNamingATCPAddressReachesNobody(t *testing.T) {
	v := listen(t, "tcp", "127.0.0.1:0")
	s, _ := spec(t, "tcp", v.address)
	if err := refused(t, s); !errors.Is(err, sandbox.ErrAddress) {
		t.Errorf("error %v does not name the address", err)
	}
	if n := v.connections.Load(); n != 0 {
		t.Errorf("victim saw %d connections", n)
	}
}

// B5: the socket dialled is the process's own, by the kernel's word.
func TestHandshakeNamingAnotherSocketReachesNobody(t *testing.T) {
	for _, mode := range []string{"symlink", "elsewhere"} {
		t.Run(mode, func(t *testing.T) {
			v := listen(t, "unix", shortSocket(t))
			s, _ := spec(t, mode, v.address)
			if err := refused(t, s); !errors.Is(err, sandbox.ErrAddress) {
				t.Errorf("error %v does not name the address", err)
			}
			if n := v.connections.Load(); n != 0 {
				t.Errorf("victim saw %d connections", n)
			}
		})
	}
}

// A hard link to somebody else's socket is a real socket in the right directory. Only the kernel knows
// who listens on it.
func TestHandshakeNamingALinkedSocketSendsNothing(t *testing.T) {
	v := listen(t, "unix", shortSocket(t))
	s, _ := spec(t, "hardlink", v.address)
	// Only without confinement can a plugin make the link at all.
	s.Confinement, s.Unconfined = proven(t, confine.None), true
	if err := errors.Join(os.Chmod(filepath.Dir(v.address), 0o755), os.Chown(v.address, int(confine.User()), -1)); err != nil {
		t.Fatal(err)
	}
	err := refused(t, s)
	if !strings.Contains(err.Error(), "not the plugin's") {
		t.Errorf("error %v does not say who listens", err)
	}
	if n := v.octets.Load(); n != 0 {
		t.Errorf("victim read %d octets", n)
	}
}

func shortSocket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "v")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// B4: gRPC and nothing else.
func TestOtherProtocolThanGRPCIsRefused(t *testing.T) {
	s, _ := spec(t, "netrpc", "s")
	refused(t, s)
}

func TestWrongHashIsRefused(t *testing.T) {
	s, _ := spec(t, "honest", "")
	for name, sum := range map[string][sha256.Size]byte{"zero": {}, "other": sha256.Sum256([]byte("other"))} {
		s.SHA256 = sum
		if err := refused(t, s); !errors.Is(err, sandbox.ErrHash) {
			t.Errorf("%s hash: %v", name, err)
		}
	}
}

func TestZeroSpecStartsNothing(t *testing.T) {
	if _, err := sandbox.Start(t.Context(), sandbox.Spec{}); err == nil {
		t.Error("the zero spec started something")
	}
}

func TestPluginThatDiesAtStartSaysHowAndWithWhatWords(t *testing.T) {
	s, l := spec(t, "dies", "")
	err := refused(t, s)
	for _, want := range []string{"ended before it was ready", "exit status 3", "cannot find"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	for what, text := range map[string]string{"error": err.Error(), "log": l.String()} {
		if strings.Contains(text, "\x1b") {
			t.Errorf("%s holds an escape: %q", what, text)
		}
	}
	if strings.Contains(l.String(), "level=ERROR forged") && !strings.Contains(l.String(), `words=`) {
		t.Errorf("forged level: %s", l)
	}
}

func TestPluginThatSaysNothingIsEndedWithTheContext(t *testing.T) {
	s, _ := spec(t, "silent", "")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := sandbox.Start(ctx, s); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v is no deadline", err)
	}
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("took %s", d)
	}
}

func TestEndlessFirstLineIsNoHandshake(t *testing.T) {
	s, l := spec(t, "endless", "")
	refused(t, s)
	if n := len(l.String()); n > 200<<10 {
		t.Errorf("log grew to %d octets", n)
	}
}

func TestHonestPluginSeesNothingOfTheAgent(t *testing.T) {
	t.Setenv("PRIMUM_TEST_SECRET", "canary")
	// A descriptor that the agent itself inherited, without close-on-exec.
	secret := filepath.Join(t.TempDir(), "inherited")
	fd, err := unix.Open(secret, unix.O_CREAT|unix.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)

	s, l := spec(t, "honest", "")
	began := time.Now()
	p, err := sandbox.Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started and described in %s", time.Since(began))
	defer p.Close()
	d, err := p.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var saw sight
	if err := json.Unmarshal([]byte(d.GetKinds()[1]), &saw); err != nil {
		t.Fatal(err)
	}
	allowed := []string{"PRIMUM_PROBE", "PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_CLIENT_CERT",
		"PLUGIN_UNIX_SOCKET_DIR=.", "GOMAXPROCS=2", "GOMEMLIMIT=48MiB"}
	for _, e := range saw.Environment {
		name, _, _ := strings.Cut(e, "=")
		if !slices.Contains(allowed, name) && !slices.Contains(allowed, e) {
			t.Errorf("plugin has the variable %s", e)
		}
	}
	if want := []string{"0 chr", "1 fifo", "2 fifo"}; !slices.Equal(saw.Inherited, want) {
		t.Errorf("plugin has the descriptors %v, want %v", saw.Inherited, want)
	}
	for which, most := range map[int]uint64{unix.RLIMIT_CORE: 1, unix.RLIMIT_FSIZE: 0, unix.RLIMIT_NOFILE: 64, unix.RLIMIT_DATA: 256 << 20, unix.RLIMIT_NPROC: 32} {
		if got := saw.Limits[which]; got.Cur != most || got.Max != most {
			t.Errorf("limit %d is %+v, want %d", which, got, most)
		}
	}
	if saw.Pid != 1 || saw.User != 65534 || saw.Group != 65534 || len(saw.Args) != 1 {
		t.Errorf("plugin is process %d of user %d, group %d, arguments %q", saw.Pid, saw.User, saw.Group, saw.Args)
	}
	waitFor(t, "words dropped", func() bool { return strings.Contains(l.String(), "said after the handshake") })
	if strings.Contains(l.String(), "\x1b") || strings.Contains(l.String(), "\nlevel=ERROR") {
		t.Error("plugin forged a log record")
	}
	// Half a megabyte was printed, twice; two seconds' worth may pass, each line with its dress.
	if n := strings.Count(l.String(), "flood of words"); n == 0 || n > 3*(64<<10)/15 {
		t.Errorf("%d lines of a flood were logged", n)
	}
}

func TestKilledPluginClosesDoneAndEndsTheConversation(t *testing.T) {
	s, _ := spec(t, "honest", "")
	p, err := sandbox.Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	stream, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(p.Pid(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("Done is still open")
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("stream ended with %v", err)
	}
}

func TestCloseEndsTheProcessAndRemovesItsDirectory(t *testing.T) {
	s, _ := spec(t, "honest", "")
	p, err := sandbox.Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	pid := p.Pid()
	for range 2 {
		if err := p.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("process is still there: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.Dir, "p*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// B6: what runs is the copy that was verified: the file may change or vanish meanwhile.
func TestRunningPluginIsTheVerifiedCopy(t *testing.T) {
	s, _ := spec(t, "honest", "")
	p, err := sandbox.Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	exe, err := os.Readlink("/proc/" + strconv.Itoa(p.Pid()) + "/exe")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(exe, "/memfd:") && !strings.HasPrefix(exe, "/:") {
		t.Errorf("process executes %s", exe)
	}
}

func TestUnknownQuestionIsUnimplemented(t *testing.T) {
	s, _ := spec(t, "honest", "")
	p, err := sandbox.Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	stream, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&probev1.HostFrame{Step: &probev1.HostFrame_Start{Start: &probev1.Start{
		Question: &probev1.Start_DicomEcho{DicomEcho: &probev1.DicomEcho{MessageId: 1}}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unimplemented {
		t.Errorf("stream ended with %v", err)
	}
}

// sight is what the plugin sees of the machine; its own program writes it in the same form.
type sight struct {
	Environment, Inherited, Args []string
	Limits                       map[int]unix.Rlimit
	Pid, User, Group             int
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}
