package lab

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// owed is how long a visitor may wait for an answer that the device owes: a
// little more than the longest cap of D5 and H11.
const owed = 20 * time.Second

// language is what may be said on one TCP connection, and what is answered.
// It holds the state of that connection and touches no socket.
type language interface {
	// take says how many octets of buf are the next message; 0 means that
	// more have to come. A breach means that no message can be found.
	take(buf []byte) (n int, wrong *breach)
	// judge reads one whole message.
	judge(message []byte) verdict
	// sent says that the answer has left completely.
	sent()
	// owes says that the device has the turn.
	owes() bool
	// partial is the breach of a message broken off.
	partial() *breach
	// left is the breach of a visitor who hangs up or says nothing more now.
	left() *breach
}

// verdict is what a language finds in one message.
type verdict struct {
	wrong   *breach // outside the language
	history *breach // in the language, but said before
	reply   []byte
	closing bool // only ends a conversation
	early   bool // releases before the question
	final   bool // the device hangs up after its reply, or at once
}

// chunk is what one read brought.
type chunk struct {
	at     time.Time
	octets []byte
	err    error
}

// call is one TCP connection to a device.
type call struct {
	j       *judge
	v       *visit
	conn    net.Conn
	lang    language
	buf     []byte
	reads   int
	count   int
	reply   []byte        // not yet written
	pace    time.Duration // between pieces of reply; 0: all at once
	after   *time.Timer   // fires when the next piece is due
	final   bool
	shut    bool // our FIN is sent
	eof     bool
	settled bool // the end of this call has been judged already
	dropped bool // we reset the connection ourselves
	gone    bool // no longer counted as open
}

// serve runs the call until it is over and closes the connection.
func (c *call) serve(ctx context.Context) {
	chunks, stop := make(chan chunk), make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() { readAll(c.conn, chunks, stop) })
	defer reader.Wait()
	defer c.leave()
	defer c.conn.Close()
	defer close(stop)

	c.after = time.NewTimer(time.Hour)
	c.after.Stop()
	turn := time.NewTimer(c.j.cfg.Idle)
	defer turn.Stop()
	broken := c.j.broken
	for {
		select {
		case <-ctx.Done():
			return
		case <-broken:
			// A broken device closes what is open and says nothing more.
			broken = nil
			c.reply = nil
			c.hangUp()
			turn.Reset(c.j.cfg.Idle)
		case <-c.after.C:
			if c.speak() {
				turn.Reset(c.j.cfg.Idle)
			}
		case <-turn.C:
			c.tooLong(time.Now())
			return
		case in, more := <-chunks:
			if !more {
				chunks = nil
				continue
			}
			if len(in.octets) > 0 && c.hear(in) {
				turn.Reset(c.limit())
			}
			if in.err == nil {
				break
			}
			reset := !errors.Is(in.err, io.EOF)
			c.hungUp(in.at, reset)
			if reset {
				return
			}
			c.eof = true
			turn.Reset(owed)
		}
		if c.dropped {
			return
		}
		if c.final && len(c.reply) == 0 {
			c.hangUp()
		}
		if c.eof && len(c.reply) == 0 {
			// Before our FIN: a visitor who has it may come again.
			c.leave()
			c.hangUp()
			if c.lateReset() {
				c.v.note(time.Now(), &breach{CodeReset, "after its end of the connection was closed"})
			}
			return
		}
	}
}

// leave says once that this connection is no longer open.
func (c *call) leave() {
	if !c.gone {
		c.gone = true
		c.v.over()
	}
}

func (c *call) limit() time.Duration {
	if c.lang.owes() {
		return owed
	}
	return c.j.cfg.Idle
}

// hear judges what arrived; it reports whether a whole message was in it.
func (c *call) hear(in chunk) (whole bool) {
	c.buf = append(c.buf, in.octets...)
	c.reads++
	for first := true; len(c.buf) > 0; first = false {
		n, wrong := c.lang.take(c.buf)
		if n == 0 && wrong == nil {
			return whole
		}
		if wrong != nil {
			n = len(c.buf)
		}
		message := c.buf[:n]
		c.buf = c.buf[n:]
		found := verdict{wrong: wrong}
		if wrong == nil {
			found = c.lang.judge(message)
		}
		if !first && found.wrong == nil && !found.closing {
			// DICOM and the serial line have a second message, and each waits for an answer.
			found.wrong = &breach{c.early(), "sent before the device had answered"}
		}
		c.v.message(in.at, message, c.reads, found.wrong, found.history, found.closing)
		if found.early {
			c.v.earlyRelease()
		}
		c.reads = 1
		c.count++
		whole = true
		c.answer(found)
	}
	c.buf, c.reads = nil, 0
	return whole
}

// early is the rule that forbids a message before the answer.
func (c *call) early() Code {
	if c.v.service == "serial" {
		return CodeSerialOrder
	}
	return CodeDICOMOrder
}

// answer starts the reply to a message, or what this device does instead.
func (c *call) answer(found verdict) {
	b := c.j.cfg.Behaviour
	if b.ResetAfter > 0 && c.count >= b.ResetAfter {
		if tcp, ok := c.conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // the fault that was asked for
		}
		c.settled, c.dropped = true, true
		_ = c.conn.Close()
		return
	}
	c.final = c.final || found.final
	c.reply = nil
	silent := b.Silent || b.SilentAfter > 0 && c.j.answers() >= b.SilentAfter
	if found.wrong != nil || len(found.reply) == 0 || c.shut || silent || c.j.isBroken() {
		return
	}
	c.reply = found.reply
	if b.Malformed {
		c.reply[0] ^= 0x55
	}
	c.pace = b.SlowByte
	c.j.answered(time.Now(), c.v.service, c.reply)
	if b.Delay > 0 || c.pace > 0 {
		c.after.Reset(b.Delay + c.pace)
		return
	}
	c.speak()
}

// speak writes the next piece of the reply; it reports whether that was all.
func (c *call) speak() (all bool) {
	if len(c.reply) == 0 {
		return false
	}
	n := len(c.reply)
	if c.pace > 0 {
		n = 1
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(DefaultIdle))
	if _, err := c.conn.Write(c.reply[:n]); err != nil {
		// The reader tells why; a reply that cannot be delivered is over.
		c.reply = nil
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
			c.hungUp(time.Now(), true)
		}
		return true
	}
	c.reply = c.reply[n:]
	if len(c.reply) > 0 {
		c.after.Reset(c.pace)
		return false
	}
	c.lang.sent()
	return true
}

// hangUp sends our FIN and goes on listening.
func (c *call) hangUp() {
	if c.shut {
		return
	}
	c.shut = true
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// hungUp judges how the visitor ended the connection.
func (c *call) hungUp(at time.Time, reset bool) {
	if c.settled {
		if reset && c.eof {
			c.v.note(at, &breach{CodeReset, "after its end of the connection was closed"})
		}
		return
	}
	c.settled = true
	if len(c.buf) > 0 {
		c.v.message(at, c.buf, c.reads, c.lang.partial(), nil, false)
		c.buf = nil
	}
	var left *breach
	// Nobody can take leave of a device that has hung up or broken.
	if !c.shut && !reset && !c.j.isBroken() {
		left = c.lang.left()
	}
	c.v.hungUp(at, reset, left)
}

// tooLong judges a visitor who neither spoke nor hung up in time.
func (c *call) tooLong(at time.Time) {
	if c.settled || c.v.forbidden || c.j.isBroken() {
		return
	}
	c.settled = true
	if len(c.buf) > 0 {
		c.v.message(at, c.buf, c.reads, c.lang.partial(), nil, false)
		return
	}
	b := c.lang.left()
	if b == nil {
		b = &breach{CodeHeld, "over " + c.limit().String()}
	}
	c.v.note(at, b)
}

// lateReset looks for a reset that came after the visitor's FIN, which no
// read can see: it happens when a visitor closes a socket for good while the
// device still has something to say (G5).
func (c *call) lateReset() bool {
	tcp, ok := c.conn.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	var pending int
	err = raw.Control(func(fd uintptr) {
		pending, _ = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
	})
	return err == nil && (syscall.Errno(pending) == syscall.EPIPE || syscall.Errno(pending) == syscall.ECONNRESET)
}
