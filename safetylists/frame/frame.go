package frame

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	list "primum/safetylists"
)

// Nonce holds every value that varies from one message to the next. The agent chooses them; a plugin
// is told them and can choose nothing.
type Nonce struct {
	RequestID uint32    // SNMP request-id, 1 to 2^31-1 (S2)
	MessageID uint16    // DICOM message id; always 1: one echo an association (D3)
	ControlID string    // HL7 MSH-10, "SP" and 16 upper-case hex digits
	Time      time.Time // HL7 MSH-7, whole seconds
}

// Example returns the fixed values that plans and explanations show in place of random ones.
func Example() Nonce {
	return Nonce{RequestID: 0x01020304, MessageID: 1, ControlID: "SP0123456789ABCDEF", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

// Message is one whole protocol message that we send.
type Message struct {
	Bytes []byte
	Words string // what it is, for a person
}

// ErrRefused says that proposed bytes are not the approved message. It is terminal for the task.
var ErrRefused = errors.New("not the approved message")

// Limits of the wire (G6, S9, D8, H2, H11), in octets.
const (
	MaxDatagramOut = 484
	MaxDatagramIn  = 1472
	MaxPDUOut      = 1024
	MaxPDUIn       = 16384
	MaxHL7Out      = 512
	MaxHL7In       = 4096
)

// Messages returns the messages of a question for a person, in the order in which they may be sent. The
// SNMP community is empty: wire inserts it. Of an SNMPv3 question the last one is shown as it is before wire
// signs and encrypts it.
func Messages(q list.Query, n Nonce) ([]Message, error) {
	switch {
	case q.Kind() == list.SNMPGet && VersionOf(q) == V3:
		return v3Messages(q, n)
	case q.Kind().Vendor():
		return templateMessages(q), nil
	}
	return proposals(q, n)
}

// proposals returns the canonical messages as a plugin has to propose them.
func proposals(q list.Query, n Nonce) ([]Message, error) {
	s := q.Spec()
	switch q.Kind() {
	case list.SNMPGet:
		v := VersionOf(q)
		b, err := EncodeGet(v.envelope(), s.OIDs, n.RequestID, nil)
		if err != nil {
			return nil, err
		}
		return []Message{{b, getWords(v, s)}}, nil
	case list.DICOMEcho:
		rq, err := EncodeAssociateRQ(s.CalledAE, s.CallingAE, s.VersionName)
		if err != nil {
			return nil, err
		}
		return []Message{
			{rq, "A-ASSOCIATE-RQ for Verification from " + s.CallingAE + " to " + s.CalledAE},
			{EncodeEchoRQ(n.MessageID), "C-ECHO-RQ"},
			{EncodeReleaseRQ(), "A-RELEASE-RQ"},
		}, nil
	case list.HL7Ack:
		b, err := EncodeNMD(s, n)
		if err != nil {
			return nil, err
		}
		return []Message{{b, "NMD^N02 to " + s.ReceivingApp + ", processing id T, answered by an ACK"}}, nil
	default:
		return nil, fmt.Errorf("make messages: no question")
	}
}

// Check holds one proposed message against message step of the question, 0 being the first. It parses
// the proposal on its own, compares what it reads with the approved question, rebuilds the canonical
// bytes, requires equality octet for octet, and returns the rebuilt buffer: the caller sends that and
// never the proposal. It fails with ErrRefused.
func Check(q list.Query, n Nonce, step int, proposed []byte) (Message, error) {
	all, err := proposals(q, n)
	if err != nil {
		return Message{}, err
	}
	if step < 0 || step >= len(all) {
		return Message{}, fmt.Errorf("message %d of %d: %w", step+1, len(all), ErrRefused)
	}
	if err := parses(q, n, step, proposed); err != nil {
		return Message{}, fmt.Errorf("message %d: %w: %w", step+1, ErrRefused, err)
	}
	if !bytes.Equal(all[step].Bytes, proposed) {
		return Message{}, fmt.Errorf("message %d differs from the approved bytes: %w", step+1, ErrRefused)
	}
	return all[step], nil
}

// parses reads the proposal with the strict decoders and compares its meaning with the question.
func parses(q list.Query, n Nonce, step int, proposed []byte) error {
	s := q.Spec()
	switch q.Kind() {
	case list.SNMPGet:
		g, err := DecodeGet(proposed)
		if err != nil {
			return err
		}
		return g.matches(VersionOf(q), s.OIDs, n.RequestID)
	case list.DICOMEcho:
		switch step {
		case 0:
			a, err := DecodeAssociateRQ(proposed)
			if err != nil {
				return err
			}
			return a.matches(s)
		case 1:
			id, err := DecodeEchoRQ(proposed)
			if err == nil && id != n.MessageID {
				err = fmt.Errorf("message id %d", id)
			}
			return err
		default:
			return DecodeReleaseRQ(proposed)
		}
	case list.HL7Ack:
		m, err := DecodeNMD(proposed)
		if err != nil {
			return err
		}
		return m.matches(s, n)
	default:
		return fmt.Errorf("no question")
	}
}
