package lab

import (
	"errors"
	"net"
	"time"
)

// readAll hands over what a connection brings, each piece with its time,
// until the connection ends or stop is closed.
func readAll(conn net.Conn, chunks chan<- chunk, stop <-chan struct{}) {
	defer close(chunks)
	for {
		buf := make([]byte, 4096)
		n, err := conn.Read(buf)
		in := chunk{at: time.Now(), octets: buf[:n], err: err}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		select {
		case chunks <- in:
		case <-stop:
			return
		}
		if err != nil {
			return
		}
	}
}
