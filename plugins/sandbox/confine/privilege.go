package confine

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// dropPrivileges leaves this thread without capabilities and without a way to get one.
func dropPrivileges() error {
	held, err := capabilities()
	if err != nil {
		return err
	}
	if held&(1<<unix.CAP_SETPCAP) != 0 {
		for c := uintptr(0); ; c++ {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); errors.Is(err, unix.EINVAL) {
				break // there are no more
			} else if err != nil {
				return fmt.Errorf("drop capability %d from the bounding set: %w", c, err)
			}
		}
		// NOROOT, NO_SETUID_FIXUP and NO_CAP_AMBIENT_RAISE with the locks of all four (capabilities(7)): user 0
		// is nobody special, and no ambient capability can be raised.
		const bits = 0xEF
		if err := unix.Prctl(unix.PR_SET_SECUREBITS, bits, 0, 0, 0); err != nil {
			return fmt.Errorf("lock secure bits: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear ambient capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var empty [2]unix.CapUserData
	if err := unix.Capset(&header, &empty[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	if held, err := capabilities(); err != nil || held != 0 {
		return fmt.Errorf("capabilities %x are left: %w", held, errors.Join(err, ErrConfine))
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	return nil
}

// capabilities are those that this thread has or could take.
func capabilities() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("read capabilities: %w", err)
	}
	low := data[0].Effective | data[0].Permitted | data[0].Inheritable
	high := data[1].Effective | data[1].Permitted | data[1].Inheritable
	return uint64(high)<<32 | uint64(low), nil
}

// Limits of a plugin. A Go plugin uses 6 MiB of its own memory and seven threads.
const (
	maxData    = 256 << 20 // private memory that can be written
	maxSpace   = 8 << 30   // addresses: Go reserves far more than it uses, but page tables are memory too
	maxFiles   = 64        // descriptors
	maxThreads = 32        // in a user namespace of its own, where the kernel counts them alone
	niceness   = 5         // a plugin that spins leaves the agent its time
)

// limit sets the limits. threads is 0 where the number of tasks cannot be limited for this process alone.
func limit(threads uint64) error {
	limits := []struct {
		which int
		most  uint64
	}{
		{unix.RLIMIT_CORE, 1}, // not 0: a dump that goes to a program is not kept by 0, and is by 1 (core(5)); it could hold what a device said (H-025)
		{unix.RLIMIT_FSIZE, 0},
		{unix.RLIMIT_MEMLOCK, 0},
		{unix.RLIMIT_MSGQUEUE, 0},
		{unix.RLIMIT_NOFILE, maxFiles},
		{unix.RLIMIT_NPROC, threads},
		{unix.RLIMIT_AS, maxSpace},
		{unix.RLIMIT_DATA, maxData},
	}
	if err := yieldTime(); err != nil {
		return err
	}
	for _, l := range limits {
		if l.which == unix.RLIMIT_NPROC && l.most == 0 {
			continue
		}
		if err := unix.Prlimit(0, l.which, &unix.Rlimit{Cur: l.most, Max: l.most}, nil); err != nil {
			return fmt.Errorf("limit %d: %w", l.which, err)
		}
	}
	return nil
}

// yieldTime makes a plugin give way to the agent. An agent that was started nicer than that has plugins as nice as it
// is: the kernel lets nobody become less so.
func yieldTime() error {
	kept, _, errno := unix.RawSyscall(unix.SYS_GETPRIORITY, unix.PRIO_PROCESS, 0, 0)
	if errno != 0 {
		return fmt.Errorf("read niceness: %w", errno)
	}
	if 20-int(kept) >= niceness { // the call returns 20 less the niceness (getpriority(2))
		return nil
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, niceness); errno != 0 {
		return fmt.Errorf("set niceness: %w", errno)
	}
	return nil
}
