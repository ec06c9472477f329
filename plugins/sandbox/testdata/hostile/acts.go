package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tried does everything and says what the kernel said to each. dir is where the victims of the test are;
// agent is the process that has started this one.
func tried(dir, agent string) map[string]string {
	out := map[string]string{}
	pid, _ := strconv.Atoi(agent)
	did := func(name string, err error) {
		switch errno, ok := err.(syscall.Errno); {
		case err == nil || ok && errno == 0:
			out[name] = "done"
		case ok:
			out[name] = unix.ErrnoName(errno)
		default:
			out[name] = err.Error()
		}
	}
	raw := func(name string, nr uintptr, args ...uintptr) {
		var a [6]uintptr
		copy(a[:], args)
		_, _, errno := syscall.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
		if errno == 0 {
			out[name] = "done"
			return
		}
		did(name, errno)
	}
	network(out, did, dir)
	files(did, dir)

	// Processes.
	did("execute /bin/sh", unix.Exec("/bin/sh", []string{"sh", "-c", "touch " + dir + "/executed"}, nil))
	did("execute itself", unix.Exec("/proc/self/exe", os.Args, nil))
	fd, err := unix.MemfdCreate("evil", 0)
	did("make a memory file", err)
	raw("execute a memory file", unix.SYS_EXECVEAT, uintptr(fd), str(""), 0, 0, unix.AT_EMPTY_PATH)
	raw("execute its image again", unix.SYS_EXECVEAT, 200, str(""), 0, 0, unix.AT_EMPTY_PATH)
	raw("execute by the image's number and a path", unix.SYS_EXECVEAT, 200, str("/bin/sh"), 0, 0, unix.AT_EMPTY_PATH)
	raw("have the image's number", unix.SYS_DUP2, 1, 200)
	child, _, errno := syscall.RawSyscall(unix.SYS_FORK, 0, 0, 0)
	if errno == 0 && child == 0 {
		for {
			syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	did("fork", orNil(errno))
	raw("vfork", unix.SYS_CLONE, unix.CLONE_VFORK|unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD))
	raw("clone3", unix.SYS_CLONE3, str(""), 0)
	did("kill the agent", unix.Kill(pid, unix.SIGKILL))
	did("kill everybody", unix.Kill(-1, unix.SIGCONT))
	did("kill its group", unix.Kill(0, unix.SIGCONT))
	raw("kill a thread of the agent", unix.SYS_TGKILL, uintptr(pid), uintptr(pid), uintptr(unix.SIGKILL))
	raw("kill by queue", unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(unix.SIGKILL), 0)
	raw("hold the agent", unix.SYS_PIDFD_OPEN, uintptr(pid), 0)
	raw("take a descriptor of the agent", unix.SYS_PIDFD_GETFD, 0, 1, 0)
	did("trace the agent", unix.PtraceAttach(pid))
	raw("read the agent's memory", unix.SYS_PROCESS_VM_READV, uintptr(pid), 0, 0, 0, 0, 0)
	raw("write the agent's memory", unix.SYS_PROCESS_VM_WRITEV, uintptr(pid), 0, 0, 0, 0, 0)
	raw("limit the agent", unix.SYS_PRLIMIT64, uintptr(pid), unix.RLIMIT_NOFILE, 0, 0)
	raw("pace the agent", unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, uintptr(pid), 19)
	raw("signals to the agent by a descriptor", unix.SYS_FCNTL, 1, unix.F_SETOWN, uintptr(pid))
	did("outlive the agent", unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0))
	did("be dumped", unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0))
	did("raise its limits", unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 4096, Max: 4096}))
	did("be root", syscall.Errno(rawErrno(unix.SYS_SETUID, 0)))
	did("be in the group of root", syscall.Errno(rawErrno(unix.SYS_SETGID, 0)))
	raw("take capabilities", unix.SYS_CAPSET, 0, 0)
	did("new namespaces", unix.Unshare(unix.CLONE_NEWUSER|unix.CLONE_NEWNET))
	did("enter a namespace", unix.Setns(1, 0))
	did("another personality", syscall.Errno(rawErrno(unix.SYS_PERSONALITY, 0x40000)))
	raw("another filter", unix.SYS_SECCOMP, 1, 0, 0)

	// The kernel.
	raw("io_uring", unix.SYS_IO_URING_SETUP, 1, str(strings.Repeat("\x00", 200)))
	raw("bpf", unix.SYS_BPF, 0, str(strings.Repeat("\x00", 200)), 72)
	raw("keys", unix.SYS_KEYCTL, 0, ^uintptr(2), 0)
	raw("add a key", unix.SYS_ADD_KEY, str("user"), str("k"), str("v"), 1, ^uintptr(2))
	raw("performance events", unix.SYS_PERF_EVENT_OPEN, str(strings.Repeat("\x00", 200)), 0, 0, 0, 0)
	raw("page faults", unix.SYS_USERFAULTFD, 0)
	raw("load a module", unix.SYS_INIT_MODULE, 0, 0, str(""))
	raw("open by handle", unix.SYS_OPEN_BY_HANDLE_AT, 0, 0, 0)
	raw("message queue", unix.SYS_MQ_OPEN, str("q"), unix.O_CREAT, 0o600, 0)
	raw("shared memory of System V", unix.SYS_SHMGET, 0, 1<<30, 0o1600)
	raw("restart the machine", unix.SYS_REBOOT, 0, 0, 0) // without the numbers that the kernel wants
	did("set the clock", unix.ClockSettime(unix.CLOCK_REALTIME, &unix.Timespec{}))
	did("set the time", unix.Settimeofday(&unix.Timeval{}))
	did("name the machine", unix.Sethostname([]byte("owned")))
	did("shared memory", mapped(unix.MAP_SHARED))
	did("memory that grows", mapped(unix.MAP_PRIVATE|unix.MAP_GROWSDOWN))
	raw("type into a terminal", unix.SYS_IOCTL, 0, unix.TIOCSTI, str("x"))
	n := 0
	for ; n < 1000; n++ {
		if _, err = unix.Dup(1); err != nil {
			break
		}
	}
	did("a thousand descriptors", err)
	out["descriptors"] = strconv.Itoa(n)
	for fd := range 64 {
		if fd > 12 { // those of the plugin's own socket are lower
			_ = unix.Close(fd)
		}
	}
	return out
}

func orNil(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

func str(s string) uintptr {
	b := append([]byte(s), 0)
	kept = append(kept, b)
	return uintptr(unsafe.Pointer(&b[0]))
}

var kept [][]byte

func rawErrno(nr, a uintptr) uintptr {
	_, _, errno := syscall.RawSyscall(nr, a, a, a)
	return uintptr(errno)
}

func mapped(flags int) error {
	_, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, flags|unix.MAP_ANONYMOUS)
	return err
}

// network tries to reach the victims, which listen in dir, on loopback and under an abstract name.
func network(out map[string]string, did func(string, error), dir string) {
	for _, c := range []struct{ name, network, address string }{
		{"dial TCP", "tcp", "127.0.0.1:7001"}, {"dial TCP over IPv6", "tcp", "[::1]:7001"}, {"dial UDP", "udp", "127.0.0.1:7002"},
		{"dial a unix socket outside", "unix", dir + "/victim"}, {"dial an abstract socket", "unix", "@primum-victim"}, {"send to a unix socket", "unixgram", dir + "/datagrams"},
	} {
		conn, err := net.Dial(c.network, c.address)
		if err == nil {
			_, err = conn.Write([]byte("harm"))
		}
		if err != nil {
			out[c.name] = "refused"
			continue
		}
		out[c.name] = "done"
	}
	_, err := net.Listen("tcp", "127.0.0.1:7003")
	did("listen on TCP", map[bool]error{true: syscall.EPERM}[err != nil])
	at := &unix.SockaddrInet4{Port: 7002, Addr: [4]byte{127, 0, 0, 1}}
	for _, s := range []struct {
		name                   string
		family, kind, protocol int
		to                     unix.Sockaddr
	}{
		{"MPTCP", unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP, &unix.SockaddrInet4{Port: 7001, Addr: [4]byte{127, 0, 0, 1}}},
		{"SCTP", unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP, at}, {"UDP without connect", unix.AF_INET, unix.SOCK_DGRAM, 0, at},
		{"raw IP", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW, at}, {"ICMP", unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP, at},
		{"netlink", unix.AF_NETLINK, unix.SOCK_RAW, 0, &unix.SockaddrNetlink{}}, {"packet", unix.AF_PACKET, unix.SOCK_RAW, 0, &unix.SockaddrLinklayer{Ifindex: 1, Halen: 6}},
		{"vsock", unix.AF_VSOCK, unix.SOCK_STREAM, 0, nil}, {"bluetooth", unix.AF_BLUETOOTH, unix.SOCK_RAW, 1, nil}, {"CAN", unix.AF_CAN, unix.SOCK_RAW, 1, nil},
		{"kernel crypto", unix.AF_ALG, unix.SOCK_SEQPACKET, 0, nil}, {"XDP", unix.AF_XDP, unix.SOCK_RAW, 0, nil}, {"TIPC", unix.AF_TIPC, unix.SOCK_RDM, 0, nil},
		{"a pair of sockets", unix.AF_UNIX, unix.SOCK_SEQPACKET, 0, nil},
	} {
		fd, err := unix.Socket(s.family, s.kind, s.protocol)
		if err == nil && s.to != nil {
			if s.name == "MPTCP" {
				err = unix.Connect(fd, s.to)
			} else {
				err = unix.Sendto(fd, []byte("harm"), 0, s.to)
			}
		}
		did(s.name, err)
	}
	// The one kind of socket there is, used for what it must not be.
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	did("have a unix stream socket", err)
	did("connect it outside", unix.Connect(fd, &unix.SockaddrUnix{Name: dir + "/victim"}))
	did("send by it to an address", unix.Sendto(fd, []byte("harm"), 0, &unix.SockaddrUnix{Name: dir + "/datagrams"}))
	did("a message by it to an address", unix.Sendmsg(fd, []byte("harm"), nil, &unix.SockaddrUnix{Name: dir + "/datagrams"}, unix.MSG_NOSIGNAL))
	did("a filter on it", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, 0))
}

// files tries to read and to write.
func files(did func(string, error), dir string) {
	read := func(name, path string) {
		_, err := os.ReadFile(path)
		did(name, cause(err))
	}
	read("read /etc/passwd", "/etc/passwd")
	read("read the agent's secret", dir+"/secret")
	read("read the environment of the agent", "/proc/"+strconv.Itoa(os.Getppid())+"/environ")
	read("read its own /proc", "/proc/self/maps")
	read("read by a way up", "../../../../../../"+dir+"/secret")
	read("read a device", "/dev/zero")
	_, err := os.ReadDir("/")
	did("list the root", cause(err))
	did("write beside the agent", cause(os.WriteFile(dir+"/written", []byte("harm"), 0o600)))
	did("empty the agent's secret", cause(os.Truncate(dir+"/secret", 0)))
	did("remove the agent's secret", cause(os.Remove(dir+"/secret")))
	did("write a sysctl", cause(os.WriteFile("/proc/sys/kernel/hostname", []byte("owned"), 0)))
	did("make a directory", unix.Mkdir("d", 0o700))
	did("make a symbolic link", unix.Symlink(dir+"/victim", "l"))
	did("make a link", unix.Link(dir+"/secret", "h"))
	did("make a device", unix.Mknod("n", unix.S_IFBLK|0o600, 0x700))
	did("rename", unix.Rename("a", "b"))
	did("change a mode", unix.Chmod(".", 0o777))
	did("mount", unix.Mount("proc", "/", "proc", 0, ""))
	did("unmount", unix.Unmount("/", unix.MNT_DETACH))
	did("change root", unix.Chroot("."))
	did("pivot root", unix.PivotRoot(".", "."))
	fd, err := unix.Open("full", unix.O_CREAT|unix.O_WRONLY, 0o600)
	if err == nil {
		did("grow a file", unix.Ftruncate(fd, 1<<20))
		did("allocate a file", unix.Fallocate(fd, 0, 0, 1<<20))
		_ = unix.Close(fd)
		_ = unix.Unlink("full")
	}
	n := 0
	for ; n < 64; n++ {
		fd, err = unix.Open(fmt.Sprint("f", n), unix.O_CREAT|unix.O_WRONLY, 0o600)
		if err != nil {
			break
		}
		_ = unix.Close(fd)
	}
	did("64 files", err)
	for i := range n {
		_ = unix.Unlink(fmt.Sprint("f", i))
	}
}

func cause(err error) error {
	for err != nil {
		if errno, ok := err.(syscall.Errno); ok {
			return errno
		}
		next, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = next.Unwrap()
	}
	return nil
}
