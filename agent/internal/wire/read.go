package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	list "primum/safetylists"
	"primum/safetylists/frame"
)

// glance is how long a reader looks once more for what its machine has already.
const glance = 20 * time.Millisecond

// lastLook reads once more when the time for a reply is over. An agent that its machine or its disk kept from running finds what had
// come in the meantime, and blames no device for its own delay (H-048). It waits for nothing: the reply was there, or comes too late.
type lastLook struct {
	net.Conn
	looked bool
}

func (l *lastLook) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	var timeout net.Error
	if n > 0 || l.looked || !errors.As(err, &timeout) || !timeout.Timeout() {
		return n, err
	}
	l.looked = true
	if l.Conn.SetReadDeadline(time.Now().Add(glance)) != nil {
		return n, err
	}
	return l.Conn.Read(b)
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
	var timeout net.Error
	if n > 0 && errors.As(err, &timeout) && timeout.Timeout() {
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
