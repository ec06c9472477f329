package safetylists

import (
	"encoding/json"
	"fmt"
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
	default:
		return Limits{}
	}
}

// LimitsSpec is how a statement writes limits; an empty field takes the default.
type LimitsSpec struct {
	Rest    string `yaml:"rest,omitempty"`
	Gap     string `yaml:"gap,omitempty"`
	Cap     string `yaml:"cap,omitempty"`
	Reply   string `yaml:"reply,omitempty"`
	Connect string `yaml:"connect,omitempty"`
}

// parse fills the defaults of the kind and refuses what is looser than the hard caps.
func (s LimitsSpec) parse(k Kind) (Limits, error) {
	l := DefaultLimits(k)
	gap := minGapUDP
	if k.Transport() == "tcp" {
		gap = minGapTCP
	}
	for _, f := range []struct {
		name, text string
		to         *time.Duration
		min, max   time.Duration
	}{
		{"rest", s.Rest, &l.Rest, minRest, 365 * 24 * time.Hour}, {"gap", s.Gap, &l.Gap, gap, 24 * time.Hour},
		{"cap", s.Cap, &l.Cap, time.Second, maxCap}, {"reply", s.Reply, &l.Reply, 100 * time.Millisecond, maxReply},
		{"connect", s.Connect, &l.Connect, 100 * time.Millisecond, maxConnect},
	} {
		if f.text == "" {
			continue
		}
		d, err := time.ParseDuration(f.text)
		if err != nil {
			return Limits{}, fmt.Errorf("limits: %s: %q is no duration such as 5s or 24h", f.name, f.text)
		}
		if d < f.min || d > f.max {
			return Limits{}, fmt.Errorf("limits: %s: %s is outside %s to %s", f.name, d, f.min, f.max)
		}
		if f.name == "connect" && k.Transport() == "udp" {
			return Limits{}, fmt.Errorf("limits: connect: a %s has no connection", k)
		}
		*f.to = d
	}
	return l, nil
}

// Valid reports whether the limits are complete and within the hard caps for the kind.
func (l Limits) Valid(k Kind) bool {
	tcp := k.Transport() == "tcp"
	gap := minGapUDP
	if tcp {
		gap = minGapTCP
	}
	return l.Rest >= minRest && l.Gap >= gap && l.Messages >= 1 && l.Messages <= maxMessages &&
		l.Cap > 0 && l.Cap <= maxCap && l.Reply > 0 && l.Reply <= maxReply &&
		(!tcp && l.Connect == 0 || tcp && l.Connect > 0 && l.Connect <= maxConnect)
}

// Tightest returns, field by field, the stricter of both.
func (l Limits) Tightest(m Limits) Limits {
	return Limits{Rest: max(l.Rest, m.Rest), Gap: max(l.Gap, m.Gap), Messages: min(l.Messages, m.Messages),
		Cap: min(l.Cap, m.Cap), Reply: min(l.Reply, m.Reply), Connect: min(l.Connect, m.Connect)}
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
