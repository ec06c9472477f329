package confine

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// verdict runs the filter on one call in the interpreter of x/net/bpf, whose words are big-endian.
func verdict(t *testing.T, arch, nr uint32, args ...uint64) uint32 {
	t.Helper()
	raw, err := program(7)
	if err != nil {
		t.Fatal(err)
	}
	prog, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the filter has an instruction that the interpreter does not know")
	}
	vm, err := bpf.NewVM(prog)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[offCall:], nr)
	binary.BigEndian.PutUint32(data[offArch:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[offArgs+8*i:], uint32(a))
		binary.BigEndian.PutUint32(data[offArgs+8*i+4:], uint32(a>>32))
	}
	n, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

func TestTheFilterLetsPassWhatIsListedAndNothingElse(t *testing.T) {
	const refused, missing = retErrno | uint32(unix.EPERM), retErrno | uint32(unix.ENOSYS)
	listed := always()
	for nr := range uint32(1024) {
		want := uint32(refused)
		switch {
		case slices.Contains(listed, nr):
			want = retAllow
		case nr == unix.SYS_CLONE3:
			want = missing
		}
		const ones = 1<<64 - 1 // arguments that no condition takes
		if got := verdict(t, unix.AUDIT_ARCH_X86_64, nr, ones, ones, ones, ones, ones, ones); got != want {
			t.Errorf("call %d: %x, want %x", nr, got, want)
		}
	}
	for _, nr := range []uint32{0, 20, 59, 102, 358, x32, x32 | 41, 1<<32 - 1} {
		if got := verdict(t, unix.AUDIT_ARCH_I386, nr); got != retKill {
			t.Errorf("i386 call %d: %x", nr, got)
		}
		if got := verdict(t, unix.AUDIT_ARCH_X86_64, nr); nr >= x32 && got != retKill {
			t.Errorf("x32 call %x: %x", nr, got)
		}
	}
}

func TestTheFilterLooksAtArguments(t *testing.T) {
	const threads = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD // Go's
	for _, c := range []struct {
		name string
		nr   uint32
		pass bool
		args []uint64
	}{
		{"thread", unix.SYS_CLONE, true, []uint64{threads}},
		{"process", unix.SYS_CLONE, false, []uint64{uint64(unix.SIGCHLD)}},
		{"process in shared memory", unix.SYS_CLONE, false, []uint64{unix.CLONE_VM | unix.CLONE_VFORK}},
		{"thread in a new namespace", unix.SYS_CLONE, false, []uint64{threads | unix.CLONE_NEWUSER}},
		{"execveat as the shim does", unix.SYS_EXECVEAT, true, []uint64{imageFD, 1, 1, 1, unix.AT_EMPTY_PATH}},
		{"execveat by another descriptor", unix.SYS_EXECVEAT, false, []uint64{imageFD - 1, 1, 1, 1, unix.AT_EMPTY_PATH}},
		{"execveat by path", unix.SYS_EXECVEAT, false, []uint64{imageFD, 1, 1, 1, 0}},
		{"unix stream socket", unix.SYS_SOCKET, true, []uint64{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK, 0}},
		{"unix datagram socket", unix.SYS_SOCKET, false, []uint64{unix.AF_UNIX, unix.SOCK_DGRAM, 0}},
		{"unix socket with bits that the kernel cuts off", unix.SYS_SOCKET, false, []uint64{1<<32 | unix.AF_UNIX, unix.SOCK_STREAM, 0}},
		{"internet socket", unix.SYS_SOCKET, false, []uint64{unix.AF_INET, unix.SOCK_STREAM, 0}},
		{"internet socket with bits of unix", unix.SYS_SOCKET, false, []uint64{unix.AF_UNIX<<32 | unix.AF_INET, unix.SOCK_STREAM, 0}},
		{"send to the peer", unix.SYS_SENDTO, true, []uint64{3, 1, 1, 0, 0, 0}},
		{"send to an address", unix.SYS_SENDTO, false, []uint64{3, 1, 1, 0, 0x7fff00000000, 16}},
		{"signal to itself", unix.SYS_TGKILL, true, []uint64{7, 9, 23}},
		{"signal to another", unix.SYS_TGKILL, false, []uint64{8, 9, 23}},
		{"signal to all", unix.SYS_KILL, false, []uint64{1<<64 - 1, 9}},
		{"private memory", unix.SYS_MMAP, true, []uint64{0, 4096, 3, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS}},
		{"shared memory", unix.SYS_MMAP, false, []uint64{0, 4096, 3, unix.MAP_SHARED | unix.MAP_ANONYMOUS}},
		{"memory that grows", unix.SYS_MMAP, false, []uint64{0, 4096, 3, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_GROWSDOWN}},
		{"own limits", unix.SYS_PRLIMIT64, true, []uint64{0, 7}},
		{"limits of the agent", unix.SYS_PRLIMIT64, false, []uint64{4711, 7}},
		{"name of a thread", unix.SYS_PRCTL, true, []uint64{unix.PR_SET_NAME}},
		{"outlive the agent", unix.SYS_PRCTL, false, []uint64{unix.PR_SET_PDEATHSIG}},
		{"non-blocking", unix.SYS_FCNTL, true, []uint64{3, unix.F_SETFL}},
		{"owner of a descriptor", unix.SYS_FCNTL, false, []uint64{3, unix.F_SETOWN}},
		{"larger pipe", unix.SYS_FCNTL, false, []uint64{3, unix.F_SETPIPE_SZ}},
		{"type into a terminal", unix.SYS_IOCTL, false, []uint64{0, unix.TIOCSTI}},
		{"filter on a socket", unix.SYS_SETSOCKOPT, false, []uint64{3, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER}},
		{"connect", unix.SYS_CONNECT, false, []uint64{3, 1, 110}},
	} {
		if got := verdict(t, unix.AUDIT_ARCH_X86_64, c.nr, c.args...); (got == retAllow) != c.pass {
			t.Errorf("%s: %x", c.name, got)
		}
	}
}
