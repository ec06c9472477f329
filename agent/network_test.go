package agent

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	"primum/agent/internal/whereabouts"
	"primum/plugins/lab"
	"primum/plugins/lab/relay"
	controlv1 "primum/proto/control/v1"
	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// Ports of the glass devices behind the relay.
const (
	netSNMP  = 10161
	netDICOM = 11112
	netHL7   = 12575
)

// seatOf is the n-th device of the network behind the relay.
func seatOf(n int) relay.Seat {
	return relay.Seat{Address: netip.AddrFrom4([4]byte{10, 77, 1, byte(n)}), MAC: net.HardwareAddr{2, 0x77, 0, 0, 0, byte(n)}, Glass: netip.AddrFrom4([4]byte{127, 77, 1, byte(n)})}
}

func tagOf(n int) string { return fmt.Sprintf("net-%02d", n) }

// glassAt is the device of a seat, with all three services. It is not fragile: what the network doubles is counted and breaks nothing.
func glassAt(n int, b lab.Behaviour) lab.DeviceConfig {
	return lab.DeviceConfig{Tag: tagOf(n), Address: seatOf(n).Glass.String(), Manufacturer: papertest.Maker, Model: papertest.Model, Version: "1.0", Hostname: tagOf(n), Behaviour: b, Idle: 15 * time.Second,
		SNMP: &lab.SNMPConfig{Port: netSNMP}, DICOM: &lab.DICOMConfig{Port: netDICOM, CalledAE: "DEVICE"},
		HL7: &lab.HL7Config{Port: netHL7, Site: "SITE", Application: "APP", Facility: "FAC"}}
}

// theNetwork starts the relay and its devices.
func theNetwork(t *testing.T, devices ...lab.DeviceConfig) (*relay.Relay, *lab.Hospital) {
	t.Helper()
	h, err := lab.Start(t.Context(), lab.Config{Name: "network", Community: community, Devices: devices})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	r, err := relay.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r, h
}

// netAgent is an agent under real policy that is to ask the devices of some seats one question each.
func netAgent(t *testing.T, kind list.Kind, seats ...relay.Seat) *testAgent {
	t.Helper()
	port, question := uint16(netSNMP), ""
	switch kind {
	case list.DICOMEcho:
		port, question = netDICOM, `{kind: dicom.echo, port: "11112", calling_ae: PRIMUM}`
	case list.HL7Ack:
		port, question = netHL7, `{kind: hl7.ack, port: "12575", hl7_version: 2.5.1, expect: AA}`
	}
	p := papertest.Make(t, time.Now(), papertest.Options{Policy: list.Real, Address: netip.AddrPortFrom(seats[0].Address, port), Question: question, Condition: "  limits: {reply: 2s}\n"})
	var leases strings.Builder
	first := p.Plan.Items[0]
	p.Plan.Items = nil
	for _, s := range seats {
		item := first
		item.Device.ID, item.Device.Address, item.Device.MAC = s.Address.String(), s.Address, s.MAC.String()
		p.Plan.Items = append(p.Plan.Items, item)
		fmt.Fprintf(&leases, "0 %s %s device *\n", s.MAC, s.Address)
	}
	p.Approve(t)
	h := newAgent(t, p, func(h *testAgent) {
		if err := os.WriteFile(h.places.Leases.Path, []byte(leases.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		h.places.Table = whereabouts.Neighbours
		if err := h.journal.Close(); err != nil {
			t.Fatal(err)
		}
		if err := h.openJournal(); err != nil { // whose guard asks that table too
			t.Fatal(err)
		}
	})
	h.hand()
	return h
}

// orderAll hands over the whole plan.
func (h *testAgent) orderAll() {
	h.t.Helper()
	o := &controlv1.WorkOrder{Order: "o1", Epoch: 1, Plan: h.papers.Digest[:], Permits: h.papers.Permits(h.t), Secrets: h.secrets}
	if _, err := (*local)(h.Agent).Order(o); err != nil {
		h.t.Fatal(err)
	}
}

// visitors are the ports of ours that a capture saw open a connection.
func visitors(lines []string) map[string]int {
	opened := regexp.MustCompile(`IP 10\.77\.0\.1\.(\d+) > [0-9.]+: Flags \[S\]`)
	out := map[string]int{}
	for _, l := range lines {
		if m := opened.FindStringSubmatch(l); m != nil {
			out[m[1]]++
		}
	}
	return out
}

// number applies a rule to some packets of one direction, and is fair to the others.
func number(toDevice bool, rule relay.Weather, numbers ...int) relay.Weather {
	return func(p relay.Packet) []relay.Copy {
		for _, n := range numbers {
			if p.ToDevice == toDevice && p.N == n {
				return rule(p)
			}
		}
		return relay.Fair(p)
	}
}

// cut is a network in which the packets of one direction are lost from a number on, until it is whole again: after the
// agent has given up, and before the device does.
func cut(n int, toDevice bool) relay.Weather {
	var since time.Time
	return func(p relay.Packet) []relay.Copy {
		if p.N < n || p.ToDevice != toDevice {
			return relay.Fair(p)
		}
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) < 2600*time.Millisecond {
			return nil
		}
		return relay.Fair(p)
	}
}

// G5 to G7, S2, D4, H9: whatever the network does, the agent sends one datagram or opens one connection, never asks
// again, takes no answer that comes late or from elsewhere, tells nobody that a port is closed, resets nothing, and
// names the outcome. What the network doubled is told from what was sent by counting at the agent's end.
func TestWhateverTheNetworkDoesADeviceIsAskedOnce(t *testing.T) {
	moment := 700 * time.Millisecond
	elsewhere := func(from netip.AddrPort) relay.Weather {
		return relay.Answers(func(relay.Packet) []relay.Copy { return []relay.Copy{{From: from}} })
	}
	cases := []struct {
		name    string
		kind    list.Kind
		weather relay.Weather
		want    evidence.State
		heard   int // messages at the device; those of a datagram that the network doubled count too
	}{
		{name: "snmp, fair", kind: list.SNMPGet, weather: relay.Fair, want: evidence.Answered, heard: 1},
		{name: "snmp, slow", kind: list.SNMPGet, weather: relay.Late(moment / 2), want: evidence.Answered, heard: 1},
		{name: "snmp, question lost", kind: list.SNMPGet, weather: relay.Questions(relay.Partition), want: evidence.Absent},
		{name: "snmp, answer lost", kind: list.SNMPGet, weather: relay.Answers(relay.Partition), want: evidence.Absent, heard: 1},
		{name: "snmp, question doubled", kind: list.SNMPGet, weather: relay.Questions(relay.Twice), want: evidence.Answered, heard: 2},
		{name: "snmp, answer doubled", kind: list.SNMPGet, weather: relay.Answers(relay.Twice), want: evidence.Answered, heard: 1},
		{name: "snmp, answer late", kind: list.SNMPGet, weather: relay.Answers(relay.Late(2200 * time.Millisecond)), want: evidence.Absent, heard: 1},
		{name: "snmp, answer from another port", kind: list.SNMPGet, weather: elsewhere(netip.MustParseAddrPort("10.77.1.8:161")), want: evidence.Absent, heard: 1},
		{name: "snmp, answer from another address", kind: list.SNMPGet, weather: elsewhere(netip.MustParseAddrPort("10.77.1.99:10161")), want: evidence.Absent, heard: 1},
		{name: "dicom, fair", kind: list.DICOMEcho, weather: relay.Fair, want: evidence.Answered, heard: 3},
		{name: "dicom, every packet late", kind: list.DICOMEcho, weather: relay.Late(moment / 4), want: evidence.Answered, heard: 3},
		{name: "dicom, every packet doubled", kind: list.DICOMEcho, weather: relay.Twice, want: evidence.Answered, heard: 3},
		{name: "dicom, reordered", kind: list.DICOMEcho, weather: relay.Swapped(moment / 20), want: evidence.Answered, heard: 3},
		{name: "dicom, our second to fifth packets lost once", kind: list.DICOMEcho, weather: number(true, relay.Partition, 2, 3, 5), want: evidence.Answered, heard: 3},
		{name: "dicom, its second to fifth packets lost once", kind: list.DICOMEcho, weather: number(false, relay.Partition, 2, 3, 5), want: evidence.Answered, heard: 3},
		{name: "dicom, no way there", kind: list.DICOMEcho, weather: relay.Questions(relay.Partition), want: evidence.Absent},
		{name: "dicom, no way back", kind: list.DICOMEcho, weather: relay.Answers(relay.Partition), want: evidence.Absent},
		{name: "dicom, cut after the association", kind: list.DICOMEcho, weather: cut(4, true), want: evidence.Distress, heard: 3},
		{name: "hl7, fair", kind: list.HL7Ack, weather: relay.Fair, want: evidence.Answered, heard: 1},
		{name: "hl7, message and acknowledgment lost once", kind: list.HL7Ack, weather: func(p relay.Packet) []relay.Copy {
			if p.N == 3 {
				return nil
			}
			return relay.Fair(p)
		}, want: evidence.Answered, heard: 1},
		{name: "hl7, every packet doubled", kind: list.HL7Ack, weather: relay.Twice, want: evidence.Answered, heard: 1},
		{name: "hl7, acknowledgment never comes", kind: list.HL7Ack, weather: cut(2, false), want: evidence.Absent, heard: 1},
	}
	var devices []lab.DeviceConfig
	weathers := map[netip.Addr]relay.Weather{}
	for n, c := range cases {
		devices = append(devices, glassAt(n+1, lab.Behaviour{}))
		weathers[seatOf(n+1).Address] = c.weather
	}
	network, hospital := theNetwork(t, devices...)
	network.Set(func(p relay.Packet) []relay.Copy {
		return weathers[p.Device](p)
	})
	stranger := seatOf(99) // whom an answer seems to come from
	weathers[stranger.Address] = relay.Fair
	network.Put(stranger)
	all := startCaptureOn(t, relay.Near, "ip")
	agents := map[int]*testAgent{}
	for n := 0; n < len(cases); n++ {
		// One agent for all datagrams; the budgets of real policy do not let it hold as many connections of a subnet at once.
		first, seats := n, []relay.Seat{seatOf(n + 1)}
		for cases[n].kind == list.SNMPGet && n+1 < len(cases) && cases[n+1].kind == list.SNMPGet {
			n++
			seats = append(seats, seatOf(n+1))
		}
		h := netAgent(t, cases[n].kind, seats...)
		for i, s := range seats {
			network.Put(s)
			agents[first+i] = h
		}
		h.orderAll()
	}
	for n, c := range cases { // all are under way at once
		if got := agents[n].outcomeOf(seatOf(n + 1).Address.String()); got.State != c.want || c.want == evidence.Absent && len(got.Facts) != 0 {
			t.Errorf("%s: outcome %+v, want %s", c.name, got, c.want)
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for n, c := range cases { // what was cut comes to its end
		ended := func() bool {
			count := network.Count(seatOf(n + 1).MAC)
			return count.Answers.FIN > 0 && count.Delivered.FIN > 0
		}
		for c.kind != list.SNMPGet && c.heard > 0 && !ended() && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
		}
	}
	time.Sleep(moment) // for the answer that is late, and what the kernel might say to it
	report, lines := hospital.Report(), all.lines()
	for n, c := range cases {
		seat := seatOf(n + 1)
		d, _ := report.Device(tagOf(n + 1))
		count := network.Count(seat.MAC)
		sent := count.Sent
		var own []string
		for _, l := range lines {
			if strings.Contains(l, "10.77.0.1.") && strings.Contains(l, seat.Address.String()+".") {
				own = append(own, l)
			}
		}
		if c.kind == list.SNMPGet {
			if asked := len(regexp.MustCompile(`(?m)^IP 10\.77\.0\.1\.\d+ > `+regexp.QuoteMeta(seat.Address.String())).FindAllString(strings.Join(own, "\n"), -1)); asked != 1 || sent.UDP != 1 || sent.TCP != 0 || d.Messages != c.heard {
				t.Errorf("%s: tcpdump saw %d datagrams of ours, the relay %+v, the device %d", c.name, asked, count, d.Messages)
			}
		} else if v := visitors(own); len(v) != 1 || d.Connections > 1 || d.Messages != c.heard || sent.UDP != 0 {
			t.Errorf("%s: connections from %v, device %+v", c.name, v, d)
		}
		if sent.ICMP != 0 || sent.RST != 0 || d.RefusedAnswers != 0 {
			t.Errorf("%s: the agent's end sent %+v; %d answers were refused", c.name, sent, d.RefusedAnswers)
		}
		if d.UnapprovedBytes != 0 || d.Harmed() != strings.Contains(c.name, "question doubled") {
			t.Errorf("%s: %+v", c.name, d)
		}
		if c.kind != list.SNMPGet && c.heard > 0 && (sent.FIN == 0 || count.Answers.FIN == 0) {
			t.Errorf("%s: no end: %+v", c.name, count)
		}
	}
	if c := network.Count(stranger.MAC); c.Sent != (relay.Tally{}) {
		t.Errorf("somebody else was sent %+v", c.Sent)
	}
	if network.Odd() != 0 {
		t.Errorf("%d packets that have no place on this network", network.Odd())
	}
}
