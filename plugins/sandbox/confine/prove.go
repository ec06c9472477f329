package confine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Act is something forbidden that was tried.
type Act struct {
	Name    string `json:"name"`
	Refused bool   `json:"refused"`
	How     string `json:"how"` // the kernel's answer
}

// Proof is how well this machine confines, as it was tried. The zero value proves nothing.
type Proof struct {
	level   Level
	program string
	acts    []Act
	why     []string
	tree    *tree
	noTree  string
}

// Level is the highest level of which everything was refused.
func (p Proof) Level() Level { return p.level }

// Program is the one whose Shim was tried; empty: the own one.
func (p Proof) Program() string { return p.program }

// Acts are what was tried at that level.
func (p Proof) Acts() []Act { return p.acts }

// Why says of each higher level why the machine does not have it.
func (p Proof) Why() []string { return p.why }

// Groups is the cgroup below which each plugin gets one of its own, empty if there is none.
func (p Proof) Groups() string {
	if p.tree == nil {
		return ""
	}
	return p.tree.base
}

// NoGroups says why plugins get no cgroup. Their limits and the process namespace hold them all the same.
func (p Proof) NoGroups() string { return p.noTree }

// proveTimeout bounds one child.
const proveTimeout = 10 * time.Second

// Prove finds the level of this machine by trying. program is that of Order.
func Prove(ctx context.Context, program string) Proof { return ProveAtMost(ctx, program, Full) }

// ProveAtMost is Prove as if the machine had no higher level. It is for tests (the layout test says so).
func ProveAtMost(ctx context.Context, program string, most Level) Proof {
	p := Proof{program: program}
	if t, err := ownTree(); err != nil {
		p.noTree = err.Error()
	} else {
		p.tree = &t
	}
	levels := []Level{Full, Fallback, None}
	for _, level := range levels[max(slices.Index(levels, most), 0):] {
		acts, err := try(ctx, program, level)
		if err == nil {
			p.level, p.acts = level, acts
			return p
		}
		p.why = append(p.why, fmt.Sprintf("%s: %v", level, err))
	}
	return p
}

func ownTree() (tree, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return tree{}, err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return tree{}, err
	}
	t, err := findTree(mounts, own)
	if err != nil {
		return tree{}, err
	}
	return t, t.ready()
}

// try starts a child at a level, and fails unless everything that the level refuses was refused.
func try(ctx context.Context, program string, level Level) ([]Act, error) {
	dir, err := os.MkdirTemp("", "prove")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	place, state, err := tryIn(ctx, program, level, dir)
	if err != nil {
		return nil, err
	}
	return place.Acts, judge(level, place, state)
}

// judge says why a level is not the one that was promised.
func judge(level Level, place *Place, state *os.ProcessState) error {
	if level == None {
		return nil // nothing is promised
	}
	if len(place.Acts) == 0 {
		return errors.New("nothing was tried")
	}
	for _, a := range place.Acts {
		if !a.Refused {
			return fmt.Errorf("%s is not refused: %s", a.Name, a.How)
		}
	}
	if s, ok := state.Sys().(syscall.WaitStatus); !ok || !s.Signaled() || s.Signal() != unix.SIGSYS {
		return fmt.Errorf("a system call of another ABI does not kill: %s", state)
	}
	if level == Full {
		own := namespaces()
		for _, name := range namespaceNames() {
			if place.Namespaces[name] == own[name] || place.Namespaces[name] == "" {
				return fmt.Errorf("the %s namespace is not its own", name)
			}
		}
	}
	return nil
}

// tryIn starts the child and waits for it, on one thread.
func tryIn(ctx context.Context, program string, level Level, path string) (*Place, *os.ProcessState, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir, err := OpenDir(path)
	if err != nil {
		return nil, nil, err
	}
	defer dir.Close()
	child, err := Launch(Order{Level: level, Program: program, Name: "try", Dir: dir})
	if err != nil {
		return nil, nil, err
	}
	deadline := time.Now().Add(proveTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	place, err := child.Await(deadline)
	if err != nil {
		_ = child.Process.Kill()
	} else {
		err = place.Dir.Close()
	}
	state, waitErr := child.Process.Wait()
	if err := errors.Join(err, waitErr); err != nil {
		return nil, nil, err
	}
	return place, state, nil
}

// OpenDir opens a directory for Order, and gives it to the user that the plugin will be.
func OpenDir(path string) (*os.File, error) {
	if os.Geteuid() == 0 {
		if err := os.Chown(path, nobody, nobody); err != nil {
			return nil, err
		}
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open directory of the plugin: %w", err)
	}
	return os.NewFile(uintptr(fd), path), nil
}
