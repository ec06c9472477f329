package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Device is one running glass device. Its methods may be called at any time.
type Device struct {
	cfg     DeviceConfig
	judge   *judge
	started time.Time
	udp     *net.UDPConn
	tcp     []*listener
	group   sync.WaitGroup // every goroutine of the device
}

// listener is one TCP service of a device.
type listener struct {
	service   string
	listen    net.Listener
	forbidden bool
	language  func() language
}

// open binds the services of a device; a nil device comes with the error.
func open(ctx context.Context, cfg DeviceConfig, community string, approved *approvedTime, crowd *crowd) (*Device, error) {
	cfg, addr, err := cfg.settled()
	if err != nil {
		return nil, err
	}
	d := &Device{cfg: cfg, judge: newJudge(cfg, community, approved, crowd), started: time.Now()}
	if err := d.bind(ctx, addr); err != nil {
		return nil, errors.Join(fmt.Errorf("bind %s: %w", cfg.Tag, err), d.unbind())
	}
	return d, nil
}

func (d *Device) bind(ctx context.Context, addr netip.Addr) error {
	if s := d.cfg.SNMP; s != nil {
		var err error
		d.udp, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, s.Port)))
		if err != nil {
			return err
		}
		if err := hearUnreachable(d.udp); err != nil {
			return err
		}
	}
	add := func(service string, port uint16, forbidden bool, language func() language) error {
		lc := net.ListenConfig{KeepAlive: -1}
		lc.SetMultipathTCP(false)
		listen, err := lc.Listen(ctx, "tcp4", netip.AddrPortFrom(addr, port).String())
		if err != nil {
			return err
		}
		d.tcp = append(d.tcp, &listener{service: service, listen: listen, forbidden: forbidden, language: language})
		return nil
	}
	silent := func() language { return nothing{} }
	choose := func(speak func() language) func() language {
		if d.cfg.Nothing {
			return silent
		}
		return speak
	}
	if s := d.cfg.DICOM; s != nil {
		speak := func() language { return &association{cfg: s, does: d.cfg.Behaviour} }
		if err := add("dicom", s.Port, false, choose(speak)); err != nil {
			return err
		}
	}
	if s := d.cfg.HL7; s != nil {
		speak := func() language {
			return &exchange{cfg: s, does: d.cfg.Behaviour, used: d.judge.controlUsed, now: time.Now}
		}
		if err := add("hl7", s.Port, false, choose(speak)); err != nil {
			return err
		}
	}
	if s := d.cfg.Line; s != nil {
		speak := func() language {
			return &rack{cfg: s, does: d.cfg.Behaviour, model: d.cfg.Model, version: d.cfg.Version, serial: d.cfg.Serial}
		}
		if err := add("serial", s.Port, false, choose(speak)); err != nil {
			return err
		}
	}
	for _, port := range d.cfg.Closed {
		if err := add("closed", port, true, silent); err != nil {
			return err
		}
	}
	return nil
}

func (d *Device) unbind() error {
	var errs []error
	if d.udp != nil {
		errs = append(errs, d.udp.Close())
	}
	for _, l := range d.tcp {
		errs = append(errs, l.listen.Close())
	}
	return errors.Join(errs...)
}

// run serves until ctx ends. The caller waits with d.group.
func (d *Device) run(ctx context.Context) {
	d.group.Go(func() {
		<-ctx.Done()
		_ = d.unbind() // Close tells of errors, a second close is none
	})
	if d.udp != nil {
		d.group.Go(func() { d.listenSNMP(ctx) })
	}
	for _, l := range d.tcp {
		d.group.Go(func() { d.accept(ctx, l) })
	}
}

// accept takes every connection at once, also a second one: how many are open
// is for the judge to say, not for a queue in the kernel.
func (d *Device) accept(ctx context.Context, l *listener) {
	for ctx.Err() == nil {
		conn, err := l.listen.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of descriptors or the like; try again in a moment.
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		v := d.judge.connected(time.Now(), l.service, conn.RemoteAddr().String(), l.forbidden)
		c := &call{j: d.judge, v: v, conn: conn, lang: l.language()}
		d.group.Go(func() { c.serve(ctx) })
	}
}

// listenSNMP takes datagrams until the socket is closed.
func (d *Device) listenSNMP(ctx context.Context) {
	buf := make([]byte, 64<<10)
	for ctx.Err() == nil {
		n, from, err := d.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if errors.Is(err, syscall.ECONNREFUSED) {
				d.judge.unreachable(time.Now())
			}
			continue
		}
		req, answer := d.judge.datagram(time.Now(), from.String(), buf[:n])
		if !answer {
			continue
		}
		reply := d.snmpReply(req)
		if reply == nil || d.cfg.Behaviour.Delay <= 0 {
			d.sendSNMP(reply, from)
			continue
		}
		d.group.Go(func() {
			wait := time.NewTimer(d.cfg.Behaviour.Delay)
			defer wait.Stop()
			select {
			case <-ctx.Done():
				reply = nil
			case <-d.judge.broken:
				reply = nil
			case <-wait.C:
			}
			d.sendSNMP(reply, from)
		})
	}
}

// sendSNMP sends a reply, if there is one, and ends the conversation.
func (d *Device) sendSNMP(reply []byte, to netip.AddrPort) {
	if reply != nil {
		d.judge.answered(time.Now(), "snmp", reply)
	}
	d.judge.settled()
	if reply == nil || d.udp.SetWriteDeadline(time.Now().Add(DefaultIdle)) != nil {
		return
	}
	if _, err := d.udp.WriteToUDPAddrPort(reply, to); errors.Is(err, syscall.ECONNREFUSED) {
		// The kernel tells of an earlier answer and has not sent this one.
		d.judge.unreachable(time.Now())
		_, _ = d.udp.WriteToUDPAddrPort(reply, to) // as on a network, it may be lost
	}
}

// hearUnreachable asks the kernel to tell of ICMP port unreachable: a visitor
// that closes its socket before a late answer makes its kernel send one to
// the device (G6).
func hearUnreachable(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("reach socket: %w", err)
	}
	var set error
	if err := raw.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_RECVERR, 1)
	}); err != nil {
		return fmt.Errorf("reach socket: %w", err)
	}
	return set
}

// snmpReply is what the device answers, or nil for silence.
func (d *Device) snmpReply(req snmpRequest) []byte {
	b, s, answers := d.cfg.Behaviour, d.cfg.SNMP, d.judge.answers()
	if b.Silent || b.SilentAfter > 0 && answers >= b.SilentAfter {
		return nil
	}
	objectID, err := parseOID(s.ObjectID)
	if err != nil {
		return nil
	}
	up := s.Uptime + time.Since(d.started)
	if b.RestartAfter > 0 && answers >= b.RestartAfter {
		up = time.Second
	}
	descr := []byte(s.Descr)
	if b.Oversize {
		descr = make([]byte, 4096)
		for i := range descr {
			descr[i] = 'x'
		}
	}
	id := req.id
	if b.WrongRequestID {
		id ^= 2
	}
	reply := snmpAnswer(d.judge.community, id, req.oids, map[string]snmpValue{
		oidDescr:    {tagOctets, descr},
		oidObjectID: {tagOID, objectID},
		oidUptime:   {tagTimeTicks, unsignedOctets(uint32(up / (10 * time.Millisecond)))},
		oidName:     {tagOctets, []byte(s.Name)},
	})
	if b.Malformed {
		return reply[:len(reply)/2]
	}
	return reply
}

// Config is the device's configuration with its defaults filled in.
func (d *Device) Config() DeviceConfig { return d.cfg }

// Tag is the asset tag.
func (d *Device) Tag() string { return d.cfg.Tag }

// SNMPAddr is where the SNMP service listens; the zero value if there is none.
func (d *Device) SNMPAddr() netip.AddrPort {
	if d.udp == nil {
		return netip.AddrPort{}
	}
	return d.udp.LocalAddr().(*net.UDPAddr).AddrPort()
}

// DICOMAddr is where the DICOM service listens; the zero value if there is none.
func (d *Device) DICOMAddr() netip.AddrPort { return d.tcpAddr("dicom", 0) }

// HL7Addr is where the HL7 service listens; the zero value if there is none.
func (d *Device) HL7Addr() netip.AddrPort { return d.tcpAddr("hl7", 0) }

// LineAddr is where the serial line is reached; the zero value if there is none.
func (d *Device) LineAddr() netip.AddrPort { return d.tcpAddr("serial", 0) }

// ClosedAddr is the nth port that must receive nothing; the zero value if
// there is none.
func (d *Device) ClosedAddr(n int) netip.AddrPort { return d.tcpAddr("closed", n) }

func (d *Device) tcpAddr(service string, n int) netip.AddrPort {
	for _, l := range d.tcp {
		if l.service != service {
			continue
		}
		if n == 0 {
			return l.listen.Addr().(*net.TCPAddr).AddrPort()
		}
		n--
	}
	return netip.AddrPort{}
}

// Report is what this device received so far.
func (d *Device) Report() DeviceReport { return d.judge.snapshot() }

// Transcript is every message of this device so far, in order.
func (d *Device) Transcript() []Entry { return d.judge.transcript() }
