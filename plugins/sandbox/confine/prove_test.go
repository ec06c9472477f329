package confine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// What a test process that is started again is asked, and where the program is that confines. With the race
// detector this one needs more memory than a plugin may have, before it could tell what it tried.
const (
	asked    = "PRIMUM_TEST_PROVE"
	confiner = "PRIMUM_TEST_CONFINER"
)

func TestMain(m *testing.M) {
	if os.Getenv(asked) == "no shim" { // a program that forgot it
		_, err := Launch(Order{Level: Full})
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	if what := os.Getenv(asked); what != "" {
		if err := proveElsewhere(what); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	dir, err := os.MkdirTemp("", "confine")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	cmd := exec.Command("go", "build", "-o", dir+"/primum-confine", "../cmd/primum-confine")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	text, buildErr := cmd.CombinedOutput()
	if err := errors.Join(err, buildErr, os.Setenv(confiner, dir+"/primum-confine")); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %s\n", err, text)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// answer is what a process elsewhere found.
type answer struct {
	Level Level
	Why   []string
	Acts  []Act
	User  int
}

// proveElsewhere makes the machine poorer for this process, and tells what it then finds.
func proveElsewhere(what string) error {
	switch what {
	case "no user namespaces":
		if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
			return err
		}
	case "no Landlock":
		prog, err := assembleWithoutLandlock()
		if err != nil {
			return err
		}
		if err := errors.Join(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), filter(forKernel(prog))); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p := Prove(ctx, os.Getenv(confiner))
	return json.NewEncoder(os.Stdout).Encode(answer{p.Level(), p.Why(), p.Acts(), os.Getuid()})
}

func assembleWithoutLandlock() ([]bpf.RawInstruction, error) {
	return bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: offCall, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_LANDLOCK_CREATE_RULESET, SkipFalse: 1},
		bpf.RetConstant{Val: retErrno | uint32(unix.ENOSYS)},
		bpf.RetConstant{Val: retAllow},
	})
}

// elsewhere starts this program again and returns what it finds.
func elsewhere(t *testing.T, what string, attr *syscall.SysProcAttr) answer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), asked+"="+what)
	cmd.SysProcAttr = attr
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v: %s", what, err, errs.String())
	}
	var a answer
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// ordinary is an ordinary user, from root.
func ordinary() *syscall.SysProcAttr {
	if os.Getuid() != 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

func TestThisMachineRefusesAllThatIsForbiddenAsRootAndAsAnOrdinaryUser(t *testing.T) {
	for name, a := range map[string]answer{
		"as started":       elsewhere(t, "as it is", nil),
		"an ordinary user": elsewhere(t, "as it is", ordinary()),
	} {
		if a.Level != Full || len(a.Why) != 0 || len(a.Acts) < 50 {
			t.Errorf("%s (user %d): level %q after %d acts: %v", name, a.User, a.Level, len(a.Acts), a.Why)
		}
	}
	if p := ProveAtMost(t.Context(), os.Getenv(confiner), Fallback); p.Level() != Fallback || len(p.Acts()) < 50 {
		t.Errorf("level %q after %d acts: %v", p.Level(), len(p.Acts()), p.Why())
	}
}

// A try that cannot succeed proves nothing: without confinement the kernel refuses only what it refuses
// to everybody who is not root.
func TestWithoutConfinementTheTriesAreNotRefused(t *testing.T) {
	acts, err := try(t.Context(), os.Getenv(confiner), None)
	if err != nil {
		t.Fatal(err)
	}
	privileged := []string{"raw IP socket", "packet socket", "bluetooth socket", "CAN socket", "kernel crypto socket", "XDP socket", "bpf", "mount", "chroot",
		"userfaultfd", "perf_event_open", "limits of another", "write 512 MiB of memory", "have another 64 descriptors", "io_uring", "keyctl"}
	for _, a := range acts {
		if a.Refused && !slices.Contains(privileged, a.Name) {
			t.Errorf("%s is refused without confinement: %s", a.Name, a.How)
		}
	}
	if last := acts[len(acts)-1]; last.Name != "system call of i386" || last.How != "done" {
		t.Errorf("the last act is %+v", last)
	}
}

func TestOneActThatIsNotRefusedLosesTheLevel(t *testing.T) {
	dir := t.TempDir()
	for _, level := range []Level{Full, Fallback} {
		place, state, err := tryIn(t.Context(), os.Getenv(confiner), level, dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := judge(level, place, state); err != nil {
			t.Fatalf("%s: %v", level, err)
		}
		for i := range place.Acts {
			place.Acts[i].Refused = false
			if judge(level, place, state) == nil {
				t.Errorf("%s in spite of %s", level, place.Acts[i].Name)
			}
			place.Acts[i].Refused = true
		}
		if judge(level, &Place{Namespaces: place.Namespaces}, state) == nil {
			t.Errorf("%s although nothing was tried", level)
		}
		if _, alive, err := tryIn(t.Context(), os.Getenv(confiner), None, dir); err != nil || judge(level, place, alive) == nil {
			t.Errorf("%s although a call of another ABI did not kill: %v", level, err)
		}
		if level == Full && judge(level, &Place{Acts: place.Acts, Namespaces: namespaces()}, state) == nil {
			t.Error("full in the namespaces of the agent")
		}
	}
}

func TestWithoutUserNamespacesTheLevelIsFallback(t *testing.T) {
	a := elsewhere(t, "no user namespaces", &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getgid(), Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_RESOURCE, unix.CAP_DAC_OVERRIDE}})
	if a.Level != Fallback || len(a.Why) != 1 || !strings.Contains(a.Why[0], "user.max_user_namespaces") {
		t.Errorf("level %q: %v", a.Level, a.Why)
	}
}

func TestWithoutLandlockNothingIsConfined(t *testing.T) {
	a := elsewhere(t, "no Landlock", ordinary())
	if a.Level != None || len(a.Why) != 2 || !strings.Contains(a.Why[1], "landlock") {
		t.Errorf("level %q: %v", a.Level, a.Why)
	}
}

func TestAProgramWithoutTheShimConfinesNothing(t *testing.T) {
	t.Setenv(asked, "no shim")
	if p := Prove(t.Context(), ""); p.Level() != Unproven || len(p.Why()) != 3 {
		t.Errorf("level %q: %v", p.Level(), p.Why())
	}
	t.Setenv(asked, "")
	if p := Prove(t.Context(), "/bin/true"); p.Level() != Unproven {
		t.Errorf("level %q: %v", p.Level(), p.Why())
	}
}

func TestAnUnprovenLevelStartsNothing(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	child, err := Launch(Order{Program: os.Getenv(confiner)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = child.Await(time.Now().Add(10 * time.Second))
	state, waitErr := child.Process.Wait()
	if !errors.Is(err, ErrConfine) || waitErr != nil || state.ExitCode() != 125 {
		t.Errorf("%v, %v, %v", err, state, waitErr)
	}
}
