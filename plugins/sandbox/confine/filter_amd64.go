package confine

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// program is the filter for a process of this number. Everything that is not listed is refused: all that
// opens a way out (connect, other socket families, io_uring, ptrace, bpf, keyctl, new namespaces, mounts,
// memory files, signals to others), and all that nobody has thought of.
func program(pid int) ([]bpf.RawInstruction, error) {
	self := uint32(pid)
	rules := []rule{
		// The one execveat: by this descriptor and no path (see imageFD).
		{unix.SYS_EXECVEAT, []condition{is(0, imageFD), is(4, unix.AT_EMPTY_PATH)}},
		// Threads, never processes, never new namespaces.
		{unix.SYS_CLONE, []condition{
			{0, unix.CLONE_VM | unix.CLONE_SIGHAND | unix.CLONE_THREAD, unix.CLONE_VM | unix.CLONE_SIGHAND | unix.CLONE_THREAD},
			without(0, unix.CLONE_NEWNS|unix.CLONE_NEWCGROUP|unix.CLONE_NEWUTS|unix.CLONE_NEWIPC|unix.CLONE_NEWUSER|unix.CLONE_NEWPID|unix.CLONE_NEWNET|unix.CLONE_NEWTIME|
				unix.CLONE_PTRACE|unix.CLONE_VFORK|unix.CLONE_PARENT)}},
		// Signals to itself.
		{unix.SYS_TGKILL, []condition{is(0, self)}},
		{unix.SYS_KILL, []condition{is(0, self)}},
		// Memory that the limits count: shared pages and growing stacks are not counted as data.
		{unix.SYS_MMAP, []condition{without(3, unix.MAP_SHARED|unix.MAP_GROWSDOWN|unix.MAP_HUGETLB|unix.MAP_LOCKED)}},
		// One kind of socket, which listens and accepts. Data goes to the peer it has, never to an address.
		{unix.SYS_SOCKET, []condition{is(0, unix.AF_UNIX), {1, ^uint32(unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK), unix.SOCK_STREAM}, is(2, 0)}},
		{unix.SYS_SENDTO, []condition{is(4, 0), is(5, 0)}},
		// Own limits: those of others of the same user would be in reach without namespaces.
		{unix.SYS_PRLIMIT64, []condition{is(0, 0)}},
		{unix.SYS_ARCH_PRCTL, []condition{is(0, 0x1002)}}, // ARCH_SET_FS
	}
	for _, option := range []uint32{unix.PR_SET_NAME, unix.PR_GET_NAME, unix.PR_SET_VMA} {
		rules = append(rules, rule{unix.SYS_PRCTL, []condition{is(0, option)}})
	}
	// Not F_SETOWN and F_SETSIG, which send signals, not F_SETPIPE_SZ, which takes memory.
	for _, command := range []uint32{unix.F_DUPFD, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL, unix.F_DUPFD_CLOEXEC} {
		rules = append(rules, rule{unix.SYS_FCNTL, []condition{is(1, command)}})
	}
	// FIONBIO, FIOCLEX, FIONREAD.
	for _, request := range []uint32{0x5421, 0x5451, 0x541b} {
		rules = append(rules, rule{unix.SYS_IOCTL, []condition{is(1, request)}})
	}
	for _, option := range []uint32{unix.SO_REUSEADDR, unix.SO_BROADCAST, unix.SO_SNDBUF, unix.SO_RCVBUF, unix.SO_KEEPALIVE} {
		rules = append(rules, rule{unix.SYS_SETSOCKOPT, []condition{is(1, unix.SOL_SOCKET), is(2, option)}})
	}
	for _, call := range always() {
		rules = append(rules, rule{call, nil})
	}
	// clone3 is missing rather than refused, so that a C library takes clone.
	return assemble(unix.AUDIT_ARCH_X86_64, rules, []uint32{unix.SYS_CLONE3})
}

// always are calls that act on the own process, on descriptors that it has, and on the directory that it
// has, where the file system and Landlock decide.
func always() []uint32 {
	return []uint32{
		unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_PREAD64, unix.SYS_PWRITE64, unix.SYS_LSEEK,
		unix.SYS_CLOSE, unix.SYS_DUP, unix.SYS_DUP2, unix.SYS_DUP3, unix.SYS_PIPE, unix.SYS_PIPE2, unix.SYS_EVENTFD2,
		unix.SYS_POLL, unix.SYS_PPOLL, unix.SYS_SELECT, unix.SYS_PSELECT6,
		unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_WAIT, unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_PWAIT2,
		unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_ACCEPT4, unix.SYS_SHUTDOWN, unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME,
		unix.SYS_GETSOCKOPT, unix.SYS_RECVFROM, unix.SYS_RECVMSG, unix.SYS_SENDMSG,
		unix.SYS_OPEN, unix.SYS_OPENAT, unix.SYS_UNLINK, unix.SYS_UNLINKAT, unix.SYS_GETCWD, unix.SYS_GETDENTS64,
		unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_FSTAT, unix.SYS_NEWFSTATAT, unix.SYS_STATX, unix.SYS_ACCESS, unix.SYS_FACCESSAT, unix.SYS_READLINK, unix.SYS_READLINKAT,
		unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_MREMAP, unix.SYS_MADVISE, unix.SYS_MINCORE, unix.SYS_BRK,
		unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_RT_SIGTIMEDWAIT, unix.SYS_SIGALTSTACK, unix.SYS_RESTART_SYSCALL, unix.SYS_PAUSE,
		unix.SYS_FUTEX, unix.SYS_SET_ROBUST_LIST, unix.SYS_SET_TID_ADDRESS, unix.SYS_RSEQ, unix.SYS_MEMBARRIER,
		unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_GETCPU,
		unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_GETRES, unix.SYS_GETTIMEOFDAY, unix.SYS_TIME,
		unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_GETPPID, unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID, unix.SYS_GETGROUPS,
		unix.SYS_GETRANDOM, unix.SYS_UNAME, unix.SYS_SYSINFO, unix.SYS_GETRUSAGE, unix.SYS_GETRLIMIT,
		unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
	}
}
