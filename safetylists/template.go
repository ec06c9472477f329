package safetylists

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A vendor's own question is named by its transport, its maker and a word: "tcp.aldane.status". Its messages
// are templates inside the signed allowance, so that a new protocol needs no change of the agent.
var vendorKind = regexp.MustCompile(`^(?:tcp|udp)\.[a-z0-9-]{2,32}\.[a-z0-9-]{2,32}$`)

// Vendor reports whether the kind is a vendor's own.
func (k Kind) Vendor() bool { return vendorKind.MatchString(string(k)) }

// known reports whether there can be a question of the kind.
func (k Kind) known() bool {
	return k == SNMPGet || k == DICOMEcho || k == HL7Ack || k.Vendor()
}

// MessageTemplate is what one message of a vendor's own protocol may be: its parts one after the other, and how
// the device's reply ends.
type MessageTemplate struct {
	Words string        `yaml:"words" json:"words"` // what it is, for a person. Required.
	Parts []MessagePart `yaml:"parts" json:"parts"` // Required, 1 to 32.
	Least int           `yaml:"least,omitempty" json:"least,omitempty"`
	Most  int           `yaml:"most,omitempty" json:"most,omitempty"` // how often it may stand here; least and most both left out: once
	Reply ReplyRule     `yaml:"reply" json:"reply"`                   // Required.
}

// MessagePart is a run of octets: fixed ones, ones of which a mask fixes some bits, or a field of bounded
// length out of a set of characters.
type MessagePart struct {
	Bytes   string `yaml:"bytes,omitempty" json:"bytes,omitempty"`     // hex, white space let pass in a file
	Mask    string `yaml:"mask,omitempty" json:"mask,omitempty"`       // hex, as long as bytes: the bits set here are fixed; none: all
	Field   string `yaml:"field,omitempty" json:"field,omitempty"`     // name of a field, in place of bytes
	Charset string `yaml:"charset,omitempty" json:"charset,omitempty"` // digits, hex, upper, alnum or printable
	Min     int    `yaml:"min,omitempty" json:"min,omitempty"`         // octets
	Max     int    `yaml:"max,omitempty" json:"max,omitempty"`
}

// ReplyRule says where a reply ends. Over UDP it is the datagram, and only Max counts.
type ReplyRule struct {
	Max    int    `yaml:"max" json:"max"`                           // most octets. Required, at most 4096 over TCP, 1472 over UDP.
	Length int    `yaml:"length,omitempty" json:"length,omitempty"` // exactly so many octets
	Until  string `yaml:"until,omitempty" json:"until,omitempty"`   // hex: the first time these octets stand there
	Then   int    `yaml:"then,omitempty" json:"then,omitempty"`     // octets that still follow Until, 0 to 8: a checksum
	At     int    `yaml:"at,omitempty" json:"at,omitempty"`         // with Size: where a length field begins
	Size   int    `yaml:"size,omitempty" json:"size,omitempty"`     // its octets, 1 or 2, most significant first
	Adds   int    `yaml:"adds,omitempty" json:"adds,omitempty"`     // octets of the reply that the field does not count
}

const (
	maxTemplates = 8
	maxParts     = 32
	maxReplyTCP  = 4096
	maxReplyUDP  = 1472
	maxAsk       = 484 // octets of a message (RFC 3417 3.2 is the least that a stack has to take; G6)
)

// In reports whether an octet belongs to the field's set of characters.
func (p MessagePart) In(c byte) bool {
	switch p.Charset {
	case "digits":
		return c >= '0' && c <= '9'
	case "hex":
		return c >= '0' && c <= '9' || c >= 'A' && c <= 'F'
	case "upper":
		return c >= 'A' && c <= 'Z'
	case "alnum":
		return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
	case "printable":
		return c >= 0x20 && c <= 0x7e
	default:
		return false
	}
}

// Octets returns the fixed octets of a part and their mask; none of a field.
func (p MessagePart) Octets() (octets, mask []byte) {
	octets, _ = hex.DecodeString(p.Bytes)
	if p.Mask == "" {
		return octets, slices.Repeat([]byte{0xff}, len(octets))
	}
	mask, _ = hex.DecodeString(p.Mask)
	return octets, mask
}

// Times is how often the message may stand in its place.
func (m MessageTemplate) Times() (least, most int) {
	if m.Least == 0 && m.Most == 0 {
		return 1, 1
	}
	return m.Least, m.Most
}

// checkTemplates holds a vendor's messages to what a guard can enforce without knowing the protocol: every
// message is bounded, reads in one way only, and asks for a reply that is bounded too.
func checkTemplates(k Kind, port uint16, all []MessageTemplate) error {
	if slices.Contains([]uint16{104, 161, 162, 2575, 2762, 11112}, port) {
		return fmt.Errorf("port %d has a protocol with a question of its own; a template cannot go round it", port)
	}
	if len(all) == 0 || len(all) > maxTemplates {
		return fmt.Errorf("%d messages; a %s has 1 to %d", len(all), k, maxTemplates)
	}
	total := 0
	for i, m := range all {
		least, most := m.Times()
		if strings.TrimSpace(m.Words) == "" || len(m.Words) > 120 || !printable(m.Words, "") {
			return fmt.Errorf("message %d: words: 1 to 120 printable characters that say what it is", i+1)
		}
		if least < 0 || most < 1 || least > most || most > maxMessages {
			return fmt.Errorf("message %d: least %d and most %d: how often it may be sent, at most %d times", i+1, least, most, maxMessages)
		}
		total += most
		if err := m.checkParts(); err != nil {
			return fmt.Errorf("message %d: %w", i+1, err)
		}
		if name := m.lookalike(); name != "" {
			return fmt.Errorf("message %d: it can be taken for one of %s, which has a question of its own, at whatever port", i+1, name)
		}
		if err := m.Reply.check(k); err != nil {
			return fmt.Errorf("message %d: reply: %w", i+1, err)
		}
	}
	if least, _ := all[0].Times(); least == 0 {
		return fmt.Errorf("message 1: least: the first message has to be sent")
	}
	if total > maxMessages {
		return fmt.Errorf("%d messages in all; at most %d a visit", total, maxMessages)
	}
	return nil
}

func (m MessageTemplate) checkParts() error {
	if len(m.Parts) == 0 || len(m.Parts) > maxParts {
		return fmt.Errorf("%d parts; 1 to %d are allowed", len(m.Parts), maxParts)
	}
	size, open := 0, -1 // open: a field before this part whose end is not settled by its length
	fixed := false
	for i, p := range m.Parts {
		n, err := p.check()
		if err != nil {
			return fmt.Errorf("part %d: %w", i+1, err)
		}
		if open >= 0 {
			octets, mask := p.Octets()
			if len(octets) == 0 || mask[0] != 0xff || m.Parts[open].In(octets[0]) {
				return fmt.Errorf("part %d: nobody can tell where the field %s before it ends", i+1, m.Parts[open].Field)
			}
			open = -1
		}
		if p.Field != "" && p.Min != p.Max {
			open = i
		}
		_, mask := p.Octets()
		fixed = fixed || slices.Contains(mask, 0xff)
		size += n
	}
	if !fixed {
		return fmt.Errorf("no octet of it is fixed; a message has one at least")
	}
	if size > maxAsk {
		return fmt.Errorf("up to %d octets; at most %d", size, maxAsk)
	}
	return nil
}

// check returns the most octets that the part can have.
func (p MessagePart) check() (int, error) {
	octets, octetErr := hex.DecodeString(p.Bytes)
	mask, maskErr := hex.DecodeString(p.Mask)
	switch {
	case octetErr != nil || maskErr != nil || p.Bytes != strings.ToLower(p.Bytes) || p.Mask != strings.ToLower(p.Mask):
		return 0, fmt.Errorf("bytes and mask are lower-case hex, two digits an octet")
	case (p.Bytes == "") == (p.Field == ""):
		return 0, fmt.Errorf("it has either bytes or a field")
	case p.Bytes != "":
		if p.Charset != "" || p.Min != 0 || p.Max != 0 {
			return 0, fmt.Errorf("charset, min and max belong to a field")
		}
		if p.Mask != "" && len(mask) != len(octets) {
			return 0, fmt.Errorf("mask is as long as bytes")
		}
		for i := range mask {
			if octets[i]&^mask[i] != 0 {
				return 0, fmt.Errorf("bytes are zero where the mask leaves them free")
			}
		}
		return len(octets), nil
	case p.Mask != "":
		return 0, fmt.Errorf("mask belongs to bytes")
	case len(p.Field) > 32 || !printable(p.Field, ""):
		return 0, fmt.Errorf("field: a name of 1 to 32 printable characters")
	case !slices.Contains([]string{"digits", "hex", "upper", "alnum", "printable"}, p.Charset):
		return 0, fmt.Errorf("charset %q is not one of: digits hex upper alnum printable", p.Charset)
	case p.Min < 0 || p.Max < 1 || p.Min > p.Max || p.Max > maxAsk:
		return 0, fmt.Errorf("min %d and max %d: its length in octets", p.Min, p.Max)
	}
	return p.Max, nil
}

func (r ReplyRule) check(k Kind) error {
	most := maxReplyTCP
	if k.Transport() == "udp" {
		most = maxReplyUDP
	}
	if r.Max < 1 || r.Max > most {
		return fmt.Errorf("max: %d octets; 1 to %d", r.Max, most)
	}
	until, err := hex.DecodeString(r.Until)
	ways := 0
	for _, set := range []bool{r.Length != 0, r.Until != "", r.Size != 0} {
		if set {
			ways++
		}
	}
	switch {
	case k.Transport() == "udp":
		if r != (ReplyRule{Max: r.Max}) {
			return fmt.Errorf("a datagram is a reply; only max belongs here")
		}
	case ways != 1:
		return fmt.Errorf("one of length, until and size says where it ends")
	case r.Length < 0 || r.Length > r.Max:
		return fmt.Errorf("length: %d octets of at most %d", r.Length, r.Max)
	case r.Until != "" && (err != nil || len(until) > 8 || r.Until != strings.ToLower(r.Until)):
		return fmt.Errorf("until: 1 to 8 octets in lower-case hex")
	case r.Then < 0 || r.Then > 8 || r.Then != 0 && r.Until == "":
		return fmt.Errorf("then: 0 to 8 octets after until")
	case r.Size != 0 && (r.Size < 1 || r.Size > 2 || r.At < 0 || r.At > r.Max-r.Size || r.Adds < 0 || r.Adds > r.Max):
		return fmt.Errorf("size: a length field of 1 or 2 octets within the reply")
	case r.Size == 0 && (r.At != 0 || r.Adds != 0):
		return fmt.Errorf("at and adds belong to size")
	}
	return nil
}

// cloneMessages copies templates, so that a question cannot be changed through another's.
func cloneMessages(all []MessageTemplate) []MessageTemplate {
	out := slices.Clone(all)
	for i := range out {
		out[i].Parts = slices.Clone(out[i].Parts)
	}
	return out
}

func sameMessages(a, b []MessageTemplate) bool {
	return slices.EqualFunc(a, b, func(m, n MessageTemplate) bool {
		return m.Words == n.Words && m.Least == n.Least && m.Most == n.Most && m.Reply == n.Reply && slices.Equal(m.Parts, n.Parts)
	})
}
