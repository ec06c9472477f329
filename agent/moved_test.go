package agent

import (
	"strings"
	"testing"
	"time"

	"primum/plugins/lab"
	"primum/plugins/lab/relay"
	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// H-044, H-003: an address that moves to another device in the middle of a task. The device's own card and address
// stand in the lease file; the neighbour table tells who answers. Nothing further goes to the newcomer, nor what the
// kernel had still to say, and the outcome names the reason and the other card: the device that was asked is not blamed.
func TestAnAddressThatMovesInMidTaskIsSentNothingMore(t *testing.T) {
	const were, arrive = 101, 151 // the first seats of those that were there, and of the newcomers
	cases := []struct {
		name  string
		kind  list.Kind
		when  func(relay.Packet) bool // the address moves as this packet comes by; nil: before all
		lost  bool                    // with that packet
		heard int                     // messages at the device that was there
		sent  relay.Tally             // to the newcomer: what no neighbour table could tell before, or the kernel repeats before it is found
	}{
		{name: "snmp, before the question", kind: list.SNMPGet, sent: relay.Tally{UDP: 1}},
		{name: "snmp, before the answer", kind: list.SNMPGet, heard: 1, lost: true,
			when: func(p relay.Packet) bool { return !p.ToDevice }},
		{name: "dicom, before the connection", kind: list.DICOMEcho, sent: relay.Tally{TCP: 4, SYN: 1, FIN: 1}},
		{name: "dicom, in the association", kind: list.DICOMEcho, heard: 1,
			when: func(p relay.Packet) bool { return !p.ToDevice && p.Payload > 0 }},
		{name: "dicom, with the question on its way", kind: list.DICOMEcho, heard: 1, lost: true, sent: relay.Tally{TCP: 1, Payload: 1},
			when: func(p relay.Packet) bool { return p.ToDevice && p.Payload > 0 && p.N > 4 }},
		{name: "hl7, before the acknowledgment", kind: list.HL7Ack, heard: 1, lost: true,
			when: func(p relay.Packet) bool { return !p.ToDevice && p.Payload > 0 }},
	}
	var devices []lab.DeviceConfig
	for n := range cases {
		newcomer := glassAt(arrive+n, lab.Behaviour{})
		newcomer.Nothing, newcomer.Fragile = true, true
		devices = append(devices, glassAt(were+n, lab.Behaviour{}), newcomer)
	}
	network, hospital := theNetwork(t, devices...)
	moved := map[string]bool{}
	newcomer := func(n int) relay.Seat {
		s := seatOf(arrive + n)
		s.Address = seatOf(were + n).Address
		return s
	}
	network.Set(func(p relay.Packet) []relay.Copy {
		for n, c := range cases {
			if p.Device != seatOf(were+n).Address || moved[c.name] || c.when == nil || !c.when(p) {
				continue
			}
			moved[c.name] = true
			go network.Put(newcomer(n))
			if c.lost {
				return nil
			}
		}
		return relay.Fair(p)
	})
	wire := startCaptureOn(t, relay.Near, "ip")
	var agents []*testAgent
	for n, c := range cases {
		network.Put(seatOf(were + n))
		if c.when == nil {
			network.Put(newcomer(n))
		}
		h := netAgent(t, c.kind, seatOf(were+n))
		h.orderAll()
		agents = append(agents, h)
	}
	for n, c := range cases {
		got := agents[n].outcome()
		if got.Reason != list.AddressMoved || got.State != evidence.Stopped || len(got.Facts) != 0 || !strings.Contains(got.Detail, newcomer(n).MAC.String()) {
			t.Errorf("%s: outcome %+v", c.name, got)
		}
		if open := agents[n].guard.Open(); len(open) != 0 {
			t.Errorf("%s: open tasks %v", c.name, open)
		}
	}
	time.Sleep(3 * time.Second) // for what the kernel might repeat
	report := hospital.Report()
	for n, c := range cases {
		old, _ := report.Device(tagOf(were + n))
		next, _ := report.Device(tagOf(arrive + n))
		count := network.Count(newcomer(n).MAC)
		if old.Messages != c.heard {
			t.Errorf("%s: the device that was there heard %+v", c.name, old)
		}
		if next.Messages != c.sent.UDP || next.Connections != c.sent.SYN || count.Sent != c.sent {
			t.Errorf("%s: the newcomer was sent %+v and heard %+v", c.name, count.Sent, next)
		}
	}
	if t.Failed() {
		t.Log(strings.Join(wire.lines(), "\n"))
	}
}
