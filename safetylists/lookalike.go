package safetylists

import "slices"

// octets says which octets may stand in one place.
type octets func(byte) bool

func span(from, to byte) octets { return func(c byte) bool { return c >= from && c <= to } }

func one(c byte) octets { return span(c, c) }

// lookalikes are how the messages begin that have a question of their own. A device takes them for what they
// look like, at whatever port it hears them: a SET of SNMP in a template would be a write (WIRE-RULES 2.1).
func lookalikes() map[string][][]octets {
	free := span(0x00, 0xff)
	word := span(0x20, 0x7e)
	all := map[string][][]octets{
		// PS3.8 9.3.2: type, reserved, length, version 1, reserved, the called title.
		"DICOM": {{one(0x01), free, one(0), one(0), free, free, one(0), one(0x01), free, free, word, word}},
		"HL7":   {{one(0x0b), one('M'), one('S'), one('H')}},
	}
	// A sequence whose length has up to four octets, a version of up to four, then the community or the header
	// of version 3: decoders take longer forms than the shortest (S1).
	for length := range 5 {
		for pad := range 4 {
			p := []octets{one(0x30), span(0x00, 0x80)}
			if length > 0 {
				p[1] = one(0x80 | byte(length))
			}
			p = append(append(p, slices.Repeat([]octets{free}, length)...), one(0x02), one(byte(pad+1)))
			p = append(append(p, slices.Repeat([]octets{one(0)}, pad)...), span(0, 3), func(c byte) bool { return c == 0x04 || c == 0x30 })
			all["SNMP"] = append(all["SNMP"], p)
		}
	}
	return all
}

// lookalike names the protocol whose message this one can be taken for, or "".
func (m MessageTemplate) lookalike() string {
	for name, ways := range lookalikes() {
		if slices.ContainsFunc(ways, func(way []octets) bool { return canBegin(m.Parts, way) }) {
			return name
		}
	}
	return ""
}

// canBegin reports whether a message of the parts can have these octets first.
func canBegin(parts []MessagePart, want []octets) bool {
	if len(want) == 0 {
		return true
	}
	if len(parts) == 0 {
		return false
	}
	p := parts[0]
	if p.Field == "" {
		fixed, mask := p.Octets()
		for i := range min(len(fixed), len(want)) {
			if !possible(func(c byte) bool { return c&mask[i] == fixed[i] && want[i](c) }) {
				return false
			}
		}
		return canBegin(parts[1:], want[min(len(fixed), len(want)):])
	}
	for n := 0; n <= p.Max; n++ {
		if n == len(want) || n >= p.Min && canBegin(parts[1:], want[n:]) {
			return true
		}
		if !possible(func(c byte) bool { return p.In(c) && want[n](c) }) {
			return false
		}
	}
	return false
}

func possible(which octets) bool {
	for c := range 256 {
		if which(byte(c)) {
			return true
		}
	}
	return false
}
