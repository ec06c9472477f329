package guard

import (
	"slices"
	"time"

	"primum/safetylists/evidence"
)

// Vitals is what a device was like before a conversation, from what its earlier answers told (G10, G11). The zero value
// is a device that nobody has asked.
type Vitals struct {
	Sent     time.Time        // the last message to it before this conversation
	Uptime   *uint32          // as it last told, in hundredths of a second
	Told     time.Time        // when that was
	Engine   *evidence.Engine // SNMPv3, as it last said
	Baseline time.Duration    // what an answer to this question took before: the median of the last five; 0: nobody knows
}

// sign is what is remembered of one device.
type sign struct {
	Sent   time.Time
	Uptime *uint32
	Told   time.Time
	Engine *evidence.Engine
	Took   map[string][]int64 // question to microseconds, the newest last
}

const kept = 5

// feel takes one record into what is known of a device's vital signs, before note forgets what is open.
func (m *memory) feel(r evidence.Record) {
	s, ok := m.Open[r.Permit]
	if !ok || r.Kind != evidence.Sent && r.Kind != evidence.Outcome {
		return
	}
	v := m.Signs[s.Record.Device]
	if v == nil {
		v = &sign{Took: map[string][]int64{}}
		m.Signs[s.Record.Device] = v
	}
	switch {
	case r.Kind == evidence.Sent:
		v.Sent = r.At
	case r.Result != nil:
		if r.Result.Uptime != nil {
			v.Uptime, v.Told = r.Result.Uptime, r.At
		}
		if r.Result.Engine != nil {
			v.Engine = r.Result.Engine
		}
		if q := s.Record.Query; r.Result.State == evidence.Answered && r.Result.TookUS > 0 {
			all := append(v.Took[q], r.Result.TookUS)
			v.Took[q] = all[max(0, len(all)-kept):]
		}
	}
}

func (m *memory) vitals(device, query string) Vitals {
	v := m.Signs[device]
	if v == nil {
		return Vitals{}
	}
	out := Vitals{Sent: v.Sent, Uptime: v.Uptime, Told: v.Told, Engine: v.Engine}
	if all := slices.Sorted(slices.Values(v.Took[query])); len(all) > 0 {
		out.Baseline = time.Duration(all[len(all)/2]) * time.Microsecond
	}
	return out
}

// Before is what the device was like before this conversation.
func (t *Ticket) Before() Vitals { return t.before }
