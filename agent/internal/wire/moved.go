package wire

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"

	list "primum/safetylists"
)

// elsewhere looks, after an exchange that failed, or one of datagrams, whether the address is another device's by now:
// then nothing of what was heard is the device's doing, and nothing of it is kept. A connection that goes on is with
// whom it began.
func (c *Conversation) elsewhere(err error) error {
	switch {
	case c.conn == nil, err == nil && c.ticket.Task().Query().Kind().Transport() != "udp":
		return nil
	}
	switch c.s.End {
	case Running, Complete, TimedOut, ClosedByDevice, BadReply:
		if r := c.ticket.Moved(c.d.now()); r != nil {
			return c.moved(r)
		}
	}
	return nil
}

// moved ends a conversation whose device has no longer its address. No release, no abort and no FIN follows: they would
// go to the newcomer, who knows of no connection (H-044).
func (c *Conversation) moved(r *list.Refusal) error {
	c.hush = true
	c.s.Credential, c.s.NewEngine, c.s.Refused, c.s.Replies = false, false, false, 0
	return c.halt(r)
}

// silence keeps a connection off the network: its packets go by loopback from here on, where nobody is that they are for.
// The kernel would else repeat what was not acknowledged, and say FIN at the end.
func silence(conn net.Conn) error {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil // a datagram is never repeated
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var setErr error
	err = raw.Control(func(fd uintptr) {
		setErr = unix.SetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "lo")
	})
	return errors.Join(err, setErr)
}
