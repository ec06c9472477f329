package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	list "primum/safetylists"
	"primum/safetylists/frame"
)

// glance is how long a reader looks for what its machine has already.
const glance = 20 * time.Millisecond

// lastLook reads once more when the time for a reply is over. An agent that its machine or its disk kept from running finds what had
// come in the meantime, and blames no device for its own delay (H-048). It waits for nothing: the reply was there, or comes too late.
// After a delay of the agent it looks once before it waits, so that it is known what had come by then.
type lastLook struct {
	net.Conn
	ctx    context.Context // its end breaks the wait off, whatever deadline is set here
	until  time.Time       // of the wait after a delay of the agent; zero: there was none
	there  bool            // the reply had begun to come when the agent was ready for it
	looked bool
	came   []byte // all that was read; what reads it bounds it
}

func (l *lastLook) Read(b []byte) (int, error) {
	n, err := l.read(b)
	l.came = append(l.came, b[:n]...)
	return n, err
}

func (l *lastLook) read(b []byte) (int, error) {
	if until := l.until; !until.IsZero() {
		l.until = time.Time{}
		n, err := l.by(b, time.Now().Add(glance))
		l.there = n > 0
		if !time.Now().Before(until) { // what is there may have a second part
			return n, err
		}
		if setErr := l.set(until); setErr != nil {
			return n, setErr
		}
		if l.there || !late(err) {
			return n, err
		}
	}
	n, err := l.Conn.Read(b)
	if n > 0 || l.looked || !late(err) {
		return n, err
	}
	l.looked = true
	return l.by(b, time.Now().Add(glance))
}

func (l *lastLook) by(b []byte, until time.Time) (int, error) {
	if err := l.set(until); err != nil {
		return 0, err
	}
	return l.Conn.Read(b)
}

// set sets the deadline. What breaks a wait off sets one in the past when ctx ends, and must not be undone (H-035): it runs after ctx has
// ended, so that looking afterwards misses none.
func (l *lastLook) set(until time.Time) error {
	err := l.Conn.SetReadDeadline(until)
	if err == nil && l.ctx.Err() != nil && until.After(time.Now().Add(glance)) {
		err = l.Conn.SetReadDeadline(time.Unix(1, 0))
	}
	return err
}

func late(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// readDatagram reads one datagram of at most 1472 octets (S9). A longer one is malformed.
func readDatagram(conn net.Conn) ([]byte, error) {
	buf := make([]byte, frame.MaxDatagramIn+1)
	n, err := conn.Read(buf)
	if err != nil {
		return nil, err
	}
	if n > frame.MaxDatagramIn {
		return nil, fmt.Errorf("datagram of more than %d octets: %w", frame.MaxDatagramIn, frame.ErrReply)
	}
	return buf[:n], nil
}

// readPDU reads one whole PDU; its length is checked before its buffer is made (D8).
func readPDU(conn net.Conn) ([]byte, error) {
	var header [6]byte
	if n, err := io.ReadFull(conn, header[:]); err != nil {
		return nil, half(n, err)
	}
	n, err := frame.PDULength(header)
	if err != nil {
		return nil, err
	}
	pdu := make([]byte, n)
	copy(pdu, header[:])
	if _, err := io.ReadFull(conn, pdu[len(header):]); err != nil {
		return nil, half(len(header), err)
	}
	return pdu, nil
}

// half makes of a timeout within a reply a malformed reply: a device that has begun to answer and does not
// come to an end is not one that is switched off.
func half(n int, err error) error {
	if n > 0 && late(err) {
		return fmt.Errorf("%d octets and no end in time: %w: %w", n, frame.ErrReply, err)
	}
	return err
}

// readReply reads one reply of a vendor's own protocol, as far as its rule says and no further.
func readReply(conn net.Conn, rule list.ReplyRule) ([]byte, error) {
	buf := make([]byte, 0, rule.Max+1)
	for {
		n, err := conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if end, frameErr := frame.ReplyEnd(rule, buf); frameErr != nil {
			return nil, frameErr
		} else if end > 0 {
			return buf[:end], nil
		}
		if err != nil {
			return nil, half(len(buf), err)
		}
	}
}

// readBlock reads one MLLP block of at most 4 KiB (H11).
func readBlock(conn net.Conn) ([]byte, error) {
	buf := make([]byte, 0, frame.MaxHL7In+1)
	for {
		n, err := conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if end, frameErr := frame.BlockEnd(buf); frameErr != nil {
			return nil, frameErr
		} else if end > 0 {
			return buf[:end], nil
		}
		if err != nil {
			return nil, half(len(buf), err)
		}
	}
}
