package wire

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"primum/agent/internal/guard"
	"primum/agent/internal/secret"
	list "primum/safetylists"
	"primum/safetylists/frame"
)

// Dialer opens conversations, and owns what lingers after them: sockets that wait for late replies,
// and connections whose device has not said FIN yet. The zero value is ready to use.
type Dialer struct {
	// Now is the wall clock. Defaults to time.Now.
	Now func() time.Time

	mu      sync.Mutex
	lingers map[net.Conn]bool // guarded by mu
	wg      sync.WaitGroup
}

// Times after a conversation (G5, G6, DESIGN 6.14).
const (
	lateUDP   = 30 * time.Second // after a timeout: a late reply must not meet a closed port
	afterUDP  = 2 * time.Second  // after an answer: a repeated reply must not either
	drainTCP  = 30 * time.Second
	beforeFIN = 50 * time.Millisecond // a busy machine took more than 10 twice in ten thousand closes
	maxDrain  = 64 << 10
)

func (d *Dialer) now() time.Time {
	if d.Now != nil {
		return d.Now()
	}
	return time.Now()
}

// Open makes the conversation of a ticket. Nothing is sent and nothing is dialled before the first
// Exchange. The credential is used for SNMP alone, nil otherwise, and is overwritten by Close.
func (d *Dialer) Open(t *guard.Ticket, credential *secret.Credential, rec Recorder) (*Conversation, error) {
	var r [12]byte
	if _, err := rand.Read(r[:]); err != nil {
		return nil, fmt.Errorf("open conversation: %w", err)
	}
	n := frame.Nonce{RequestID: binary.BigEndian.Uint32(r[:])&0x7fffffff | 1, MessageID: 1,
		ControlID: fmt.Sprintf("SP%s", strings.ToUpper(fmt.Sprintf("%x", r[4:12]))), Time: d.now().UTC().Truncate(time.Second)}
	deadline := d.now().Add(t.Limits().Cap)
	if deadline.After(t.Task().Closes()) {
		deadline = t.Task().Closes()
	}
	if credential == nil {
		credential = &secret.Credential{}
	}
	return &Conversation{d: d, ticket: t, nonce: n, credential: credential, rec: rec, deadline: deadline}, nil
}

// dial makes the one attempt to reach the one address.
func (c *Conversation) dial(ctx context.Context) error {
	task := c.ticket.Task()
	transport := task.Query().Kind().Transport()
	nd := net.Dialer{KeepAlive: -1, Control: quiet} // G4: no keepalive
	nd.SetMultipathTCP(false)
	if transport == "tcp" {
		nd.Deadline = c.d.now().Add(c.ticket.Limits().Connect) // G3
	}
	if nd.Deadline.IsZero() || nd.Deadline.After(c.deadline) && !takenOut(controlEnd) {
		nd.Deadline = c.deadline
	}
	if c.ticket.Bound() {
		from, r := c.permitted()
		if r != nil {
			return c.halt(r)
		}
		nd.LocalAddr = from // what was held against the allowance is what is used
	}
	c.s.Asked = c.d.now()
	conn, err := nd.DialContext(ctx, transport, task.Address().String())
	if err == nil && takenOut(controlSecond) && transport == "tcp" {
		second, secondErr := nd.DialContext(ctx, transport, task.Address().String())
		if secondErr == nil {
			c.d.leave(second, drainTCP)
		}
	}
	if err != nil {
		c.s.Last = c.d.now()
		var refused syscall.Errno
		if errors.As(err, &refused) && refused != unix.ECONNREFUSED && refused != unix.ETIMEDOUT && refused != unix.ECONNRESET && refused != unix.EHOSTUNREACH {
			return c.end(Local, err.Error())
		}
		return c.failed(err)
	}
	if udp, ok := conn.(*net.UDPConn); ok {
		if conn, err = hushed(udp); err != nil {
			return c.end(Local, err.Error())
		}
	}
	c.conn, c.s.Connected = conn, true
	// Only now has the kernel heard which network card has the address. Whoever took the connection gets its FIN.
	if r := c.ticket.Moved(c.d.now()); r != nil && transport == "tcp" {
		return c.halt(r)
	}
	if pin := task.Query().Spec().TLSPin; pin != "" {
		return c.secure(ctx, pin)
	}
	return nil
}

// permitted holds the address that the kernel would ask from against those that the allowance names, and
// returns it for the dial. A datagram socket that is connected and not written to sends nothing.
func (c *Conversation) permitted() (net.Addr, *list.Refusal) {
	task := c.ticket.Task()
	probe, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(task.Address()))
	if err != nil {
		return nil, list.Refuse(list.SourceNotPermitted, "there is no way to the device: "+err.Error())
	}
	defer probe.Close()
	local, ok := probe.LocalAddr().(*net.UDPAddr)
	if !ok {
		return nil, list.Refuse(list.SourceNotPermitted, "our own address is not known")
	}
	from := local.AddrPort().Addr().Unmap()
	if r := c.ticket.From(from); r != nil {
		return nil, r
	}
	if task.Query().Kind().Transport() == "tcp" {
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), nil
	}
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), nil
}

// quiet sets what must be set before the first packet: no fragments (G6).
func quiet(network, _ string, raw syscall.RawConn) error {
	if !strings.HasPrefix(network, "udp") {
		return nil
	}
	var setErr error
	err := raw.Control(func(fd uintptr) {
		setErr = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
	})
	return errors.Join(err, setErr)
}

// Close ends the conversation on the wire: an abort where an association is open, FIN, and a drain
// that goes on without the caller. No reset is ever sent from here. The ticket is given back.
func (c *Conversation) Close() {
	defer c.ticket.Done()
	c.credential.Clear()
	if c.keys != nil {
		c.keys.clear()
	}
	if c.conn == nil {
		return
	}
	if c.ticket.Task().Query().Kind().Transport() == "udp" {
		wait := lateUDP
		if c.s.Replies > 0 {
			wait = afterUDP
		}
		c.d.leave(c.conn, wait)
		return
	}
	if c.hush && silence(c.conn) == nil {
		c.d.leave(c.conn, drainTCP)
		return
	}
	c.abort()
	if c.tls != nil && c.conn.SetDeadline(c.d.now().Add(time.Second)) == nil {
		_ = c.tls.CloseWrite() // close_notify; the error is the device's, as below
	}
	c.d.leave(c.conn, drainTCP)
}

// abort sends A-ABORT when a cap or a hold ended an open association (D4).
func (c *Conversation) abort() {
	// After a release nothing but FIN: there is at most one of the two (DESIGN 6.7).
	open := c.ticket.Task().Query().Kind() == list.DICOMEcho && c.step >= 1 && c.step <= 2 && c.s.End != Complete && c.s.End != ClosedByDevice
	if !open || takenOut(controlRelease) {
		return
	}
	at := c.d.now()
	if err := c.conn.SetWriteDeadline(at.Add(time.Second)); err != nil {
		return
	}
	abort := frame.EncodeAbort()
	if _, err := c.stream().Write(abort); err != nil {
		return
	}
	c.s.Last = c.d.now()
	c.s.Octets += len(abort)
	if err := c.rec.Sent(c.s.Last, "A-ABORT", abort); err != nil {
		c.s.Detail = err.Error()
	}
}

// leave reads and drops what still comes until the device closes or the time is over, and then closes.
func (d *Dialer) leave(conn net.Conn, wait time.Duration) {
	d.mu.Lock()
	if d.lingers == nil {
		d.lingers = map[net.Conn]bool{}
	}
	d.lingers[conn] = true
	d.mu.Unlock()
	d.wg.Go(func() {
		defer func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			delete(d.lingers, conn)
		}()
		if tcp, ok := conn.(*net.TCPConn); ok {
			// A device that closes first is told so by our kernel. If our FIN passes that acknowledgment, the device
			// acknowledges once more, to a connection that is gone here: the kernel would answer with a reset (G5).
			time.Sleep(beforeFIN)
			_ = tcp.CloseWrite() // the error is the device's: it has closed before us
		}
		if err := conn.SetReadDeadline(time.Now().Add(wait)); err == nil {
			drain(conn)
		}
		conn.Close()
	})
}

func drain(conn net.Conn) {
	if _, udp := conn.(*datagrams); !udp {
		_, err := io.CopyN(io.Discard, conn, maxDrain)
		if err != nil {
			return // end of file, or the deadline
		}
		return
	}
	buf := make([]byte, frame.MaxDatagramIn)
	for {
		_, err := conn.Read(buf)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// Wait returns when nothing lingers any more, or when ctx ends; what is left is then closed at once.
func (d *Dialer) Wait(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		d.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	d.mu.Lock()
	for conn := range d.lingers {
		conn.Close()
	}
	d.mu.Unlock()
	<-done
}
