package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"primum/plugins/sandbox/confine"
)

// ErrAddress says that the plugin named an address that is not a socket of its own. Nothing was
// dialled.
var ErrAddress = errors.New("plugin names an address that is not its own socket")

// ownSocket is the only gate on what a plugin can make the agent dial (B5, H-005). The directory the
// plugin names does not count, only the last part, looked for in its own directory.
func ownSocket(place *confine.Place, network, address string) (string, error) {
	if network != "unix" {
		return "", fmt.Errorf("%w: network %q", ErrAddress, short(network))
	}
	fd, err := openSocket(place, filepath.Base(address))
	if err != nil {
		return "", err
	}
	return filepath.Base(address), unix.Close(fd)
}

// openSocket holds a socket in the plugin's directory by descriptor. The file found is the file dialled: a
// link put in its place in between leads nowhere.
func openSocket(place *confine.Place, name string) (int, error) {
	if place == nil {
		return -1, fmt.Errorf("%w: it has no directory", ErrAddress)
	}
	fd, err := unix.Openat(int(place.Dir.Fd()), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("%w: no such socket in its directory", ErrAddress)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("%w: what lies there is no socket", ErrAddress)
	}
	return fd, nil
}

// dial connects to the socket and asks the kernel who listens, before a single octet is written.
func dial(ctx context.Context, place *confine.Place, name string, pid int) (net.Conn, error) {
	fd, err := openSocket(place, name)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", "/proc/self/fd/"+strconv.Itoa(fd))
	if err != nil {
		return nil, fmt.Errorf("dial plugin socket: %w", err)
	}
	if err := listenerIs(conn.(*net.UnixConn), pid); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// listenerIs checks by SO_PEERCRED that the process which listens is the one that was started.
func listenerIs(conn *net.UnixConn, pid int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("ask who listens: %w", err)
	}
	var cred *syscall.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err := errors.Join(err, credErr); err != nil {
		return fmt.Errorf("ask who listens: %w", err)
	}
	if cred.Uid != confine.User() {
		return fmt.Errorf("%w: user %d listens, not the plugin's %d", ErrAddress, cred.Uid, confine.User())
	}
	if int(cred.Pid) != pid {
		return fmt.Errorf("%w: process %d listens, not the plugin's %d", ErrAddress, cred.Pid, pid)
	}
	return nil
}

// short keeps a plugin's word in an error small; %q keeps it harmless.
func short(s string) string { return s[:min(len(s), 64)] }
