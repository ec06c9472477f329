package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	"primum/agent/internal/secret"
	"primum/plugins/lab/namespace"
	"primum/safetylists/frame"
)

// TestMain runs the tests of this package in a network namespace of their own.
func TestMain(m *testing.M) {
	if _, inside := namespace.Word(); !inside {
		os.Exit(namespace.Again("wire"))
	}
	if err := namespace.Up(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// witness is tcpdump on loopback, writing what passes a filter.
type witness struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr io.Reader
	file   string
}

func watch(t *testing.T, filter string) *witness {
	t.Helper()
	w := &witness{t: t, file: filepath.Join(t.TempDir(), "wire.pcap")}
	args := []string{"-i", "lo", "-U", "--immediate-mode", "-B", "16384", "-w", w.file}
	if os.Getuid() == 0 {
		args = append(args, "-Z", "root")
	}
	w.cmd = exec.Command("tcpdump", append(args, filter)...)
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := w.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatalf("tcpdump is needed for this test: %v", err)
	}
	w.stderr = stderr
	var said bytes.Buffer
	for b := make([]byte, 256); !strings.Contains(said.String(), "listening on"); {
		n, err := stderr.Read(b)
		said.Write(b[:n])
		if err != nil {
			t.Fatalf("tcpdump: %v: %s", err, said.String())
		}
	}
	return w
}

// lines ends the capture and returns a line a packet.
func (w *witness) lines() []string {
	w.t.Helper()
	time.Sleep(200 * time.Millisecond) // tcpdump has no word for "the ring is empty"
	if err := w.cmd.Process.Signal(syscall.SIGINT); err != nil {
		w.t.Fatal(err)
	}
	said, err := io.ReadAll(w.stderr)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.cmd.Wait(); err != nil {
		w.t.Fatal(err)
	}
	if !strings.Contains(string(said), "\n0 packets dropped by kernel") {
		w.t.Errorf("tcpdump has not seen everything: %s", said)
	}
	out, err := exec.Command("tcpdump", "-nn", "-t", "-r", w.file).Output()
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}

// closing is one way in which a device may end a connection.
type closing struct {
	name string
	end  func(conn *net.TCPConn, ack []byte)
}

func closings() []closing {
	say := func(conn *net.TCPConn, b []byte) { _, _ = conn.Write(b) } // its peer may have gone
	rest := func(conn *net.TCPConn) { _, _ = io.Copy(io.Discard, conn) }
	return []closing{
		{"answers and waits for our FIN", func(c *net.TCPConn, ack []byte) { say(c, ack); rest(c) }},
		{"answers and closes first", func(c *net.TCPConn, ack []byte) { say(c, ack); _ = c.CloseWrite(); rest(c) }},
		{"answers twice", func(c *net.TCPConn, ack []byte) { say(c, append(bytes.Clone(ack), ack...)); rest(c) }},
		{"writes on after our FIN", func(c *net.TCPConn, ack []byte) { say(c, ack); rest(c); say(c, ack); say(c, ack) }},
		{"answers in octets", func(c *net.TCPConn, ack []byte) {
			for i := range ack {
				say(c, ack[i:i+1])
			}
			rest(c)
		}},
		{"closes without an answer", func(c *net.TCPConn, _ []byte) { _ = c.CloseWrite(); rest(c) }},
		{"answers with something else", func(c *net.TCPConn, _ []byte) { say(c, bytes.Repeat([]byte("x"), 6000)); rest(c) }},
		{"half an answer and the end", func(c *net.TCPConn, ack []byte) { say(c, ack[:len(ack)/2]); _ = c.CloseWrite(); rest(c) }},
	}
}

// G5, H10: however a device ends a connection, not one of ten thousand conversations ends with a reset of ours,
// by tcpdump.
func TestNoneOfTenThousandConversationsEndsWithAReset(t *testing.T) {
	const conversations = 10_000
	all := closings()
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:2580")))
	if err != nil {
		t.Fatal(err)
	}
	var devices sync.WaitGroup
	var accepted atomic.Int64
	devices.Go(func() {
		for n := 0; ; n++ {
			conn, err := listener.AcceptTCP()
			if err != nil {
				return
			}
			accepted.Add(1)
			devices.Go(func() {
				defer conn.Close()
				b := make([]byte, 1024)
				if conn.SetDeadline(time.Now().Add(20*time.Second)) != nil {
					return
				}
				m, err := conn.Read(b)
				if err != nil {
					return
				}
				id := b[bytes.Index(b[:m], []byte("|SP"))+1:][:18]
				all[n%len(all)].end(conn, []byte("\x0bMSH|^~\\&|A|F|PRIMUM|SITE|20260102030405||ACK|1|T|2.5.1\rMSA|AA|"+string(id)+"\r\x1c\r"))
			})
		}
	})
	resets := watch(t, "tcp dst port 2580 and tcp[tcpflags] & tcp-rst != 0")
	ticket := admitted(t, papertest.Options{Question: `{kind: hl7.ack, port: "2580", hl7_version: 2.5.1, expect: AA}`, Address: netip.MustParseAddrPort("127.0.0.1:2580")})
	var d Dialer
	ends := map[End]int{}
	for range conversations {
		c, err := d.Open(ticket, nil, unrecorded{})
		if err != nil {
			t.Fatal(err)
		}
		message, err := frame.EncodeNMD(ticket.Task().Query().Spec(), c.Nonce())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Exchange(t.Context(), message) // how it ended stands in the summary
		c.Close()
		ends[c.Summary().End]++
	}
	d.Wait(t.Context())
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	devices.Wait()
	if got := resets.lines(); len(got) != 0 {
		t.Errorf("%d resets of ours, first %s", len(got), got[0])
	}
	if got := accepted.Load(); got != conversations {
		t.Errorf("%d connections for %d conversations: %v", got, conversations, ends)
	}
	if ends[Complete] < conversations/2 || ends[BadReply] == 0 || ends[ClosedByDevice] == 0 {
		t.Errorf("ends %v", ends)
	}
}

// G6: a datagram that comes 1, 10 or 29 seconds after we gave up meets an open socket: the kernel tells the
// device nothing.
func TestALateDatagramMeetsAnOpenSocket(t *testing.T) {
	device, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:10166")))
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	seen := watch(t, "icmp or udp port 10166")
	ticket := admitted(t, papertest.Options{Question: `{kind: snmp.get, port: "10166", oids: [1.3.6.1.2.1.1.1.0]}`, Address: netip.MustParseAddrPort("127.0.0.1:10166"),
		Condition: "  limits: {reply: 200ms}\n"})
	var d Dialer
	c, err := d.Open(ticket, &secret.Credential{Community: []byte(secretCommunity)}, unrecorded{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := frame.Messages(ticket.Task().Query(), c.Nonce())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exchange(t.Context(), all[0].Bytes); err == nil || c.Summary().End != TimedOut {
		t.Fatalf("%v %+v", err, c.Summary())
	}
	c.Close()
	gave := time.Now()
	b := make([]byte, 1500)
	n, from, err := device.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{time.Second, 10 * time.Second, 29 * time.Second} {
		time.Sleep(time.Until(gave.Add(after))) // of the kernel's own clock: no other is to be had for sockets
		if _, err := device.WriteToUDPAddrPort(b[:n], from); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(seen.lines(), "\n"); strings.Contains(got, "ICMP") || strings.Count(got, "> 127.0.0.1.10166") != 1 {
		t.Errorf("on the wire:\n%s", got)
	}
	d.Wait(t.Context())
}

// G4, G6: one SYN with no option beyond the usual ones, no urgent data, one segment with data, no fragment.
func TestAConnectionHasNoOptionOfItsOwn(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:2581")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}()
	seen := watch(t, "tcp dst port 2581")
	ticket := admitted(t, papertest.Options{Question: `{kind: hl7.ack, port: "2581", hl7_version: 2.5.1, expect: AA}`, Address: netip.MustParseAddrPort("127.0.0.1:2581"),
		Condition: "  limits: {reply: 300ms}\n"})
	var d Dialer
	c, err := d.Open(ticket, nil, unrecorded{})
	if err != nil {
		t.Fatal(err)
	}
	message, err := frame.EncodeNMD(ticket.Task().Query().Spec(), c.Nonce())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Exchange(t.Context(), message) // nobody answers
	c.Close()
	d.Wait(t.Context())
	seen.lines()
	raw, err := os.ReadFile(seen.file)
	if err != nil {
		t.Fatal(err)
	}
	syn, data := 0, 0
	for at := 24; at+16 <= len(raw); {
		size := int(binary.LittleEndian.Uint32(raw[at+8:]))
		packet := raw[at+16:][:size]
		at += 16 + size
		ip := packet[14:] // Ethernet, as lo has it
		tcp := ip[int(ip[0]&0xf)*4:]
		head := int(tcp[12]>>4) * 4
		total := int(binary.BigEndian.Uint16(ip[2:]))
		if ip[0]&0xf != 5 || binary.BigEndian.Uint16(ip[6:])&0x3fff != 0 || tcp[13]&0x20 != 0 {
			t.Errorf("IP options, a fragment or urgent data: % x", packet)
		}
		if tcp[13]&0x02 != 0 {
			syn++
			for o := tcp[20:head]; len(o) > 0; {
				if o[0] == 1 {
					o = o[1:]
					continue
				}
				if o[0] != 2 && o[0] != 3 && o[0] != 4 && o[0] != 8 { // MSS, window scale, SACK, timestamps
					t.Errorf("TCP option %d", o[0])
				}
				o = o[o[1]:]
			}
		}
		if total > 20+head {
			data++
		}
	}
	if syn != 1 || data != 1 {
		t.Errorf("%d SYN, %d segments with data", syn, data)
	}
}
