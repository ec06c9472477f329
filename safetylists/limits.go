package safetylists

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Limits is the pace of a question. The zero value is no pace and is refused by every consumer;
// [DefaultLimits] gives the defaults of a kind (DESIGN 6.1, G3, D5, H11).
type Limits struct {
	Rest     time.Duration // least time between two visits for the same question
	Gap      time.Duration // least time after the last byte of this conversation (G8)
	Messages int           // most messages we send in the conversation
	Cap      time.Duration // most time from the first byte to the last
	Reply    time.Duration // wait for one reply
	Connect  time.Duration // TCP connect deadline; 0 for UDP (G3)
}

// Hard caps of the schema: a list can name stricter values only.
const (
	minGapUDP   = 3 * time.Second
	minGapTCP   = 30 * time.Second
	minRest     = time.Hour
	maxMessages = 12
	maxCap      = 30 * time.Second
	maxReply    = 10 * time.Second
	maxConnect  = 3 * time.Second
)

// DefaultLimits returns the limits of a kind when an allowance names none.
func DefaultLimits(k Kind) Limits {
	switch k {
	case DICOMEcho:
		return Limits{Rest: 24 * time.Hour, Gap: 60 * time.Second, Messages: 3, Cap: 10 * time.Second, Reply: 5 * time.Second, Connect: 900 * time.Millisecond}
	case HL7Ack:
		return Limits{Rest: 24 * time.Hour, Gap: 60 * time.Second, Messages: 1, Cap: 15 * time.Second, Reply: 10 * time.Second, Connect: 900 * time.Millisecond}
	case SNMPGet:
		return Limits{Rest: 24 * time.Hour, Gap: 5 * time.Second, Messages: 1, Cap: 5 * time.Second, Reply: 2 * time.Second}
	}
	switch {
	case !k.Vendor():
		return Limits{}
	case k.Transport() == "udp":
		return Limits{Rest: 24 * time.Hour, Gap: 5 * time.Second, Messages: 1, Cap: 10 * time.Second, Reply: 2 * time.Second}
	default:
		return Limits{Rest: 24 * time.Hour, Gap: 60 * time.Second, Messages: 1, Cap: 10 * time.Second, Reply: 5 * time.Second, Connect: 900 * time.Millisecond}
	}
}

// defaults are those of the kind, with the messages that the rule's own conversation may take: an SNMPv3 one a
// discovery, the request and its one repeat (S6).
func (r QuestionRule) defaults() Limits {
	l := DefaultLimits(r.Kind)
	if r.SNMPVersion == SNMPv3 {
		l.Messages = 3
	}
	for i, m := range r.Messages {
		if i == 0 {
			l.Messages = 0
		}
		_, most := m.Times()
		l.Messages += most
	}
	return l
}

// DefaultLimits returns the limits of the question when an allowance names none.
func (q Query) DefaultLimits() Limits {
	return QuestionRule{Kind: q.spec.Kind, SNMPVersion: q.spec.SNMPVersion, Messages: q.spec.Messages}.defaults()
}

// LimitsSpec is how a statement writes limits; an empty field takes the default.
type LimitsSpec struct {
	Rest     string `yaml:"rest,omitempty"`     // least time between two visits
	Gap      string `yaml:"gap,omitempty"`      // least time after the last octet
	Cap      string `yaml:"cap,omitempty"`      // most time of one visit
	Reply    string `yaml:"reply,omitempty"`    // wait for one reply
	Connect  string `yaml:"connect,omitempty"`  // connect deadline
	Messages int    `yaml:"messages,omitempty"` // most messages of one visit
}

// parse fills the defaults of the rule and refuses what is looser than the hard caps.
func (s LimitsSpec) parse(r QuestionRule) (Limits, error) {
	k := r.Kind
	named, err := s.named()
	if err != nil {
		return Limits{}, err
	}
	l := r.defaults()
	for _, f := range []struct {
		name   string
		is     time.Duration
		to     *time.Duration
		min    time.Duration
		reason string
	}{
		{"gap", named.Gap, &l.Gap, leastGap(k), "the least gap"},
		{"rest", named.Rest, &l.Rest, minRest, "the least rest"},
		{"cap", named.Cap, &l.Cap, time.Second, "a second"},
		{"reply", named.Reply, &l.Reply, 100 * time.Millisecond, "a tenth of a second"},
		{"connect", named.Connect, &l.Connect, 100 * time.Millisecond, "a tenth of a second"},
	} {
		switch {
		case f.is == 0:
			continue
		case f.is < f.min:
			return Limits{}, fmt.Errorf("limits: %s: %s is below %s, %s", f.name, f.is, f.reason, f.min)
		case f.name == "connect" && k.Transport() == "udp":
			return Limits{}, fmt.Errorf("limits: connect: a %s has no connection", k)
		}
		*f.to = f.is
	}
	if named.Messages != 0 {
		if named.Messages < l.Messages {
			return Limits{}, fmt.Errorf("limits: messages: %d are too few: a %s takes %d", named.Messages, k, l.Messages)
		}
		l.Messages = named.Messages
	}
	return l, nil
}

// named reads the fields that are written, within the hard caps; the others are zero.
func (s LimitsSpec) named() (Limits, error) {
	var l Limits
	for _, f := range []struct {
		name, text string
		to         *time.Duration
		max        time.Duration
	}{
		{"rest", s.Rest, &l.Rest, 365 * 24 * time.Hour}, {"gap", s.Gap, &l.Gap, 24 * time.Hour}, {"cap", s.Cap, &l.Cap, maxCap},
		{"reply", s.Reply, &l.Reply, maxReply}, {"connect", s.Connect, &l.Connect, maxConnect},
	} {
		if f.text == "" {
			continue
		}
		d, err := time.ParseDuration(f.text)
		if err != nil || d <= 0 {
			return Limits{}, fmt.Errorf("limits: %s: %q is no duration such as 5s or 24h", f.name, f.text)
		}
		if d > f.max {
			return Limits{}, fmt.Errorf("limits: %s: %s is above %s", f.name, d, f.max)
		}
		*f.to = d
	}
	if s.Messages < 0 || s.Messages > maxMessages {
		return Limits{}, fmt.Errorf("limits: messages: %d is outside 1 to %d", s.Messages, maxMessages)
	}
	l.Messages = s.Messages
	return l, nil
}

// stricter reads a site's tightening: it names at least one field, and a cap that still lets a
// conversation be ended well.
func (s LimitsSpec) stricter() (Limits, error) {
	l, err := s.named()
	switch {
	case err != nil:
		return Limits{}, err
	case l == Limits{}:
		return Limits{}, fmt.Errorf("limits: none is named")
	case l.Cap != 0 && l.Cap < time.Second, l.Reply != 0 && l.Reply < 100*time.Millisecond, l.Connect != 0 && l.Connect < 100*time.Millisecond:
		return Limits{}, fmt.Errorf("limits: cap is at least 1s, reply and connect 100ms")
	case l.Messages != 0:
		return Limits{}, fmt.Errorf("limits: messages: a conversation takes as many as it takes; deny the question instead")
	}
	return l, nil
}

// stricter returns l with each field that m names made at least as strict.
func (l Limits) stricter(m Limits) Limits {
	l.Rest, l.Gap = max(l.Rest, m.Rest), max(l.Gap, m.Gap)
	for _, f := range []struct {
		to *time.Duration
		is time.Duration
	}{{&l.Cap, m.Cap}, {&l.Reply, m.Reply}, {&l.Connect, m.Connect}} {
		if f.is != 0 {
			*f.to = min(*f.to, f.is)
		}
	}
	return l
}

func leastGap(k Kind) time.Duration {
	if k.Transport() == "tcp" {
		return minGapTCP
	}
	return minGapUDP
}

// Valid reports whether the limits are complete and within the hard caps for the kind.
func (l Limits) Valid(k Kind) bool {
	tcp := k.Transport() == "tcp"
	return l.Rest >= minRest && l.Gap >= leastGap(k) && l.Messages >= 1 && l.Messages <= maxMessages &&
		l.Cap > 0 && l.Cap <= maxCap && l.Reply > 0 && l.Reply <= maxReply &&
		(!tcp && l.Connect == 0 || tcp && l.Connect > 0 && l.Connect <= maxConnect)
}

// Tightest returns, field by field, the stricter of both.
func (l Limits) Tightest(m Limits) Limits {
	return Limits{Rest: max(l.Rest, m.Rest), Gap: max(l.Gap, m.Gap), Messages: min(l.Messages, m.Messages),
		Cap: min(l.Cap, m.Cap), Reply: min(l.Reply, m.Reply), Connect: min(l.Connect, m.Connect)}
}

// Span is a duration as a person writes it: 24 h, 1 min 30 s, 900 ms. No time at all is empty.
func Span(d time.Duration) string {
	var parts []string
	for _, u := range []struct {
		is   time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := d / u.is; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
			d -= n * u.is
		}
	}
	return strings.Join(parts, " ")
}

// limitsJSON writes durations in milliseconds.
type limitsJSON struct {
	RestMS    int64 `json:"rest_ms"`
	GapMS     int64 `json:"gap_ms"`
	Messages  int   `json:"messages"`
	CapMS     int64 `json:"cap_ms"`
	ReplyMS   int64 `json:"reply_ms"`
	ConnectMS int64 `json:"connect_ms"`
}

// MarshalJSON writes every duration as whole milliseconds.
func (l Limits) MarshalJSON() ([]byte, error) {
	return json.Marshal(limitsJSON{l.Rest.Milliseconds(), l.Gap.Milliseconds(), l.Messages,
		l.Cap.Milliseconds(), l.Reply.Milliseconds(), l.Connect.Milliseconds()})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (l *Limits) UnmarshalJSON(b []byte) error {
	var j limitsJSON
	if err := decodeStrict(b, &j); err != nil {
		return fmt.Errorf("read limits: %w", err)
	}
	ms := time.Millisecond
	*l = Limits{time.Duration(j.RestMS) * ms, time.Duration(j.GapMS) * ms, j.Messages,
		time.Duration(j.CapMS) * ms, time.Duration(j.ReplyMS) * ms, time.Duration(j.ConnectMS) * ms}
	return nil
}
