package agent

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const inside = "PRIMUM_TEST_NAMESPACE"

// TestMain runs the tests of this package in a network namespace of their own, which has
// nothing but loopback: no packet of a test can leave it, tcpdump works without root, and servers that
// open more ports than they are told meet nobody.
func TestMain(m *testing.M) {
	if path := os.Getenv(victim); path != "" {
		fmt.Fprintln(os.Stderr, live(path))
		os.Exit(1)
	}
	if os.Getenv(inside) != "" {
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "bring up loopback: %v: %s\n", err, out)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	os.Exit(reexec())
}

func reexec() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
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
