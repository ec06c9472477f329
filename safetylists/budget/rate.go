package budget

import (
	"time"

	list "primum/safetylists"
)

// Rate is how many packets a budget lets pass: Burst at once, and Per in each Period after that. In any window of a length w
// at most Burst + Per*w/Period pass.
type Rate struct {
	Burst, Per int
	Period     time.Duration
}

// step is the time that one packet takes of the budget, rounded up.
func (r Rate) step() time.Duration {
	return (r.Period + time.Duration(r.Per) - 1) / time.Duration(r.Per)
}

func (r Rate) depth() time.Duration { return time.Duration(r.Burst) * r.step() }

// Most is how many packets pass at most in any window of a length.
func (r Rate) Most(window time.Duration) int { return r.Burst + int(window/r.step()) }

// Scale is what a budget stands over.
type Scale int

// The budgets, from the narrowest on.
const (
	Device Scale = iota // the physical device: its asset tag, address and network card
	Model
	Subnet
	Agent
	Site
	scales
)

func (s Scale) String() string {
	if s < 0 || s >= scales {
		return "nothing"
	}
	return [...]string{"device", "model", "subnet", "agent", "site"}[s]
}

// labTimes is by how much budgets are wider under lab policy, which reaches simulated devices on loopback alone
// (DESIGN 6.10): they are all of one subnet, and asked in seconds.
const labTimes = 100

// Of returns the rate of a budget. It is a constant, no setting: nothing may widen it. A burst is never below the dearest
// conversation, for a question that a budget could never pay would wait for ever.
func Of(s Scale, p list.Policy) Rate {
	n := 1
	if p == list.Lab {
		n = labTimes
	}
	switch s {
	case Device:
		// One dear visit, or some cheap ones: the gap keeps them apart, this keeps many questions from being one long visit (G8).
		return Rate{24, 24, time.Minute}
	case Model:
		// A fault of a model shows at the first few devices; two packets a second leave time to place a hold (G10).
		return Rate{n * 24, n * 120, time.Minute}
	case Subnet:
		// An old switch or a serial gateway before one subnet takes two packets a second beside its own work.
		return Rate{n * 24, n * 120, time.Minute}
	case Agent:
		// Ten packets a second from one address are far below what a network notices of its load (H-034).
		return Rate{n * 60, n * 600, time.Minute}
	}
	// Over an hour the site sees half of what one agent could send: a long run leaves room for a person's question.
	return Rate{n * 600, n * 18_000, time.Hour}
}

// Packets that a conversation may cost, all of it: ours, with opening and closing (PERFORMANCE G8).
const (
	chargeUDP    = 1
	chargeSNMPv3 = 4 // discovery, request, the one repeat (S6), and its resynchronization
	chargeTCP    = 4 // SYN, ACK, message, FIN
	chargeEcho   = 8 // the three messages of an association, with those of TCP
	chargeSlow   = 3 // a connect deadline above the usual lets the kernel send its SYN again (DESIGN 6.14)
	chargeTLS    = 3 // its hello, its end of the handshake, and its close
	usualConnect = 900 * time.Millisecond
	// dearest is twelve messages over TLS with a slow connect. The schema has nothing above.
	dearest = 12 + chargeTCP - 1 + chargeSlow + chargeTLS
)

// Charge is what a question costs of every budget, in packets.
func Charge(q list.Query, l list.Limits) int {
	n := 0
	switch {
	case q.Kind() == list.SNMPGet && q.Spec().SNMPVersion == list.SNMPv3:
		n = chargeSNMPv3
	case q.Kind() == list.DICOMEcho:
		n = chargeEcho
	case q.Kind().Transport() == "udp":
		n = max(chargeUDP, l.Messages)
	default:
		n = chargeTCP - 1 + max(1, l.Messages)
	}
	if l.Connect > usualConnect {
		n += chargeSlow
	}
	if q.Spec().TLSPin != "" {
		n += chargeTLS
	}
	return min(n, dearest)
}
