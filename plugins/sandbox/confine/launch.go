package confine

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// mark is the name under which the own program is started again.
const mark = "primum-confine"

// nobody is the user and group of a plugin whose agent is root, and the only one there is in a user
// namespace.
const nobody = 65534

// Order is what to start, and how well it is to be confined.
type Order struct {
	Level Level
	// Program whose main begins with Shim. Defaults to the one that runs.
	Program string
	// Name is argument 0 of the plugin; it gets no other.
	Name string
	// Env is its whole environment.
	Env []string
	// Image is the sealed memory file to execute. None: try what is forbidden, and tell.
	Image *os.File
	// Dir is the only directory of the plugin at the levels without namespaces, an O_PATH descriptor.
	Dir *os.File
	// Group is the directory of a cgroup for it, or nil.
	Group *os.File
	// Stdout and Stderr of it.
	Stdout, Stderr *os.File
}

// Child is a process that is on its way to be the plugin.
type Child struct {
	Process *os.Process
	status  *net.UnixConn
}

// Launch starts it. The thread that calls must live as long as the process, and wait for it: the kernel
// ends the process with that thread. Call Await next.
func Launch(o Order) (_ *Child, err error) {
	if os.Args[0] == mark {
		return nil, ErrNoShim
	}
	threads, err := threadsFor(o.Level)
	if err != nil {
		return nil, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("open null device: %w", err)
	}
	defer null.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make status socket: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "status"), os.NewFile(uintptr(pair[1]), "status")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, fmt.Errorf("make status socket: %w", err)
	}
	status, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("make status socket: it is no unix socket"), conn.Close())
	}
	files := []*os.File{fdStatus: theirs, fdImage: or(o.Image, null), fdDir: or(o.Dir, null), 0: null, 1: or(o.Stdout, null), 2: or(o.Stderr, null)}
	program, err := openProgram(o.Program, files)
	if err != nil {
		return nil, errors.Join(err, status.Close())
	}
	defer program.Close()
	what := "run"
	if o.Image == nil {
		what = "try"
	}
	p, err := os.StartProcess("/proc/self/fd/"+strconv.Itoa(int(program.Fd())), []string{mark, string(o.Level), what, strconv.FormatUint(threads, 10), o.Name},
		&os.ProcAttr{Env: o.Env, Files: files, Sys: attr(o)})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: start: %w%s", ErrConfine, err, hint(o.Level, err)), status.Close())
	}
	return &Child{p, status}, nil
}

// openProgram holds the program by descriptor: the user that the child is may not reach its path. Between
// fork and exec Go moves descriptors to just above the highest that it hands over; this one lies well above.
func openProgram(path string, files []*os.File) (*os.File, error) {
	if path == "" {
		path = "/proc/self/exe"
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open program that confines: %w", err)
	}
	defer unix.Close(fd)
	highest := 0
	for _, f := range files {
		highest = max(highest, int(f.Fd()))
	}
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, highest+32)
	if err != nil {
		return nil, fmt.Errorf("open program that confines: %w", err)
	}
	return os.NewFile(uintptr(high), path), nil
}

func or(f, other *os.File) *os.File {
	if f != nil {
		return f
	}
	return other
}

// hint is what a person can do where a machine gives no user namespaces.
func hint(level Level, err error) string {
	switch {
	case level == Full && errors.Is(err, unix.ENOSPC):
		return " (no more user namespaces may be made: sysctl user.max_user_namespaces)"
	case level == Full && errors.Is(err, unix.EPERM):
		return " (this user gets no user namespaces: sysctl kernel.unprivileged_userns_clone or kernel.apparmor_restrict_unprivileged_userns, or the limits of a container)"
	}
	return ""
}

// attr is what the kernel is asked for before the first instruction of the child.
func attr(o Order) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if o.Group != nil {
		a.UseCgroupFD, a.CgroupFD = true, int(o.Group.Fd())
	}
	uid, gid := os.Geteuid(), os.Getegid()
	root := uid == 0
	if root {
		// Root's files are root's even without a capability: the plugin is somebody else.
		uid, gid = nobody, nobody
		a.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		a.AmbientCaps = []uintptr{unix.CAP_SETPCAP}
	}
	if o.Level == Full {
		a.Cloneflags = unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: uid, Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: gid, Size: 1}}
		a.GidMappingsEnableSetgroups = root
		a.AmbientCaps = []uintptr{unix.CAP_SETPCAP, unix.CAP_SYS_ADMIN} // in its own namespaces; both are dropped
	}
	return a
}

// User is the user number that the plugin has for the agent.
func User() uint32 {
	if uid := os.Geteuid(); uid != 0 {
		return uint32(uid)
	}
	return nobody
}

// threadsFor is the limit on tasks: of the plugin alone where it has a user namespace, else so many more
// than the user has now, because the kernel counts them for each user.
func threadsFor(level Level) (uint64, error) {
	if level == Full {
		return maxThreads, nil
	}
	paths, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		return 0, fmt.Errorf("count tasks: %w", err)
	}
	n, user := uint64(0), strconv.FormatUint(uint64(User()), 10)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		mine, threads := false, uint64(0)
		for in := bufio.NewScanner(bytes.NewReader(text)); in.Scan(); {
			switch f := strings.Fields(in.Text()); {
			case len(f) > 1 && f[0] == "Uid:":
				mine = f[1] == user
			case len(f) > 1 && f[0] == "Threads:":
				threads, err = strconv.ParseUint(f[1], 10, 32)
			}
		}
		if mine && err == nil {
			n += threads
		}
	}
	return n + 4*maxThreads, nil
}
