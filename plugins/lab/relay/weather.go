package relay

import (
	"net/netip"
	"time"
)

// Copy is one delivery of a packet. The zero value delivers it as it came.
type Copy struct {
	After time.Duration
	From  netip.AddrPort // of an answer: the address and port that it seems to come from, where one is set
	Reset bool           // in place of a TCP packet that has an ACK both ends get a reset, as some firewalls do (RFC 9293 3.10.7.4); any other is lost
}

// Weather says how often and when a packet is delivered; with no copy it is lost. It is called for one packet at a time.
type Weather func(Packet) []Copy

// Fair delivers everything once and at once.
func Fair(Packet) []Copy { return []Copy{{}} }

// Partition delivers nothing in either direction.
func Partition(Packet) []Copy { return nil }

// Late delays everything, each way.
func Late(d time.Duration) Weather {
	return func(Packet) []Copy { return []Copy{{After: d}} }
}

// Twice delivers everything twice, the copy right behind.
func Twice(Packet) []Copy { return []Copy{{}, {}} }

// Swapped delays every second packet of each direction, so that the one after it overtakes it.
func Swapped(d time.Duration) Weather {
	return func(p Packet) []Copy {
		if p.N%2 == 0 {
			return []Copy{{After: d}}
		}
		return []Copy{{}}
	}
}

// Answers applies a rule to what comes from the devices, and is fair to what goes to them.
func Answers(rule Weather) Weather {
	return func(p Packet) []Copy {
		if p.ToDevice {
			return Fair(p)
		}
		return rule(p)
	}
}

// Questions applies a rule to what goes to the devices, and is fair to what comes from them.
func Questions(rule Weather) Weather {
	return func(p Packet) []Copy {
		if p.ToDevice {
			return rule(p)
		}
		return Fair(p)
	}
}
