package frame

import (
	"bytes"
	"encoding/hex"
	"fmt"

	list "primum/safetylists"
)

// Progress is how far a conversation of a vendor's own protocol has come: the place in its order of messages,
// and how often that message was sent. The zero value is before the first message.
type Progress struct{ Place, Times int }

// CheckTemplate holds a proposed message against the templates of an approved question, at a place of its
// order, and returns the octets to send and the place after it. A message counts for the first place that it
// fits. What is returned is built anew from the template and the free octets of the proposal; it fails with
// ErrRefused when it is not what was proposed.
func CheckTemplate(q list.Query, at Progress, proposed []byte) (Message, Progress, error) {
	all := q.Spec().Messages
	for place := at.Place; place < len(all); place++ {
		times := 0
		if place == at.Place {
			times = at.Times
		}
		least, most := all[place].Times()
		if times < most {
			if built, ok := build(all[place], proposed); ok && bytes.Equal(built, proposed) {
				return Message{built, all[place].Words}, Progress{place, times + 1}, nil
			}
		}
		if times < least {
			break // it has to be sent before anything later
		}
	}
	return Message{}, at, fmt.Errorf("it is none of the messages that the approved question has here: %w", ErrRefused)
}

// Ended reports whether a conversation may end at a place, and whether it must, because nothing may follow.
func Ended(q list.Query, at Progress) (may, must bool) {
	all := q.Spec().Messages
	may, must = true, true
	for place := at.Place; place < len(all); place++ {
		times := 0
		if place == at.Place {
			times = at.Times
		}
		least, most := all[place].Times()
		may = may && times >= least
		must = must && times >= most
	}
	return may, must
}

// build reads a proposal by a template and writes the message anew: fixed octets from the template, free bits
// and fields from the proposal. A field takes as many octets of its set as there are, which is the one way to
// read it: the schema has a fixed octet outside of the set after each field that may vary in length.
func build(m list.MessageTemplate, proposed []byte) (out []byte, ok bool) {
	rest := proposed
	for _, p := range m.Parts {
		if p.Field != "" {
			n := 0
			for n < len(rest) && n < p.Max && p.In(rest[n]) {
				n++
			}
			if n < p.Min {
				return nil, false
			}
			out, rest = append(out, rest[:n]...), rest[n:]
			continue
		}
		octets, mask := p.Octets()
		if len(rest) < len(octets) {
			return nil, false
		}
		for i := range octets {
			out = append(out, octets[i]&mask[i]|rest[i]&^mask[i])
		}
		rest = rest[len(octets):]
	}
	return out, len(rest) == 0
}

// ReplyEnd looks for the end of a reply in what a device has sent so far over TCP. It returns its length, 0
// while it is not whole, and fails with ErrReply when it cannot become one: more octets than approved, or
// octets after the end.
func ReplyEnd(r list.ReplyRule, b []byte) (int, error) {
	end := 0
	switch {
	case r.Length != 0:
		end = r.Length
	case r.Until != "":
		until, err := hex.DecodeString(r.Until)
		if err != nil {
			return 0, fmt.Errorf("end of reply: %w", ErrReply)
		}
		if i := bytes.Index(b, until); i >= 0 {
			end = i + len(until) + r.Then
		}
	case len(b) >= r.At+r.Size:
		for _, c := range b[r.At : r.At+r.Size] {
			end = end<<8 | int(c)
		}
		end += r.Adds
		if end < r.At+r.Size {
			return 0, fmt.Errorf("the reply says that it ends before its own length: %w", ErrReply)
		}
	}
	switch {
	case end > r.Max, len(b) > r.Max:
		return 0, fmt.Errorf("reply of more than %d octets: %w", r.Max, ErrReply)
	case end == 0 || len(b) < end:
		return 0, nil
	case len(b) > end:
		return 0, fmt.Errorf("octets after the reply: %w", ErrReply)
	default:
		return end, nil
	}
}

// templateMessages shows a vendor's messages to a person: fixed octets as they are, free bits as zero, and
// each field with the fewest octets that it may have, at least one.
func templateMessages(q list.Query) []Message {
	var out []Message
	for _, m := range q.Spec().Messages {
		var b []byte
		words := m.Words
		for _, p := range m.Parts {
			if p.Field == "" {
				octets, _ := p.Octets()
				b = append(b, octets...)
				continue
			}
			words += fmt.Sprintf("; %s: %d to %d of %s", p.Field, p.Min, p.Max, p.Charset)
			first := byte(' ')
			for !p.In(first) {
				first++
			}
			b = append(b, bytes.Repeat([]byte{first}, max(1, p.Min))...)
		}
		if least, most := m.Times(); least != 1 || most != 1 {
			words += fmt.Sprintf("; %d to %d times", least, most)
		}
		out = append(out, Message{b, words})
	}
	return out
}
