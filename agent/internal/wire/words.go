package wire

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// broken says in words what became of a connection. What the kernel says has our own address and port in it, and the name of a
// system call.
func broken(err error) string {
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return "nothing listens on its port (connection refused)"
	case errors.Is(err, unix.ECONNRESET):
		return "the device reset the connection"
	case errors.Is(err, unix.EHOSTUNREACH):
		return "the network has no way to it, or it is switched off (no route to host)"
	case errors.Is(err, unix.ENETUNREACH):
		return "the network has no way to it (network is unreachable)"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the device closed the connection in the middle of a message"
	case errors.Is(err, io.EOF):
		return "the device closed the connection"
	default:
		return err.Error()
	}
}
