package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"primum/plugins/lab/namespace"
)

// The agent's address, and what stands for it before the glass devices: an address of this machine must not come in
// from outside.
var (
	agentAddress = netip.MustParseAddr("10.77.0.1")
	gateAddress  = netip.MustParseAddr("10.88.0.1")
	standIn      = netip.MustParseAddr("10.88.0.2")
	standInMAC   = net.HardwareAddr{2, 0x88, 0, 0, 0, 2}
)

// Agent is the address that the agent asks from.
func Agent() netip.Addr { return agentAddress }

// Seat is one device on the network.
type Seat struct {
	Address netip.Addr // in 10.77.0.0/16
	MAC     net.HardwareAddr
	Glass   netip.Addr // where its glass device is, in 127.0.0.0/8; each seat has its own
}

// Count is what one device was sent, or sent, in packets. Sent is counted at the agent's end, before the weather;
// Delivered at the device's end, after it.
type Count struct {
	Sent, Delivered Tally // to the device
	Answers         Tally // from the device, before the weather
}

// Tally counts packets.
type Tally struct {
	UDP, ICMP, TCP int
	SYN, FIN, RST  int // TCP packets that have the flag
	Payload        int // TCP packets with data
}

func (t *Tally) add(p Packet) {
	switch p.Protocol {
	case "udp":
		t.UDP++
		return
	case "icmp":
		t.ICMP++
		return
	}
	t.TCP++
	for flag, n := range map[byte]*int{SYN: &t.SYN, FIN: &t.FIN, RST: &t.RST} {
		if p.Flags&flag != 0 {
			*n++
		}
	}
	if p.Payload > 0 {
		t.Payload++
	}
}

// Relay carries packets between the agent and the devices until it is closed.
type Relay struct {
	near, far *os.File
	agentMAC  net.HardwareAddr
	gateMAC   net.HardwareAddr
	group     sync.WaitGroup
	done      chan struct{}

	mu      sync.Mutex
	seats   map[string]Seat // by MAC; guarded by mu, as is all below
	weather Weather
	counts  map[string]*Count // by MAC
	numbers map[string]int    // of packets, by MAC and direction
	odd     int               // what no rule of this package has a place for
	err     error
}

// Start lays the cables and carries packets in fair weather. Nobody is on the network yet.
func Start() (*Relay, error) {
	if _, inside := namespace.Word(); !inside {
		return nil, errors.New("the relay starts only in a network namespace that the test has made")
	}
	if err := lay(); err != nil {
		return nil, err
	}
	r := &Relay{done: make(chan struct{}), seats: map[string]Seat{}, weather: Fair, counts: map[string]*Count{}, numbers: map[string]int{}}
	err := func() error {
		var err error
		for name, mac := range map[string]*net.HardwareAddr{Near: &r.agentMAC, Far: &r.gateMAC} {
			i, err := net.InterfaceByName(name)
			if err != nil {
				return err
			}
			*mac = i.HardwareAddr
		}
		if r.near, err = listen(nearEnd); err != nil {
			return err
		}
		r.far, err = listen(farEnd)
		return err
	}()
	if err != nil {
		if r.near != nil {
			r.near.Close()
		}
		return nil, errors.Join(fmt.Errorf("start the relay: %w", err), cut())
	}
	r.group.Go(func() { r.carry(r.near, r.fromAgent) })
	r.group.Go(func() { r.carry(r.far, r.fromDevice) })
	return r, nil
}

// Close takes the network away and says what went wrong on it. What is still delayed is lost.
func (r *Relay) Close() error {
	close(r.done)
	err := errors.Join(r.near.Close(), r.far.Close())
	r.group.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(err, r.err, cut())
}

// Put puts a device on the network, in place of the one that had its address: that one can be reached no more. The
// newcomer tells its neighbours (RFC 5227 2.3), as a machine does that was given an address.
func (r *Relay) Put(s Seat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unplug(s.Address)
	r.seats[string(s.MAC)] = s
	if r.counts[string(s.MAC)] == nil {
		r.counts[string(s.MAC)] = &Count{}
	}
	r.write(r.near, ethernet(bytes.Repeat([]byte{0xff}, 6), s.MAC, typeARP, arp(1, s.MAC, s.Address, make([]byte, 6), s.Address)))
}

// Unplug takes a device off the network.
func (r *Relay) Unplug(address netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unplug(address)
}

func (r *Relay) unplug(address netip.Addr) {
	for mac, s := range r.seats {
		if s.Address == address {
			delete(r.seats, mac)
		}
	}
}

// Set changes the weather from the next packet on. Numbers of packets begin anew.
func (r *Relay) Set(w Weather) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.weather = w
	clear(r.numbers)
}

// Count returns what was counted of the device with a network card. Frames to a card that is on the network no more
// are counted as sent to it.
func (r *Relay) Count(mac net.HardwareAddr) Count {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.counts[string(mac)]; c != nil {
		return *c
	}
	return Count{}
}

// Odd counts the IPv4 packets that have no place on this network: fragments, options, other protocols, other addresses.
func (r *Relay) Odd() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.odd
}

func (r *Relay) carry(from *os.File, take func([]byte)) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				r.mu.Lock()
				r.err = errors.Join(r.err, err)
				r.mu.Unlock()
			}
			return
		}
		if n >= headerEthernet {
			take(bytes.Clone(buf[:n]))
		}
	}
}

// write sends a frame; the caller holds r.mu.
func (r *Relay) write(to *os.File, frame []byte) {
	if _, err := to.Write(frame); err != nil && !errors.Is(err, os.ErrClosed) {
		r.err = errors.Join(r.err, err)
	}
}

// fromAgent takes a frame of the agent's kernel: a switch brings it to the network card that it names.
func (r *Relay) fromAgent(f []byte) {
	switch binary.BigEndian.Uint16(f[12:]) {
	case typeARP:
		if who, from, to, ok := asked(f[headerEthernet:]); ok {
			r.answerARP(who, from, to)
		}
		return
	case typeIPv4:
	default:
		return
	}
	mac := net.HardwareAddr(f[:6])
	p, ok := parse(f[headerEthernet:])
	r.mu.Lock()
	defer r.mu.Unlock()
	count := r.counts[string(mac)]
	if !ok || count == nil || p.from() != agentAddress {
		r.odd++
		return
	}
	shown := p.shown()
	count.Sent.add(shown)
	s, there := r.seats[string(mac)]
	if !there || s.Address != p.to() {
		return
	}
	for _, c := range r.rule(shown, s, true) {
		r.after(c.After, func() {
			if _, there := r.seats[string(mac)]; !there {
				return
			}
			if !c.Reset {
				r.toDevice(s, p)
			} else if on, back, ok := p.resets(); ok {
				r.toDevice(s, on)
				r.toAgent(s, s.Address, back)
			}
		})
	}
}

// toDevice brings a packet to the device's end; the caller holds r.mu.
func (r *Relay) toDevice(s Seat, p ipv4) {
	q := ipv4{bytes.Clone(p.b)}
	r.counts[string(s.MAC)].Delivered.add(q.shown())
	q.readdress(standIn, s.Glass)
	r.write(r.far, ethernet(r.gateMAC, standInMAC, typeIPv4, q.b))
}

// toAgent brings a packet to the agent's end, as from an address; the caller holds r.mu.
func (r *Relay) toAgent(s Seat, from netip.Addr, p ipv4) {
	p.readdress(from, agentAddress)
	r.write(r.near, ethernet(r.agentMAC, s.MAC, typeIPv4, p.b))
}

func (r *Relay) answerARP(who net.HardwareAddr, from, to netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.seats {
		if s.Address == to {
			r.write(r.near, ethernet(who, s.MAC, typeARP, arp(2, s.MAC, to, who, from)))
		}
	}
}

// fromDevice takes a frame of the kernel that serves the glass devices.
func (r *Relay) fromDevice(f []byte) {
	if binary.BigEndian.Uint16(f[12:]) != typeIPv4 {
		return
	}
	p, ok := parse(f[headerEthernet:])
	r.mu.Lock()
	defer r.mu.Unlock()
	if !ok || p.to() != standIn {
		r.odd++
		return
	}
	for mac, s := range r.seats {
		if s.Glass != p.from() {
			continue
		}
		shown := p.shown()
		r.counts[mac].Answers.add(shown)
		for _, c := range r.rule(shown, s, false) {
			q := ipv4{bytes.Clone(p.b)}
			from := s.Address
			if c.From.IsValid() && q.b[9] != protoICMP {
				from = c.From.Addr()
				binary.BigEndian.PutUint16(q.data(), c.From.Port())
			}
			r.after(c.After, func() {
				if !c.Reset {
					r.toAgent(s, from, q)
				} else if on, back, ok := q.resets(); ok {
					r.toAgent(s, from, on)
					r.toDevice(s, back)
				}
			})
		}
	}
}

// rule asks the weather; the caller holds r.mu.
func (r *Relay) rule(p Packet, s Seat, toDevice bool) []Copy {
	key := fmt.Sprint(s.MAC, toDevice)
	r.numbers[key]++
	p.ToDevice, p.Device, p.N = toDevice, s.Address, r.numbers[key]
	return r.weather(p)
}

// after does something now, so that nothing overtakes by chance, or after a while, unless the relay is closed before.
// The caller holds r.mu, and so does what is done.
func (r *Relay) after(wait time.Duration, do func()) {
	if wait <= 0 {
		do()
		return
	}
	r.group.Go(func() {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-r.done:
		case <-timer.C:
			r.mu.Lock()
			defer r.mu.Unlock()
			do()
		}
	})
}
