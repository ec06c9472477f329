package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrAddress says that the plugin named an address that is not a socket of its own. Nothing was
// dialled.
var ErrAddress = errors.New("plugin names an address that is not its own socket")

// ownSocket is the only gate on what a plugin can make the agent dial (B5, H-005). The directory the
// plugin names does not count, only the last part, looked for in its own directory.
func ownSocket(dir, network, address string) (string, error) {
	if network != "unix" {
		return "", fmt.Errorf("%w: network %q", ErrAddress, short(network))
	}
	path := filepath.Join(dir, filepath.Base(address))
	st, err := os.Lstat(path)
	if err != nil {
		return "", fmt.Errorf("%w: no such socket in its directory", ErrAddress)
	}
	if st.Mode().Type() != fs.ModeSocket {
		return "", fmt.Errorf("%w: what lies there is no socket", ErrAddress)
	}
	return path, nil
}

// dial connects to the socket and asks the kernel who listens, before a single octet is written.
func dial(ctx context.Context, path string, pid int) (net.Conn, error) {
	// The file found is the file dialled: held by descriptor, a link put in its place in between
	// leads nowhere.
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open plugin socket: %w", err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("look at plugin socket: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return nil, fmt.Errorf("%w: what lies there is no socket", ErrAddress)
	}
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
	if int(cred.Pid) != pid {
		return fmt.Errorf("%w: process %d listens, not the plugin's %d", ErrAddress, cred.Pid, pid)
	}
	return nil
}

// short keeps a plugin's word in an error small; %q keeps it harmless.
func short(s string) string { return s[:min(len(s), 64)] }
