package firstlight

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// failingDisk marks the process that becomes a program whose fsync a test answers.
const failingDisk = "PRIMUM_TEST_FAILING_DISK"

// disk answers every fsync and fdatasync of one program: the kernel asks here first (seccomp_unotify(2)), and the program
// cannot tell it from a disk. It needs no privilege.
type disk struct {
	fails atomic.Bool
	asked atomic.Int64
	done  atomic.Bool
	fd    int
	loop  sync.WaitGroup
}

// become is what the marked process does: it takes the filter, hands its listener over, and becomes the program.
func become() error {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 4}, // architecture
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.AUDIT_ARCH_X86_64, Jf: 4},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FSYNC, Jt: 1},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FDATASYNC, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("take the filter: %w", errno)
	}
	if err := unix.Sendmsg(3, []byte{0}, unix.UnixRights(int(fd)), nil, 0); err != nil {
		return fmt.Errorf("hand the listener over: %w", err)
	}
	return syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
}

// onDisk makes the command of a program whose fsync the test answers, and what begins to answer once it is started.
func onDisk(t *testing.T, program string, args ...string) (cmd *exec.Cmd, answer func() *disk) {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Fatalf("the filter of this test is written for amd64, not %s", runtime.GOARCH)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "listener")
	cmd = exec.Command("/proc/self/exe", append([]string{program}, args...)...)
	cmd.Env = append(os.Environ(), failingDisk+"=1")
	cmd.ExtraFiles = []*os.File{theirs}
	return cmd, func() *disk {
		t.Helper()
		theirs.Close()
		oob := make([]byte, unix.CmsgSpace(4))
		tv := unix.Timeval{Sec: 10}
		_, n, _, _, err := unix.Recvmsg(pair[0], make([]byte, 1), oob, 0)
		if err := errors.Join(err, unix.SetsockoptTimeval(pair[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)); err != nil {
			t.Fatalf("the program did not take the filter: %v", err)
		}
		msgs, err := unix.ParseSocketControlMessage(oob[:n])
		if err != nil || len(msgs) != 1 {
			t.Fatalf("no listener came: %v", err)
		}
		fds, err := unix.ParseUnixRights(&msgs[0])
		if err != nil || len(fds) != 1 {
			t.Fatalf("no listener came: %v", err)
		}
		unix.Close(pair[0])
		d := &disk{fd: fds[0]}
		d.loop.Go(d.answer)
		t.Cleanup(func() {
			d.done.Store(true)
			d.loop.Wait()
			unix.Close(d.fd)
		})
		return d
	}
}

// answer answers until the program or the test has ended.
func (d *disk) answer() {
	type request struct {
		id         uint64
		pid, flags uint32
		data       [64]byte
	}
	type response struct {
		id    uint64
		value int64
		err   int32
		flags uint32
	}
	for !d.done.Load() {
		p := []unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, 100); err != nil && !errors.Is(err, unix.EINTR) || p[0].Revents&unix.POLLHUP != 0 {
			return
		}
		if p[0].Revents&unix.POLLIN == 0 {
			continue
		}
		var in request
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(d.fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&in))); errno != 0 {
			continue // who asked has ended meanwhile
		}
		d.asked.Add(1)
		out := response{id: in.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if d.fails.Load() {
			out = response{id: in.id, err: -int32(unix.EIO)}
		}
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(d.fd), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&out))) // as above
	}
}
