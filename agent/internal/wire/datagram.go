package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// datagrams is a connected socket, which takes what comes from the one address and port, and a second one on the same
// port of ours that takes all else. Nobody reads that one: without it the kernel would tell a device that answers from
// another port or address that nobody is there (G6, H-043).
type datagrams struct {
	*net.UDPConn
	strays net.PacketConn
}

// hushed puts the second socket beside a connected one that has sent nothing yet. After an error both are closed.
func hushed(conn *net.UDPConn) (*datagrams, error) {
	raw, err := conn.SyscallConn()
	if err == nil {
		err = shared(raw) // only now: a port that the kernel chose is nobody else's
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("share the port with what comes from elsewhere: %w", err), conn.Close())
	}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error { return shared(raw) }}
	strays, err := lc.ListenPacket(context.Background(), "udp", conn.LocalAddr().String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for what comes from elsewhere: %w", err), conn.Close())
	}
	return &datagrams{conn, strays}, nil
}

func shared(raw syscall.RawConn) error {
	var setErr error
	err := raw.Control(func(fd uintptr) {
		setErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	})
	return errors.Join(err, setErr)
}

// Close closes both, the one for strays last.
func (d *datagrams) Close() error { return errors.Join(d.UDPConn.Close(), d.strays.Close()) }
