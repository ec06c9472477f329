package wire

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"primum/safetylists/frame"
)

// secured holds the conversation of one SNMPv3 question: a discovery where the engine is not known, the
// request, and its one repeat where the engine's clock has gone another way than ours (S6). The plugin has
// proposed the objects; it sees none of this, and no key.
func (c *Conversation) secured(ctx context.Context, msg frame.Message) (Reply, error) {
	get, err := frame.DecodeGet(msg.Bytes)
	if err != nil {
		return Reply{}, c.end(Local, err.Error())
	}
	known := c.ticket.Engine(c.d.now())
	if known == nil {
		if known, err = c.discover(ctx); err != nil {
			return Reply{}, err
		}
	}
	spec := c.ticket.Task().Query().Spec()
	if spec.Privacy != "" && len(c.credential.User.Privacy) == 0 {
		return Reply{}, c.end(Local, "the user has no pass phrase for privacy, and the question is to be encrypted")
	}
	if c.keys, err = newKeys(spec, c.credential.User, known.ID); err != nil {
		return Reply{}, c.end(Local, err.Error())
	}
	requestID := get.RequestID
	for attempt := 0; ; attempt++ {
		report, reply, err := c.ask(ctx, known, get.OIDs, requestID, msg.Words)
		if err != nil {
			return Reply{}, err
		}
		switch {
		case report == frame.NoReport:
			c.step++
			c.s.End = Complete
			if requestID != get.RequestID { // the plugin knows the first one
				reply.Message = frame.Renumbered(reply.Message, get.RequestID)
			}
			return reply, nil
		case report == frame.NotInTimeWindow && attempt == 0:
			// S2: a new message has a new id; S6: this once.
			if requestID, err = number(); err != nil {
				return Reply{}, c.end(Local, err.Error())
			}
		default:
			return Reply{}, c.reported(report)
		}
	}
}

// reported ends a conversation whose request was answered by a report.
func (c *Conversation) reported(r frame.Report) error {
	switch r {
	case frame.UnknownUser, frame.WrongDigest, frame.DecryptionError, frame.UnsupportedLevel:
		c.s.Credential = true // S4: once, and never again with this credential
	case frame.UnknownEngine:
		c.s.NewEngine = true // S7
	}
	return c.end(BadReply, "the device answered with "+string(r))
}

// discover asks the engine who it is.
func (c *Conversation) discover(ctx context.Context) (*frame.Engine, error) {
	id, err := number()
	if err != nil {
		return nil, c.end(Local, err.Error())
	}
	b, err := frame.EncodeDiscovery(id, id)
	if err != nil {
		return nil, c.end(Local, err.Error())
	}
	stop, err := c.may(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	if err := c.write(b, "SNMPv3 discovery of the engine", b); err != nil {
		return nil, err
	}
	from := c.reader(ctx)
	raw, err := readDatagram(from)
	if err != nil {
		return nil, c.spoilt(from, err)
	}
	if _, err := c.got(from, raw); err != nil {
		return nil, err
	}
	e, err := frame.ReadDiscovery(raw, id)
	if err != nil {
		return nil, c.failed(err)
	}
	return &e, nil
}

// ask sends the request once and reads what comes back. A report that our clock is off brings the engine's
// own into known, once its signature was verified.
func (c *Conversation) ask(ctx context.Context, known *frame.Engine, oids []string, requestID uint32, words string) (frame.Report, Reply, error) {
	out, id, err := c.sealed(known, oids, requestID)
	if err != nil {
		return "", Reply{}, c.end(Local, err.Error())
	}
	stop, err := c.may(ctx)
	if err != nil {
		return "", Reply{}, err
	}
	defer stop()
	if err := c.write(out, words, out); err != nil {
		return "", Reply{}, err
	}
	from := c.reader(ctx)
	raw, err := readDatagram(from)
	if err != nil {
		return "", Reply{}, c.spoilt(from, err)
	}
	elapsed, err := c.got(from, raw)
	if err != nil {
		return "", Reply{}, err
	}
	shown, report, err := c.opened(raw, known, id, requestID)
	if err != nil {
		return "", Reply{}, c.failed(err)
	}
	return report, Reply{shown, elapsed, true}, nil
}

// sealed makes the message on the wire: encrypted where the question says so, and signed.
func (c *Conversation) sealed(e *frame.Engine, oids []string, requestID uint32) (b []byte, messageID uint32, err error) {
	plain, err := frame.EncodeScoped(e.ID, oids, requestID)
	if err != nil {
		return nil, 0, err
	}
	if messageID, err = number(); err != nil {
		return nil, 0, err
	}
	m := frame.Secured{MessageID: messageID, Flags: frame.FlagAuth | frame.FlagReportable, EngineID: e.ID, Boots: e.Boots, Time: e.Time,
		User: c.credential.User.Name, MAC: make([]byte, c.keys.auth.size), Scoped: plain}
	if c.keys.priv.name != "" {
		m.Flags |= frame.FlagPrivacy
		if m.Scoped, m.Salt, err = c.keys.priv.seal(e.Boots, e.Time, plain); err != nil {
			return nil, 0, err
		}
	}
	b, at, err := m.Encode()
	if err != nil {
		return nil, 0, err
	}
	copy(b[at:], c.keys.auth.mac(c.keys.sign, b))
	return b, messageID, nil
}

// window is how far an engine's clock may be from what is known of it, in seconds (RFC 3414 2.2.3).
const window = 150

// opened verifies a reply (RFC 3414 3.2): engine, user, signature and time, and then decrypts it. A report
// needs no signature, but for the one that corrects our clock; what such a report says beyond its name counts
// for nothing. It fails with frame.ErrReply.
func (c *Conversation) opened(raw []byte, e *frame.Engine, messageID, requestID uint32) (shown []byte, report frame.Report, err error) {
	bad := func(what string) ([]byte, frame.Report, error) {
		return nil, "", fmt.Errorf("SNMPv3 reply: %s: %w", what, frame.ErrReply)
	}
	m, at, err := frame.DecodeSecured(raw)
	if err != nil {
		return nil, "", err
	}
	if m.MessageID != messageID {
		return bad("it carries another message id")
	}
	if m.Flags&frame.FlagAuth == 0 {
		_, report, err := frame.OpenScoped(m.Scoped, m.EngineID, requestID, false)
		if err != nil || report == frame.NoReport || report == frame.NotInTimeWindow {
			return bad("it is not signed")
		}
		return nil, report, nil
	}
	if !bytes.Equal(m.EngineID, e.ID) || !bytes.Equal(m.User, c.credential.User.Name) {
		return bad("it is of another engine or user")
	}
	if !c.keys.auth.verified(c.keys.sign, raw, at, len(m.MAC)) {
		return bad("its signature is wrong")
	}
	plain, padded := m.Scoped, false
	if m.Flags&frame.FlagPrivacy != 0 {
		if c.keys.priv.name == "" {
			return bad("it is encrypted, and was not asked for so")
		}
		if plain, padded, err = c.keys.priv.open(m.Boots, m.Time, m.Salt, m.Scoped); err != nil {
			return bad(err.Error())
		}
	}
	shown, report, err = frame.OpenScoped(plain, e.ID, requestID, padded)
	switch {
	case err != nil:
		return nil, "", err
	case report == frame.NotInTimeWindow:
		*e = frame.Engine{ID: e.ID, Boots: m.Boots, Time: m.Time}
	case report != frame.NoReport:
	case c.keys.priv.name != "" && m.Flags&frame.FlagPrivacy == 0:
		return bad("it is not encrypted, and was asked for so")
	case m.Boots != e.Boots || m.Time+window < e.Time: // RFC 3414 3.2 7b
		return bad("it is not of this moment")
	default:
		c.s.Engine = &frame.Engine{ID: e.ID, Boots: m.Boots, Time: m.Time}
	}
	return shown, report, nil
}

// number draws a message id or request-id, 1 to 2^31-1 (S2).
func number() (uint32, error) {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("draw a number: %w", err)
	}
	return binary.BigEndian.Uint32(b[:])&0x7fffffff | 1, nil
}
