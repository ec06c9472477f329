package relay

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"primum/plugins/lab/namespace"
)

func TestMain(m *testing.M) {
	if _, inside := namespace.Word(); !inside {
		os.Exit(namespace.Again("relay"))
	}
	if err := namespace.Up(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func seat(n byte) Seat {
	return Seat{Address: netip.AddrFrom4([4]byte{10, 77, 0, n}), MAC: net.HardwareAddr{2, 0, 0, 0, 0, n}, Glass: netip.AddrFrom4([4]byte{127, 77, 0, n})}
}

func start(t *testing.T, seats ...Seat) *Relay {
	t.Helper()
	r, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, s := range seats {
		r.Put(s)
	}
	return r
}

// echo answers each datagram on a device with what came, and its name.
func echo(t *testing.T, at netip.Addr, name string) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 7000)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				_, _ = conn.WriteToUDPAddrPort(fmt.Appendf(nil, "%s %s", buf[:n], name), from) // a network loses things
			}
		}
	}()
}

func dial(t *testing.T, to netip.Addr) *net.UDPConn {
	t.Helper()
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 7000)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ask sends some datagrams at once and collects the answers.
func ask(t *testing.T, conn *net.UDPConn, words ...string) (got []string) {
	t.Helper()
	for _, w := range words {
		if _, err := conn.Write([]byte(w)); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2000)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return got
		}
		got = append(got, string(buf[:n]))
	}
}

func TestEachWeatherDoesWhatItsNameSays(t *testing.T) {
	r := start(t, seat(5))
	echo(t, seat(5).Glass, "ok")
	conn := dial(t, seat(5).Address)
	third := func(p Packet) []Copy {
		if p.N == 3 {
			return nil
		}
		return Fair(p)
	}
	for _, c := range []struct {
		name      string
		weather   Weather
		want      string
		delivered int
	}{
		{"fair", Fair, "1 ok,2 ok,3 ok,4 ok", 4},
		{"the third question lost", Questions(third), "1 ok,2 ok,4 ok", 3},
		{"the third answer lost", Answers(third), "1 ok,2 ok,4 ok", 4},
		{"questions doubled", Questions(Twice), "1 ok,2 ok,3 ok,4 ok,1 ok,2 ok,3 ok,4 ok", 8},
		{"answers doubled", Answers(Twice), "1 ok,2 ok,3 ok,4 ok,1 ok,2 ok,3 ok,4 ok", 4},
		{"delayed", Late(50 * time.Millisecond), "1 ok,2 ok,3 ok,4 ok", 4},
		{"reordered", Questions(Swapped(60 * time.Millisecond)), "1 ok,3 ok,2 ok,4 ok", 4},
		{"partition", Partition, "", 0},
		{"from another port", Answers(func(Packet) []Copy { return []Copy{{From: netip.AddrPortFrom(seat(5).Address, 7001)}} }), "", 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := r.Count(seat(5).MAC)
			r.Set(c.weather)
			began := time.Now()
			got := ask(t, conn, "1", "2", "3", "4")
			// What is delayed alike may change places.
			if c.name == "delayed" || strings.Contains(c.name, "doubled") || c.name == "reordered" {
				slices.Sort(got)
				want := strings.Split(c.want, ",")
				slices.Sort(want)
				c.want = strings.Join(want, ",")
			}
			if s := strings.Join(got, ","); s != c.want {
				t.Errorf("%q, want %q", s, c.want)
			}
			after := r.Count(seat(5).MAC)
			if sent, delivered := after.Sent.UDP-before.Sent.UDP, after.Delivered.UDP-before.Delivered.UDP; sent != 4 || delivered != c.delivered {
				t.Errorf("%d sent, %d delivered, want 4 and %d", sent, delivered, c.delivered)
			}
			if c.name == "delayed" && time.Since(began) < 100*time.Millisecond {
				t.Error("nothing was delayed")
			}
		})
	}
	if r.Odd() != 0 {
		t.Errorf("%d packets that have no place here", r.Odd())
	}
}

func TestAnAddressThatMovedLeadsToTheNewDeviceAlone(t *testing.T) {
	old, next := seat(6), seat(7)
	next.Address = old.Address
	r := start(t, old)
	echo(t, old.Glass, "old")
	echo(t, next.Glass, "next")
	conn := dial(t, old.Address)
	if got := ask(t, conn, "a"); !slices.Equal(got, []string{"a old"}) {
		t.Fatal(got)
	}
	r.Put(next)
	if got := ask(t, conn, "b"); !slices.Equal(got, []string{"b next"}) {
		t.Errorf("after the move: %v", got)
	}
	r.Unplug(old.Address)
	if got := ask(t, conn, "c"); len(got) != 0 {
		t.Errorf("after it was unplugged: %v", got)
	}
	if a, b := r.Count(old.MAC), r.Count(next.MAC); a.Delivered.UDP != 1 || b.Delivered.UDP != 1 || b.Sent.UDP != 2 {
		t.Errorf("old %+v, next %+v", a, b)
	}
}

// A connection through the relay is one connection of two kernels, and each end sees how the other closes.
func TestAConnectionIsCarriedFromItsSYNToItsFIN(t *testing.T) {
	r := start(t, seat(8))
	listener, err := net.Listen("tcp4", "127.77.0.8:7000")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	heard := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			heard <- err.Error()
			return
		}
		defer conn.Close()
		b, err := io.ReadAll(conn)
		heard <- fmt.Sprint(len(b), err)
	}()
	r.Set(func(p Packet) []Copy { // the first SYN and the first data are lost, and everything comes twice
		if p.ToDevice && (p.N == 1 || p.N == 4) {
			return nil
		}
		return Twice(p)
	})
	conn, err := net.DialTimeout("tcp4", "10.77.0.8:7000", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-heard:
		if got != "5000 <nil>" {
			t.Error(got)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("nothing was heard")
	}
	deadline := time.Now().Add(2 * time.Second) // the kernels come to the end of it
	for r.Count(seat(8).MAC).Answers.FIN == 0 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	c := r.Count(seat(8).MAC)
	if c.Sent.SYN != 2 || c.Sent.FIN == 0 || c.Sent.RST != 0 || c.Answers.FIN == 0 || c.Delivered.SYN != 2 || c.Sent.Payload < 4 {
		t.Errorf("%+v", c)
	}
	if r.Odd() != 0 {
		t.Errorf("%d packets that have no place here", r.Odd())
	}
}

// A reset from the middle ends a connection at both ends at once, whichever way the packet went that it stands for, and the next one stands.
func TestAResetOfTheMiddleEndsAConnectionAtBothEnds(t *testing.T) {
	r := start(t, seat(8))
	listener, err := net.Listen("tcp4", "127.77.0.8:7000")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, way := range []func(Weather) Weather{Questions, Answers} {
		r.Set(Fair)
		before := r.Count(seat(8).MAC)
		conn, err := net.DialTimeout("tcp4", "10.77.0.8:7000", 3*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		device, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer device.Close()
		say := func(from, to net.Conn) error {
			_ = errors.Join(from.SetDeadline(time.Now().Add(3*time.Second)), to.SetDeadline(time.Now().Add(3*time.Second))) // judged by what is read
			if _, err := from.Write([]byte("word")); err != nil {
				return err
			}
			_, err := io.ReadFull(to, make([]byte, 4))
			return err
		}
		if err := errors.Join(say(conn, device), say(device, conn)); err != nil {
			t.Fatal("before the reset:", err)
		}
		r.Set(way(func(p Packet) []Copy { return []Copy{{Reset: p.Payload > 0}} }))
		if err := errors.Join(say(conn, device), say(device, conn)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the middle has reset it: %v", err)
		}
		for _, c := range []net.Conn{conn, device} {
			if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("an end still waits: %v", err)
			}
		}
		if c := r.Count(seat(8).MAC); c.Delivered.RST-before.Delivered.RST != 1 || c.Sent.RST != before.Sent.RST || c.Answers.RST != before.Answers.RST {
			t.Errorf("before %+v, then %+v", before, c)
		}
	}
	if r.Odd() != 0 {
		t.Errorf("%d packets that have no place here", r.Odd())
	}
}

// The kernel's own words about a port come through as well: a refused port is told to who asked, and a datagram that
// finds no socket at the agent is told to the device.
func TestErrorsOfTheKernelsAreCarriedBothWays(t *testing.T) {
	r := start(t, seat(9))
	conn := dial(t, seat(9).Address)
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Second)) // judged by what is read
	if _, err := conn.Read(make([]byte, 10)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a port where nobody listens: %v", err)
	}
	device, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(seat(9).Glass, 7000)))
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	conn = dial(t, seat(9).Address)
	if _, err := conn.Write([]byte("y")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	_ = device.SetReadDeadline(time.Now().Add(time.Second)) // as above
	_, from, err := device.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if _, err := device.WriteToUDPAddrPort([]byte("late"), from); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(2 * time.Second)
	for r.Count(seat(9).MAC).Sent.ICMP == 0 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if c := r.Count(seat(9).MAC); c.Sent.ICMP != 1 || c.Answers.ICMP != 1 || c.Answers.UDP != 1 {
		t.Errorf("%+v", c)
	}
}

func TestTheRelayStartsOnlyWhereNothingButLoopbackIs(t *testing.T) {
	start(t)
	r, err := Start()
	if err == nil {
		r.Close()
		t.Fatal("a second network was laid beside another one")
	}
	if !strings.Contains(err.Error(), "nothing but loopback") {
		t.Error(err)
	}
	if _, err := net.InterfaceByName(Near); err != nil {
		t.Errorf("the refusal took the other network away: %v", err)
	}
}
