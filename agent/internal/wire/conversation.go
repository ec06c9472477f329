package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"primum/agent/internal/guard"
	"primum/agent/internal/secret"
	list "primum/safetylists"
	"primum/safetylists/frame"
)

// End says how a conversation came to its end. The zero value is Running.
type End string

// The ends.
const (
	Running        End = ""
	Complete       End = "complete"         // every message was answered as the protocol has it
	TimedOut       End = "timeout"          // no reply in time
	ClosedByDevice End = "closed by device" // refused, reset, aborted or closed early
	Halted         End = "stopped"          // hold, lease, or end of the approved time
	Breach         End = "breach"           // the plugin proposed bytes that nobody approved
	BadReply       End = "malformed reply"
	Local          End = "local fault" // no descriptor, no route: nothing of the device's doing
)

// Summary is what wire itself saw of a conversation.
type Summary struct {
	End       End
	Refusal   *list.Refusal // with Halted
	Detail    string
	Asked     time.Time // first octet or SYN
	Last      time.Time // last octet sent
	Messages  int       // sent
	Octets    int       // sent
	Replies   int
	RTT       time.Duration // of the slowest reply, without our own delay
	RTTOwn    time.Duration // our own delay, taken out of it
	RTTAt     time.Time     // when it was read
	Connected bool
	Refused   bool        // nobody listens where the question went: RST to our SYN, or ICMP port unreachable
	Event     frame.Event // last DICOM event
	Ack       frame.Ack   // HL7
	MayEnd    bool        // a vendor's own protocol: every message that has to be sent was answered

	Engine     *frame.Engine // SNMPv3: what the engine has said of itself, verified
	NewEngine  bool          // another engine answers than the one known here (S7)
	Credential bool          // the device does not take the credential (S4)
}

// Recorder is told of each message after its last octet was sent, and of each reply; secrets are
// blanked. It fails when the record could not be written, and the conversation then ends.
type Recorder interface {
	Sent(at time.Time, words string, message []byte) error
	Got(at time.Time, message []byte) error
}

// Conversation is one conversation with one device: one datagram and its reply, one association, or
// one MLLP block and its acknowledgment. It is used by one goroutine.
type Conversation struct {
	d          *Dialer
	ticket     *guard.Ticket
	nonce      frame.Nonce
	credential *secret.Credential // SNMP
	keys       *keys              // SNMPv3, once the engine is known
	rec        Recorder
	tls        *tls.Conn // over conn, where the approval asks for it
	conn       net.Conn
	hush       bool           // nothing more goes out, not even what the kernel has to say
	deadline   time.Time      // of the whole conversation
	own        time.Duration  // between our last message and the wait for its reply
	replyBy    time.Time      // end of that wait
	cut        bool           // a reply had begun and had no time to end
	step       int            // next message
	place      frame.Progress // of a vendor's own protocol
	s          Summary
}

// OwnDelay is a delay of the agent itself that is not counted as the device's (H-048). A shorter one tells nothing: a device is
// slow from seconds on.
const OwnDelay = 100 * time.Millisecond

// Reply is one whole message of the device.
type Reply struct {
	Message []byte
	Elapsed time.Duration
	Last    bool // nothing more may be proposed
}

// ErrEnded says that the conversation is over; Summary tells how.
var ErrEnded = errors.New("the conversation is over")

// Nonce returns the values that the plugin is told.
func (c *Conversation) Nonce() frame.Nonce { return c.nonce }

// Summary returns what was seen so far.
func (c *Conversation) Summary() Summary { return c.s }

// Exchange holds a proposed message against the approved question, sends the canonical bytes, and
// returns the reply. It fails with ErrEnded when the conversation is over, before or after the send.
func (c *Conversation) Exchange(ctx context.Context, proposed []byte) (Reply, error) {
	if c.s.End != Running {
		return Reply{}, c.breach("a message after the end of the conversation")
	}
	q := c.ticket.Task().Query()
	var next frame.Progress
	var msg frame.Message
	var err error
	if q.Kind().Vendor() {
		msg, next, err = frame.CheckTemplate(q, c.place, proposed)
	} else {
		msg, err = frame.Check(q, c.nonce, c.step, proposed)
	}
	if takenOut(controlBytes) {
		msg, err = frame.Message{Bytes: proposed, Words: "unchecked"}, nil
	}
	if err != nil {
		return Reply{}, c.breach(err.Error())
	}
	c.place = next
	reply, err := c.exchange(ctx, q, msg)
	if moved := c.elsewhere(err); moved != nil {
		return Reply{}, moved
	}
	if err != nil {
		return Reply{}, c.broken(ctx, err)
	}
	return reply, nil
}

func (c *Conversation) exchange(ctx context.Context, q list.Query, msg frame.Message) (Reply, error) {
	if q.Kind() == list.SNMPGet && frame.VersionOf(q) == frame.V3 {
		return c.secured(ctx, msg)
	}
	stop, err := c.may(ctx)
	if err != nil {
		return Reply{}, err
	}
	defer stop()
	if err := c.send(msg); err != nil {
		return Reply{}, err
	}
	return c.receive(ctx)
}

// may asks for leave to send the next message, and dials before the first one. Until stop is called the end
// of ctx breaks the exchange off.
func (c *Conversation) may(ctx context.Context) (stop func() bool, err error) {
	if c.s.Messages >= c.ticket.Limits().Messages {
		return nil, c.halt(list.Refuse(list.BudgetSpent, "the approved number of messages is used up"))
	}
	now := c.d.now()
	if r := c.ticket.Leave(now); r != nil && !takenOut(controlEnd) {
		if !c.isRelease() {
			return nil, c.halt(r)
		}
		c.deadline = now.Add(time.Second) // DESIGN 6.7: at most one release and FIN, within 1 s
	}
	if err := c.late(now); err != nil && !takenOut(controlEnd) {
		return nil, err
	}
	if c.conn != nil {
		if r := c.ticket.Moved(now); r != nil {
			return nil, c.moved(r)
		}
	} else {
		if err := c.dial(ctx); err != nil {
			return nil, err
		}
		// The way to the device may have taken seconds, in which a hold or the end may have come (H-035).
		if r := c.ticket.Leave(c.d.now()); r != nil && !takenOut(controlEnd) {
			return nil, c.halt(r)
		}
	}
	return context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) }), nil // it fails with the connection
}

// late refuses a message that the probe proposes after its time: after the cap, or the first one after the
// end of the permit. The device has done nothing (H-019, H-021).
func (c *Conversation) late(now time.Time) error {
	until := c.ticket.Task().Until()
	switch {
	case c.conn == nil && !now.Before(until):
		return c.halt(list.Refuse(list.PermitExpired, "it ended at "+until.Format(time.TimeOnly)))
	case !now.Before(c.deadline):
		return c.end(Local, "the probe proposed its message after the time of the conversation")
	}
	return nil
}

// broken says of a conversation that was broken off why it was: a hold, the end of the lease or of the
// approved time. What the device had done by then is not its doing.
func (c *Conversation) broken(ctx context.Context, err error) error {
	if ctx.Err() == nil || c.s.End != TimedOut && c.s.End != ClosedByDevice && !c.cut {
		return err
	}
	r := c.ticket.Leave(c.d.now())
	if r == nil {
		return err
	}
	return c.halt(r)
}

func (c *Conversation) isRelease() bool {
	return c.ticket.Task().Query().Kind() == list.DICOMEcho && c.step == 2
}

// send writes one message with one write (G4). The community goes in here, after the check.
func (c *Conversation) send(msg frame.Message) error {
	out := msg.Bytes
	if c.ticket.Task().Query().Kind() == list.SNMPGet {
		get, err := frame.DecodeGet(msg.Bytes)
		if err != nil && !takenOut(controlBytes) {
			return c.end(Local, err.Error())
		}
		if out, err = frame.EncodeGet(get.Version, get.OIDs, get.RequestID, c.credential.Community); err != nil {
			return c.end(Local, err.Error())
		}
		defer clear(out)
	}
	if err := c.write(out, msg.Words, msg.Bytes); err != nil {
		return err
	}
	c.step++
	return nil
}

// write puts one message on the wire with one write, and into the record as blank has it.
func (c *Conversation) write(out []byte, words string, blank []byte) error {
	c.replyBy = c.stepDeadline()
	if err := c.conn.SetDeadline(c.replyBy); err != nil {
		return c.end(Local, err.Error())
	}
	if c.s.Asked.IsZero() {
		c.s.Asked = c.d.now()
	}
	_, err := c.stream().Write(out)
	c.s.Last = c.d.now()
	c.s.Messages++
	c.s.Octets += len(out)
	recErr := c.rec.Sent(c.s.Last, words, blank)
	c.own = c.d.now().Sub(c.s.Last)
	if recErr != nil {
		return c.end(Local, recErr.Error())
	}
	if err != nil {
		return c.failed(err)
	}
	return nil
}

// stream is where the protocol of the question is spoken.
func (c *Conversation) stream() net.Conn {
	if c.tls != nil {
		return c.tls
	}
	return c.conn
}

func (c *Conversation) stepDeadline() time.Time {
	d := c.d.now().Add(c.ticket.Limits().Reply)
	if d.After(c.deadline) {
		return c.deadline
	}
	return d
}

// receive reads one whole reply and moves the conversation on.
func (c *Conversation) receive(ctx context.Context) (Reply, error) {
	var raw, shown []byte
	var err error
	from := c.reader(ctx)
	switch c.ticket.Task().Query().Kind() {
	case list.SNMPGet:
		raw, err = readDatagram(from)
		if err == nil {
			shown, err = frame.CheckResponse(raw, frame.VersionOf(c.ticket.Task().Query()), c.nonce.RequestID, c.credential.Community)
		}
		clear(raw)
	case list.DICOMEcho:
		shown, err = readPDU(from)
		if err == nil {
			c.s.Event, err = frame.ReadPDU(shown)
		}
	case list.HL7Ack:
		shown, err = readBlock(from)
		if err == nil {
			c.s.Ack, err = frame.ReadAck(shown)
		}
		if err == nil && c.s.Ack.ControlID != c.nonce.ControlID {
			err = fmt.Errorf("MSA-2 is not our control id: %w", frame.ErrReply)
		}
	}
	if q := c.ticket.Task().Query(); q.Kind().Vendor() {
		rule := q.Spec().Messages[c.place.Place].Reply
		if q.Kind().Transport() == "udp" {
			shown, err = readDatagram(from)
			if err == nil && len(shown) > rule.Max {
				err = fmt.Errorf("datagram of more than %d octets: %w", rule.Max, frame.ErrReply)
			}
		} else {
			shown, err = readReply(from, rule)
		}
	}
	if err != nil {
		return Reply{}, c.spoilt(from, err)
	}
	defer clear(from.came)
	elapsed, err := c.got(from, shown)
	if err != nil {
		return Reply{}, err
	}
	last, err := c.advance()
	if err != nil {
		return Reply{}, err
	}
	return Reply{shown, elapsed, last}, nil
}

// reader is what the next reply is read from, once.
func (c *Conversation) reader(ctx context.Context) *lastLook {
	l := &lastLook{Conn: c.stream(), ctx: ctx}
	if c.own > OwnDelay {
		l.until = c.replyBy
	}
	return l
}

// got counts a reply and writes it into the record. Of a reply that had come before the agent was ready for it nobody knows when it did:
// the agent's delay is taken out of its time. One that had not come then has taken all of it.
func (c *Conversation) got(from *lastLook, shown []byte) (elapsed time.Duration, err error) {
	at := c.d.now()
	elapsed = at.Sub(c.s.Last)
	own := time.Duration(0)
	if from.there {
		own = min(c.own, elapsed)
		elapsed -= own
	}
	c.s.Replies++
	if elapsed >= c.s.RTT {
		c.s.RTT, c.s.RTTOwn, c.s.RTTAt = elapsed, own, at
	}
	if err := c.rec.Got(at, shown); err != nil {
		return 0, c.end(Local, err.Error())
	}
	return elapsed, nil
}

// spoilt ends the conversation where no reply came, and writes what came into the record: a distress has its evidence there, too. The
// community that a device may repeat is blanked as it is in a reply.
func (c *Conversation) spoilt(from *lastLook, err error) error {
	came := from.came
	defer clear(came)
	err = c.failed(err)
	if len(came) == 0 {
		return err
	}
	if c.credential != nil && len(c.credential.Community) > 0 {
		came = bytes.ReplaceAll(came, c.credential.Community, bytes.Repeat([]byte("*"), len(c.credential.Community)))
	}
	return errors.Join(err, c.rec.Got(c.d.now(), came))
}

// advance is the state machine of the conversation after a reply (D4).
func (c *Conversation) advance() (last bool, err error) {
	if q := c.ticket.Task().Query(); q.Kind().Vendor() {
		var must bool
		if c.s.MayEnd, must = frame.Ended(q, c.place); must {
			c.s.End = Complete
		}
		return must, nil
	} else if q.Kind() != list.DICOMEcho {
		c.s.End = Complete
		return true, nil
	}
	switch e := c.s.Event; {
	case e == frame.EventAccepted && c.step == 1:
		return false, nil
	case e == frame.EventNoContext && c.step == 1:
		c.step = 2 // no echo: release
		return false, nil
	case e == frame.EventEchoed && c.step == 2:
		if takenOut(controlRelease) {
			c.s.End = Complete
			return true, nil
		}
		return false, nil
	case e == frame.EventReleased && c.step == 3:
		c.s.End = Complete
		return true, nil
	case e == frame.EventRejected && c.step == 1:
		c.s.End = Complete // an answer of the protocol; nothing more is sent
		return true, nil
	case e == frame.EventAborted:
		c.s.End, c.s.Detail = ClosedByDevice, "the device sent A-ABORT"
		return true, nil
	default:
		return true, c.end(BadReply, "a PDU that has no place here")
	}
}

func (c *Conversation) breach(detail string) error {
	if c.s.End == Running || c.s.End == Complete {
		c.s.End, c.s.Detail = Breach, detail
	}
	return fmt.Errorf("%w: %s", ErrEnded, detail)
}

func (c *Conversation) halt(r *list.Refusal) error {
	c.s.End, c.s.Refusal, c.s.Detail = Halted, r, r.Detail
	return fmt.Errorf("%w: %s", ErrEnded, r.Reason)
}

func (c *Conversation) end(e End, detail string) error {
	if c.s.End == Running {
		c.s.End, c.s.Detail = e, detail
	}
	return fmt.Errorf("%w: %s", ErrEnded, detail)
}

// failed sorts an error of the connection.
func (c *Conversation) failed(err error) error {
	switch {
	case errors.Is(err, frame.ErrReply):
		c.cut = errors.Is(err, os.ErrDeadlineExceeded)
		return c.end(BadReply, err.Error())
	case late(err):
		return c.end(TimedOut, "no reply in time")
	default:
		c.s.Refused = errors.Is(err, unix.ECONNREFUSED)
		return c.end(ClosedByDevice, broken(err))
	}
}
