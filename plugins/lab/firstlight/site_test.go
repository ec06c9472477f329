package firstlight

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"primum/plugins/lab"
	"primum/plugins/lab/namespace"
)

// TestMain builds the programs, and runs the tests in a network namespace of their own.
func TestMain(m *testing.M) {
	if os.Getenv(failingDisk) != "" {
		fmt.Fprintln(os.Stderr, become())
		os.Exit(1)
	}
	if _, inside := namespace.Word(); !inside {
		os.Exit(outside())
	}
	if err := namespace.Up(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func outside() int {
	bin, err := os.MkdirTemp("", "primum-bin-")
	if err == nil {
		defer os.RemoveAll(bin)
		err = build(bin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the programs:", err)
		return 1
	}
	return namespace.Again(bin)
}

func build(bin string) error {
	run := func(args ...string) error {
		cmd := exec.Command("go", append([]string{"build"}, args...)...)
		cmd.Dir, cmd.Env = filepath.Join("..", "..", ".."), append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go build %v: %w: %s", args, err, out)
		}
		return nil
	}
	var probes []string
	for _, p := range []string{"snmp", "dicom", "hl7"} {
		path := filepath.Join(bin, "primum-probe-"+p)
		if err := run("-trimpath", "-o", path, "./plugins/"+p+"/cmd/primum-probe-"+p); err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		probes = append(probes, fmt.Sprintf("%s=%x", p, sha256.Sum256(b)))
	}
	return errors.Join(
		run("-trimpath", "-ldflags", "-X main.builtinPlugins="+strings.Join(probes, ","), "-o", filepath.Join(bin, "primum-agent"), "./agent/cmd/primum-agent"),
		run("-trimpath", "-o", bin+"/", "./plugins/lab/cmd/lab", "./controller/cmd/primum", "./controller/cmd/primum-controller"),
		run("-modfile=proto/tools/grpcurl.mod", "-o", filepath.Join(bin, "grpcurl"), "github.com/fullstorydev/grpcurl/cmd/grpcurl"))
}

func program(name string) string {
	bin, _ := namespace.Word()
	return filepath.Join(bin, name)
}

// process is one that the test started; it ends with the test.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// site is a whole installation: hospital, controller, agent, safety list, inventory.
type site struct {
	t     *testing.T
	dir   string
	agent *process

	controller *process
	serve      []string // more arguments of the agent
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) start(name string, args ...string) *process {
	s.t.Helper()
	return s.run(name, exec.Command(program(name), args...))
}

// run starts a command; its log is that of the program.
func (s *site) run(name string, cmd *exec.Cmd) *process {
	s.t.Helper()
	log, err := os.OpenFile(s.path(name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if p.cmd.SysProcAttr == nil {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	p.cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is judged by what it did
		log.Close()
		close(p.done)
	}()
	s.t.Cleanup(p.kill)
	return p
}

// try runs a program to its end.
func (s *site) try(name string, stdin string, args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(name), args...)
	var out, complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &complaints
	cmd.Env = append(os.Environ(), "PRIMUM_HOME="+s.path("controller"))
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	return out.String(), complaints.String(), cmd.ProcessState.ExitCode()
}

// primum runs the command line, which has to succeed.
func (s *site) primum(args ...string) string {
	s.t.Helper()
	out, complaints, code := s.try("primum", "", args...)
	if code != 0 {
		s.t.Fatalf("primum %v: exit %d: %s%s", args, code, out, complaints)
	}
	return out
}

// until polls a condition; time is the system's own here.
func (s *site) until(what string, within time.Duration, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	for _, log := range []string{"primum-controller.log", "primum-agent.log"} {
		b, err := os.ReadFile(s.path(log))
		s.t.Logf("%s: %v\n%s", log, err, b)
	}
	s.t.Fatalf("%s: not within %s", what, within)
}

func (s *site) there(name string) {
	s.until(name, 20*time.Second, func() bool {
		b, err := os.ReadFile(s.path(name))
		return err == nil && len(b) > 0
	})
}

func (s *site) agentArguments() []string {
	return append([]string{"serve", "--data", s.path("agent"), "--policy", "lab", "--leases", s.path("lab/dnsmasq.leases")}, s.serve...)
}

func (s *site) startAgent() { s.agent = s.start("primum-agent", s.agentArguments()...) }

func (s *site) startController(admin, control string) {
	s.controller = s.start("primum-controller", "serve", "--data", s.path("controller"), "--admin", admin, "--control", control, "--host", uplink.Address.String(), "--list-root", s.path("list/metadata/1.root.json"))
}

func (s *site) connected() {
	s.until("the agent connects and tells its sandbox", 30*time.Second, func() bool {
		list := s.primum("agents", "list")
		return strings.Contains(list, " CONNECTED ") && (strings.Contains(list, " FULL ") || strings.Contains(list, " FALLBACK "))
	})
}

// received is the judge's own count.
func (s *site) received() lab.Report {
	s.t.Helper()
	r, err := lab.FetchReport(s.t.Context(), s.path("lab"))
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *site) device(tag string) lab.DeviceReport {
	s.t.Helper()
	d, ok := s.received().Device(tag)
	if !ok {
		s.t.Fatalf("the judge knows no device %s", tag)
	}
	return d
}

// open makes an installation ready to ask in the demo hospital.
func open(t *testing.T) *site {
	t.Helper()
	return openIn(t, "")
}

// openIn makes one in a hospital of its own; the arguments are the agent's.
func openIn(t *testing.T, hospital string, agent ...string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), serve: agent}
	args := []string{"serve", "--dir", s.path("lab")}
	if hospital != "" {
		if err := os.WriteFile(s.path("hospital.yaml"), []byte(hospital), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--hospital", s.path("hospital.yaml"))
	}
	s.start("lab", args...)
	s.there("lab/ready")
	approver := strings.TrimSpace(s.primum("key", "new", "--out", s.path("approver.key")))
	lists, err := filepath.Glob("../lists/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	denials, err := filepath.Glob("../../../safetylists/lists/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc strings.Builder
	fmt.Fprintf(&doc, "schema: primum-site/1\nname: demo\nfacility: DEMOSITE\npolicy: lab\nmin_approvers: 1\napprovers:\n- {name: head-of-htm, key: %q}\nsign_offs:\n", approver)
	for line := range strings.Lines(s.primum(append([]string{"list", "digests"}, lists...)...)) {
		id, digest, _ := strings.Cut(strings.TrimSpace(line), " ")
		fmt.Fprintf(&doc, "- {statement: %s, digest: %s, by: [head-of-htm], on: %s}\n", id, digest, time.Now().UTC().Format(time.DateOnly))
	}
	if err := os.WriteFile(s.path("site.yaml"), []byte(doc.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.primum(append([]string{"list", "demo", s.path("list"), "--site", s.path("site.yaml")}, append(denials, lists...)...)...)
	s.startController("127.0.0.1:0", "127.0.0.1:0")
	s.there("controller/admin.token")
	s.primum("list", "publish", s.path("list"))
	s.enroll("demo", "agent")
	s.startAgent()
	s.connected()
	s.primum("secret", "set", "--agent", "demo", "--any", "--file", s.path("lab/community"))
	s.primum("devices", "import", s.path("lab/inventory.csv"))
	return s
}

// enroll enrols an agent of a name, with a data directory of its own.
func (s *site) enroll(name, dir string) {
	s.t.Helper()
	s.primum("agents", "token", name, "--to", s.path(dir+".token"))
	control, err := os.ReadFile(s.path("controller/control.address"))
	if err != nil {
		s.t.Fatal(err)
	}
	if out, complaints, code := s.try("primum-agent", "", "enroll", "--data", s.path(dir), "--controller", strings.TrimSpace(string(control)),
		"--authority", s.path("controller/authority.crt"), "--list-root", s.path("list/metadata/1.root.json"), "--token-file", s.path(dir+".token")); code != 0 {
		s.t.Fatalf("enrol: %s%s", out, complaints)
	}
}

// whole verifies the agent's record as the controller has it, from the first record on, and that it has so many at least.
func (s *site) whole(least int) {
	s.t.Helper()
	s.until("a signed head stands over a record that verifies whole", bound+time.Minute+time.Duration(least)*time.Millisecond, func() bool {
		_ = os.Remove(s.path("export"))
		if _, _, code := s.try("primum", "", "evidence", "export", "demo", "--to", s.path("export")); code != 0 {
			return false
		}
		out, _, code := s.try("primum", "", "evidence", "verify", s.path("export"))
		n, err := strconv.Atoi(strings.ReplaceAll(between(out, "Whole: ", " records"), ",", ""))
		return code == 0 && err == nil && n >= least
	})
}

// between returns what stands between two marks.
func between(text, before, after string) string {
	_, rest, ok := strings.Cut(text, before)
	if !ok {
		return ""
	}
	found, _, _ := strings.Cut(rest, after)
	return found
}
