package confine

import (
	"math"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attempt is one act. Its arguments are such that it does no harm where it is not refused, and gets
// another answer there than one of these.
type attempt struct {
	name    string
	refusal []unix.Errno
	do      func() unix.Errno
}

func call(nr uintptr, a ...uintptr) func() unix.Errno {
	var arg [6]uintptr
	copy(arg[:], a)
	return func() unix.Errno {
		_, _, errno := unix.RawSyscall6(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5])
		return errno
	}
}

func path(s string) uintptr {
	b := append([]byte(s), 0)
	return uintptr(unsafe.Pointer(&b[0])) // pinned by Shim: collection is off, and the process ends here
}

// int80 makes a system call of i386.
func int80(call uintptr) uintptr

// attempts are what a level promises to refuse.
func attempts(level Level) []attempt {
	eperm := []unix.Errno{unix.EPERM}
	file := []unix.Errno{unix.EACCES}
	if level == Full {
		file = []unix.Errno{unix.ENOENT} // the machine's files are not there at all
	}
	none := uintptr(0)
	minus := ^uintptr(0)
	abstract := []byte{unix.AF_UNIX, 0, 0, 'p', 'r', 'i', 'm', 'u', 'm'}
	all := []attempt{
		{"connect to a unix socket", eperm, func() unix.Errno {
			fd, _, errno := unix.RawSyscall(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if errno != 0 {
				return errno
			}
			_, _, errno = unix.RawSyscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(&abstract[0])), uintptr(len(abstract)))
			return errno
		}},
		{"read /etc/passwd", file, call(unix.SYS_OPEN, path("/etc/passwd"), unix.O_RDONLY)},
		{"read /proc", file, call(unix.SYS_OPEN, path("/proc/self/status"), unix.O_RDONLY)},
		{"list the root", []unix.Errno{unix.EACCES}, call(unix.SYS_OPEN, path("/"), unix.O_RDONLY|unix.O_DIRECTORY)},
		{"write to /tmp", file, call(unix.SYS_OPEN, path("/tmp"), unix.O_WRONLY|unix.O_TMPFILE, 0o600)},
		{"execute", eperm, call(unix.SYS_EXECVE, path("/nothing"), none, none)},
		{"execute a memory file", eperm, call(unix.SYS_EXECVEAT, minus, path(""), none, none, unix.AT_EMPTY_PATH)},
		{"make a process", eperm, fork},
		{"make a namespace by clone3", []unix.Errno{unix.ENOSYS}, call(unix.SYS_CLONE3, none, none)},
		{"write 512 MiB of memory", []unix.Errno{unix.ENOMEM}, call(unix.SYS_MMAP, none, 512<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, minus, none)},
		{"have another 64 descriptors", []unix.Errno{unix.EINVAL}, call(unix.SYS_FCNTL, 0, unix.F_DUPFD_CLOEXEC, maxFiles)},
	}
	for _, s := range []struct {
		name                   string
		family, kind, protocol uintptr
	}{
		{"TCP", unix.AF_INET, unix.SOCK_STREAM, 0}, {"UDP", unix.AF_INET, unix.SOCK_DGRAM, 0}, {"raw IP", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP},
		{"MPTCP", unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, {"SCTP", unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP},
		{"TCP over IPv6", unix.AF_INET6, unix.SOCK_STREAM, 0}, {"UDP over IPv6", unix.AF_INET6, unix.SOCK_DGRAM, 0},
		{"netlink", unix.AF_NETLINK, unix.SOCK_RAW, 0}, {"packet", unix.AF_PACKET, unix.SOCK_DGRAM, 0}, {"vsock", unix.AF_VSOCK, unix.SOCK_STREAM, 0},
		{"bluetooth", unix.AF_BLUETOOTH, unix.SOCK_RAW, 1}, {"CAN", unix.AF_CAN, unix.SOCK_RAW, 1}, {"kernel crypto", unix.AF_ALG, unix.SOCK_SEQPACKET, 0},
		{"XDP", unix.AF_XDP, unix.SOCK_RAW, 0}, {"unix datagram", unix.AF_UNIX, unix.SOCK_DGRAM, 0},
	} {
		all = append(all, attempt{s.name + " socket", eperm, call(unix.SYS_SOCKET, s.family, s.kind, s.protocol)})
	}
	for _, c := range []struct {
		name string
		nr   uintptr
		args []uintptr
	}{
		{"socket pair", unix.SYS_SOCKETPAIR, []uintptr{unix.AF_UNIX, unix.SOCK_STREAM, 0, 0}},
		{"io_uring", unix.SYS_IO_URING_SETUP, nil}, {"ptrace", unix.SYS_PTRACE, []uintptr{unix.PTRACE_PEEKDATA}}, {"process_vm_readv", unix.SYS_PROCESS_VM_READV, nil},
		{"bpf", unix.SYS_BPF, []uintptr{minus}}, {"keyctl", unix.SYS_KEYCTL, nil}, {"unshare", unix.SYS_UNSHARE, nil}, {"setns", unix.SYS_SETNS, []uintptr{minus}},
		{"mount", unix.SYS_MOUNT, nil}, {"chroot", unix.SYS_CHROOT, nil}, {"userfaultfd", unix.SYS_USERFAULTFD, nil}, {"perf_event_open", unix.SYS_PERF_EVENT_OPEN, nil},
		{"pidfd_open", unix.SYS_PIDFD_OPEN, []uintptr{1}}, {"pidfd_getfd", unix.SYS_PIDFD_GETFD, []uintptr{minus}}, {"memfd_create", unix.SYS_MEMFD_CREATE, nil},
		{"signal to its group", unix.SYS_KILL, []uintptr{0}}, {"set the clock", unix.SYS_CLOCK_SETTIME, []uintptr{minus}}, {"symbolic link", unix.SYS_SYMLINK, nil},
		{"link", unix.SYS_LINK, nil}, {"make a directory", unix.SYS_MKDIR, nil}, {"personality", unix.SYS_PERSONALITY, []uintptr{math.MaxUint32}},
		{"shared memory", unix.SYS_MMAP, []uintptr{0, 4096, unix.PROT_READ, unix.MAP_SHARED | unix.MAP_ANONYMOUS, minus}},
		{"process settings", unix.SYS_PRCTL, []uintptr{unix.PR_GET_DUMPABLE}}, {"limits of another", unix.SYS_PRLIMIT64, []uintptr{1}},
		{"owner of a descriptor", unix.SYS_FCNTL, []uintptr{0, unix.F_SETOWN}}, {"another filter", unix.SYS_SECCOMP, []uintptr{minus}},
	} {
		all = append(all, attempt{c.name, eperm, call(c.nr, c.args...)})
	}
	return all
}

func fork() unix.Errno {
	pid, _, errno := unix.RawSyscall(unix.SYS_FORK, 0, 0, 0)
	if errno == 0 && pid == 0 {
		for {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	return errno
}

// tryAll tries each act and tells what came of it. The last one is a system call of another ABI, from which
// a process above None does not come back.
func tryAll(level Level) error {
	var acts []Act
	for _, a := range attempts(level) {
		errno := a.do()
		acts = append(acts, Act{a.name, slices.Contains(a.refusal, errno), how(errno)})
	}
	if err := say(said{Acts: acts}, nil); err != nil {
		return err
	}
	_ = int80(20) // getpid of i386
	return say(said{Acts: []Act{{Name: "system call of i386", How: "done"}}}, nil)
}

func how(errno unix.Errno) string {
	if errno == 0 {
		return "done"
	}
	return unix.ErrnoName(errno)
}
