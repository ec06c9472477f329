// Package namespace runs the tests of a package in a network namespace of their own, which has nothing
// but loopback: no packet of a test can leave it, tcpdump works without root, and servers that open more
// ports than they are told meet nobody. It is for TestMain and nothing else.
package namespace

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

const mark = "PRIMUM_TEST_NAMESPACE"

// Word is what the outer process gave to Again; ok is false in the outer process itself.
func Word() (word string, ok bool) { return os.LookupEnv(mark) }

// Up brings loopback up; the inner process calls it first.
func Up() error {
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("bring up loopback: %w: %s", err, out)
	}
	return nil
}

// Again runs this program once more, in a new namespace and with a word for it, and returns its exit code.
func Again(word string) int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), mark+"="+word)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		// Without root the network namespace needs a user namespace. The user stays who it is there, for
		// tcpdump as root gives its rights up in a way that such a namespace does not allow.
		attr := cmd.SysProcAttr
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
		attr.AmbientCaps = []uintptr{unix.CAP_NET_ADMIN, unix.CAP_NET_RAW}
	}
	err := cmd.Run()
	if err == nil {
		return 0
	}
	if cmd.ProcessState != nil {
		return max(cmd.ProcessState.ExitCode(), 1)
	}
	fmt.Fprintln(os.Stderr, "make a network namespace for the tests:", err)
	return 1
}
