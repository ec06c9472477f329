package relay

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
)

const (
	headerEthernet = 14
	typeIPv4       = 0x0800
	typeARP        = 0x0806
	protoICMP      = 1
	protoTCP       = 6
	protoUDP       = 17
)

// TCP flags (RFC 9293 3.1).
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// Packet is what a rule of the weather may look at.
type Packet struct {
	ToDevice bool
	Device   netip.Addr // its address on the agent's side
	N        int        // number of the packet in its direction of this device, from 1
	Protocol string     // "tcp", "udp" or "icmp"
	Flags    byte       // TCP
	Payload  int        // octets of TCP or UDP data
}

// ipv4 is one packet without options; its octets are changed in place.
type ipv4 struct{ b []byte }

// parse takes the octets of an IPv4 packet. Fragments and options have no place here (G4, G6): ok is false.
func parse(b []byte) (p ipv4, ok bool) {
	if len(b) < 20 || b[0] != 0x45 {
		return p, false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < 20 || n > len(b) || binary.BigEndian.Uint16(b[6:])&0x3fff != 0 {
		return p, false
	}
	p = ipv4{b[:n]}
	switch least := map[byte]int{protoICMP: 8, protoTCP: 20, protoUDP: 8}[p.b[9]]; {
	case least == 0, len(p.data()) < least:
		return p, false
	}
	return p, true
}

func (p ipv4) from() netip.Addr { return netip.AddrFrom4([4]byte(p.b[12:16])) }
func (p ipv4) to() netip.Addr   { return netip.AddrFrom4([4]byte(p.b[16:20])) }
func (p ipv4) data() []byte     { return p.b[20:] }

// shown is what the weather sees of it.
func (p ipv4) shown() Packet {
	d := p.data()
	switch p.b[9] {
	case protoTCP:
		return Packet{Protocol: "tcp", Flags: d[13], Payload: max(0, len(d)-int(d[12]>>4)*4)}
	case protoUDP:
		return Packet{Protocol: "udp", Payload: len(d) - 8}
	}
	return Packet{Protocol: "icmp"}
}

// readdress puts other addresses in, and every checksum right: the kernel leaves those of its own packets to the card.
func (p ipv4) readdress(from, to netip.Addr) {
	src, dst := from.As4(), to.As4()
	if d := p.data(); p.b[9] == protoICMP && len(d) >= 8+20 { // an error carries the packet that it is about, which goes the other way
		copy(d[8+12:], dst[:])
		copy(d[8+16:], src[:])
		sum(d[8:28], 10, 0)
	}
	copy(p.b[12:], src[:])
	copy(p.b[16:], dst[:])
	p.checksums()
}

// resets are what the middle tells both ends in place of a TCP packet: one goes on as if its sender had sent it, one goes back to
// the sender as if from the other. Each has the number that its kernel waits for (RFC 5961 3.2), so long as nothing is under way.
func (p ipv4) resets() (on, back ipv4, ok bool) {
	d := p.data()
	if p.b[9] != protoTCP || d[13]&ACK == 0 || d[13]&RST != 0 {
		return on, back, false
	}
	on, back = ipv4{bytes.Clone(p.b[:40])}, ipv4{bytes.Clone(p.b[:40])}
	for _, r := range []ipv4{on, back} {
		binary.BigEndian.PutUint16(r.b[2:], 40)
		r.data()[12] = 5 << 4
	}
	on.data()[13] = RST | ACK
	copy(back.data(), d[2:4])
	copy(back.data()[2:], d[:2])
	copy(back.data()[4:], d[8:12])
	clear(back.data()[8:12])
	back.data()[13] = RST
	return on, back, true
}

func (p ipv4) checksums() {
	sum(p.b[:20], 10, 0)
	pseudo := uint32(p.b[9]) + uint32(len(p.data()))
	for i := 12; i < 20; i += 2 {
		pseudo += uint32(binary.BigEndian.Uint16(p.b[i:]))
	}
	switch p.b[9] {
	case protoTCP:
		sum(p.data(), 16, pseudo)
	case protoUDP:
		sum(p.data(), 6, pseudo)
	case protoICMP:
		sum(p.data(), 2, 0)
	}
}

// sum writes the Internet checksum (RFC 1071) of b into b at a place, over a sum that is begun.
func sum(b []byte, at int, begun uint32) {
	b[at], b[at+1] = 0, 0
	for i := 0; i+1 < len(b); i += 2 {
		begun += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		begun += uint32(b[len(b)-1]) << 8
	}
	for begun>>16 != 0 {
		begun = begun&0xffff + begun>>16
	}
	out := ^uint16(begun)
	if out == 0 {
		out = 0xffff // of UDP zero means "none"; elsewhere both are the same number
	}
	binary.BigEndian.PutUint16(b[at:], out)
}

func ethernet(to, from net.HardwareAddr, kind uint16, data []byte) []byte {
	out := make([]byte, 0, headerEthernet+len(data))
	out = append(append(out, to...), from...)
	return append(binary.BigEndian.AppendUint16(out, kind), data...)
}

// arp makes an ARP message (RFC 826): op 1 asks, 2 answers.
func arp(op uint16, fromMAC net.HardwareAddr, from netip.Addr, toMAC net.HardwareAddr, to netip.Addr) []byte {
	out := []byte{0, 1, 8, 0, 6, 4}
	out = binary.BigEndian.AppendUint16(out, op)
	src, dst := from.As4(), to.As4()
	out = append(append(out, fromMAC...), src[:]...)
	return append(append(out, toMAC...), dst[:]...)
}

// asked is whose address an ARP request asks for, and who asks.
func asked(b []byte) (who net.HardwareAddr, from, to netip.Addr, ok bool) {
	if len(b) < 28 || binary.BigEndian.Uint16(b[6:]) != 1 {
		return nil, from, to, false
	}
	return net.HardwareAddr(b[8:14]), netip.AddrFrom4([4]byte(b[14:18])), netip.AddrFrom4([4]byte(b[24:28])), true
}
