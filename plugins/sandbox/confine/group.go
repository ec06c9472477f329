package confine

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of a plugin's cgroup (B7).
func groupLimits() [][2]string {
	return [][2]string{
		{"memory.max", "67108864"},      // 64 MiB; a Go plugin has 6
		{"memory.oom.group", "1"},       // all of it or nothing
		{"pids.max", "32"},              //
		{"cpu.max", "25000 100000"},     // a quarter of one processor
		{"memory.swap.max", "0"},        // where the kernel has swap
		{"cgroup.max.descendants", "0"}, //
	}
}

// optional are files that some kernels do not have.
func optional(file string) bool { return file == "memory.swap.max" }

// tree is a cgroup v2 below which the agent may make others. On a fake one the functions do what the
// kernel and systemd do by themselves.
type tree struct {
	base      string
	delegated func(string) bool
	mkdir     func(string) error
	rmdir     func(string) error
}

// findTree finds the cgroup that the agent itself is in, and takes the one above it: with Delegate=yes and
// DelegateSubgroup=agent in its unit, systemd gives the agent just that one to keep. What can be written there
// is tried.
func findTree(mountinfo, own []byte) (tree, error) {
	mount := ""
	for line := range bytes.Lines(mountinfo) {
		before, after, _ := strings.Cut(string(line), " - ")
		if f := strings.Fields(before); len(f) > 4 && strings.HasPrefix(after, "cgroup2 ") {
			mount = f[4]
		}
	}
	path := ""
	for in := bufio.NewScanner(bytes.NewReader(own)); in.Scan(); {
		if p, ok := strings.CutPrefix(in.Text(), "0::"); ok {
			path = p
		}
	}
	switch {
	case mount == "":
		return tree{}, errors.New("there is no cgroup v2 on this machine")
	case path == "" || path == "/" || strings.HasPrefix(path, "/.."):
		return tree{}, errors.New("the agent is not in a cgroup of its own (Delegate=yes and DelegateSubgroup=agent in its unit)")
	}
	return tree{base: filepath.Join(mount, filepath.Dir(path)), delegated: delegated, mkdir: func(p string) error { return os.Mkdir(p, 0o700) }, rmdir: os.Remove}, nil
}

// delegated asks for the mark that systemd puts on what it gives away. Root could write to the others too.
func delegated(path string) bool {
	for _, mark := range []string{"user.delegate", "trusted.delegate"} {
		value := make([]byte, 8)
		if n, err := unix.Getxattr(path, mark, value); err == nil && string(value[:n]) == "1" {
			return true
		}
	}
	return false
}

// ready lets the tree hand its controllers down, and fails unless it can hold a plugin.
func (t tree) ready() error {
	if !t.delegated(t.base) {
		return fmt.Errorf("%s is not delegated to the agent (Delegate=yes in its unit)", t.base)
	}
	have, err := os.ReadFile(filepath.Join(t.base, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("read controllers: %w", err)
	}
	for _, c := range []string{"cpu", "memory", "pids"} {
		if !slices.Contains(strings.Fields(string(have)), c) {
			return fmt.Errorf("%s has no controller %s", t.base, c)
		}
	}
	if err := put(t.base, "cgroup.subtree_control", "+cpu +memory +pids"); err != nil {
		return err
	}
	t.sweep()
	g, err := t.group(tryGroup)
	if err != nil {
		return err
	}
	return g.Close()
}

// tryGroup is the one that shows that the tree can hold a plugin.
const tryGroup = "primum-try"

// sweep removes what an agent left that was killed: groups without a process. The kernel keeps the others.
func (t tree) sweep() {
	all, err := os.ReadDir(t.base)
	if err != nil {
		return // ready tries the tree all the same
	}
	for _, e := range all {
		number, plugins := strings.CutPrefix(e.Name(), "p")
		if e.IsDir() && (e.Name() == tryGroup || plugins && number != "" && strings.Trim(number, "0123456789") == "") {
			_ = t.rmdir(filepath.Join(t.base, e.Name())) // busy: somebody is in it
		}
	}
}

// Group is the cgroup of one process.
type Group struct {
	tree tree
	dir  *os.File
}

func (t tree) group(name string) (_ *Group, err error) {
	path := filepath.Join(t.base, name)
	if err := t.mkdir(path); err != nil {
		return nil, fmt.Errorf("make cgroup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.rmdir(path))
		}
	}()
	for _, l := range groupLimits() {
		if err := put(path, l[0], l[1]); err != nil && !(optional(l[0]) && errors.Is(err, fs.ErrNotExist)) {
			return nil, err
		}
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open cgroup: %w", err)
	}
	return &Group{t, dir}, nil
}

// put writes a control file, which the kernel has made.
func put(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("limit cgroup: %w", err)
	}
	_, err = f.WriteString(value)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("limit cgroup: %s to %s: %w", file, value, err)
	}
	return nil
}

// Group makes the cgroup of one process; nil if this machine has none.
func (p Proof) Group(name string) (*Group, error) {
	if p.tree == nil {
		return nil, nil
	}
	return p.tree.group(name)
}

// Dir is for Order; nil if there is no group.
func (g *Group) Dir() *os.File {
	if g == nil {
		return nil
	}
	return g.dir
}

// Close ends whatever is in the group and removes it.
func (g *Group) Close() error {
	if g == nil {
		return nil
	}
	path := g.dir.Name()
	err := errors.Join(put(path, "cgroup.kill", "1"), g.dir.Close())
	var gone error
	for range 100 { // until the kernel has taken the last task out
		if gone = g.tree.rmdir(path); gone == nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.Join(err, fmt.Errorf("remove cgroup: %w", gone))
}
