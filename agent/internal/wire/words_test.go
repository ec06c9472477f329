package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A technician reads what became of a connection in words of the trade, without our own address and port in them.
func TestABrokenConnectionIsToldInWords(t *testing.T) {
	of := func(no syscall.Errno) error {
		return &net.OpError{Op: "read", Net: "udp", Addr: &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 43008}, Err: os.NewSyscallError("read", no)}
	}
	for want, err := range map[string]error{
		"nothing listens on its port (connection refused)":                       of(unix.ECONNREFUSED),
		"the device reset the connection":                                        of(unix.ECONNRESET),
		"the network has no way to it, or it is switched off (no route to host)": of(unix.EHOSTUNREACH),
		"the network has no way to it (network is unreachable)":                  of(unix.ENETUNREACH),
		"the device closed the connection":                                       fmt.Errorf("read: %w", io.EOF),
		"the device closed the connection in the middle of a message":            io.ErrUnexpectedEOF,
		"something of its own":                                                   errors.New("something of its own"),
	} {
		if got := broken(err); got != want {
			t.Errorf("%v: %q", err, got)
		}
	}
}
