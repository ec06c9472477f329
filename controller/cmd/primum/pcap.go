package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// The agent's own address and port stand in no record; these are of nobody (RFC 5737, RFC 3849).
const (
	nobody4    = "192.0.2.1"
	nobody6    = "2001:db8::1"
	nobodyPort = 49152
)

// flow is one conversation as packets.
type flow struct {
	start            evidence.Record
	device, agent    netip.Addr
	kind             list.Kind
	sentSeq, gotsSeq uint32 // of TCP: octets of each side so far
}

// capture writes the messages of records as a pcapng file: ours with the octets that the record keeps, secrets blanked;
// the device's with their time and length alone, for nobody keeps what a device says of patients.
type capture struct {
	w     *pcapgo.NgWriter
	flows map[string]*flow // by permit

	Messages, Without, Left int // written; of those without octets; left out, for their beginning is not there
}

func newCapture(w io.Writer, device string) (*capture, error) {
	intf := pcapgo.DefaultNgInterface
	intf.Name, intf.OS, intf.LinkType = "record", "", layers.LinkTypeRaw
	intf.Comment = "Made of the evidence record of device " + device + ". Headers are rebuilt: the agent's address and port are nobody's, and no handshake, acknowledgment or close is in it."
	ng, err := pcapgo.NewNgWriterInterface(w, intf, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "primum touched"}})
	if err != nil {
		return nil, err
	}
	return &capture{w: ng, flows: map[string]*flow{}}, nil
}

// add takes the next record of the device.
func (c *capture) add(t *adminv1.TouchRecord) error {
	r, _, err := evidence.Decode(t.GetRaw())
	if err != nil {
		return fmt.Errorf("record %d of %s: %w", t.GetSeq(), t.GetAgent(), err)
	}
	switch r.Kind {
	case evidence.Started:
		f := &flow{start: r, kind: list.Kind(strings.SplitN(r.Query, " ", 2)[0])}
		if f.device, err = netip.ParseAddr(r.Address); err != nil {
			return fmt.Errorf("record %d of %s: %w", t.GetSeq(), t.GetAgent(), err)
		}
		f.agent = netip.MustParseAddr(nobody4)
		if !f.device.Is4() {
			f.agent = netip.MustParseAddr(nobody6)
		}
		c.flows[r.Permit] = f
	case evidence.Sent, evidence.Got:
		f := c.flows[r.Permit]
		if f == nil {
			c.Left++
			return nil
		}
		return c.message(f, t, r)
	}
	return nil
}

func (c *capture) message(f *flow, t *adminv1.TouchRecord, r evidence.Record) error {
	comments := []string{fmt.Sprintf("record %d of %s, permit %s, SHA-256 %s", t.GetSeq(), short(t.GetAgent()), r.Permit, r.Digest)}
	if r.Words != "" {
		comments = append(comments, r.Words)
	}
	sum := sha256.Sum256(r.Octets)
	kept := len(r.Octets) > 0 && hex.EncodeToString(sum[:]) == r.Digest && len(r.Octets) == r.Length
	switch {
	case kept && f.kind == list.SNMPGet:
		comments = append(comments, "the community is blanked; on the wire the message was longer by it")
	case !kept && len(r.Octets) > 0:
		comments = append(comments, "the octets in the record are not those of its digest, and are left out")
	case !kept:
		comments = append(comments, "the octets of this message are not kept; its length and time are those of the record")
	}
	payload := r.Octets
	if !kept {
		payload = make([]byte, r.Length)
		c.Without++
	}
	whole, header, err := f.packet(r.Kind == evidence.Sent, payload)
	if err != nil {
		return fmt.Errorf("record %d of %s: %w", t.GetSeq(), t.GetAgent(), err)
	}
	info := gopacket.CaptureInfo{Timestamp: r.At, Length: len(whole), CaptureLength: len(whole)}
	if !kept {
		info.CaptureLength = header
	}
	c.Messages++
	return c.w.WritePacketWithOptions(info, whole[:info.CaptureLength], pcapgo.NgPacketOptions{Comments: comments})
}

// packet puts a message into one packet, and says how long its headers are.
func (f *flow) packet(sent bool, payload []byte) (whole []byte, header int, err error) {
	from, to, fromPort, toPort := f.agent, f.device, uint16(nobodyPort), f.start.Port
	mine, other := &f.sentSeq, &f.gotsSeq
	if !sent {
		from, to, fromPort, toPort = to, from, toPort, fromPort
		mine, other = other, mine
	}
	protocol, transport := layers.IPProtocolTCP, gopacket.SerializableLayer(nil)
	if f.kind.Transport() == "udp" {
		protocol = layers.IPProtocolUDP
	}
	var network gopacket.SerializableLayer
	var sums gopacket.NetworkLayer
	if from.Is4() {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: protocol, SrcIP: net.IP(from.AsSlice()), DstIP: net.IP(to.AsSlice())}
		network, sums = ip, ip
	} else {
		ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: protocol, SrcIP: net.IP(from.AsSlice()), DstIP: net.IP(to.AsSlice())}
		network, sums = ip, ip
	}
	if protocol == layers.IPProtocolUDP {
		udp := &layers.UDP{SrcPort: layers.UDPPort(fromPort), DstPort: layers.UDPPort(toPort)}
		err, transport = udp.SetNetworkLayerForChecksum(sums), udp
	} else {
		tcp := &layers.TCP{SrcPort: layers.TCPPort(fromPort), DstPort: layers.TCPPort(toPort), Seq: 1 + *mine, Ack: 1 + *other, ACK: true, PSH: true, Window: 65535}
		err, transport = tcp.SetNetworkLayerForChecksum(sums), tcp
		*mine += uint32(len(payload))
	}
	buf := gopacket.NewSerializeBuffer()
	if err = errors.Join(err, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, network, transport, gopacket.Payload(payload))); err != nil {
		return nil, 0, err
	}
	return slices.Clone(buf.Bytes()), len(buf.Bytes()) - len(payload), nil
}

// writeCapture writes the file of an answer; one that is there is not overwritten.
func (e *env) writeCapture(path string, r *adminv1.Touched) (err error) {
	if r.GetMore() {
		return input("there are more records than one answer holds; ask for a shorter time, so that nothing is missing in %s", path)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return input("%v", err)
	}
	c, err := newCapture(f, short(r.GetDevice()))
	for _, t := range r.GetRecords() {
		if err == nil {
			err = c.add(t)
		}
	}
	if err == nil {
		err = c.w.Flush()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(path))
	}
	if c.Messages == 0 && c.Left == 0 {
		fmt.Fprintf(e.err, "no message of that time is in the record; %s is a capture without any.\n", plain(path))
		return nil
	}
	fmt.Fprintf(e.err, "%s has %d messages as pcapng; of %d the octets are not kept. Our own address stands in it as one that nobody has, %s for IPv4.\n", plain(path), c.Messages, c.Without, nobody4)
	if c.Left > 0 {
		fmt.Fprintf(e.err, "%d more are left out, for their questions began before the time.\n", c.Left)
	}
	return nil
}
