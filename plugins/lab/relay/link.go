package relay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// Names of the interfaces that a test may look at: the agent's, and the one before the glass devices.
const (
	Near = "near0"
	Far  = "far0"
)

const (
	nearEnd = "near1"
	farEnd  = "far1"
)

// lay makes both cables. The kernel has to take loopback addresses from the far one, where the glass devices are.
func lay() error {
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("look for interfaces: %w", err)
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback == 0 {
			return fmt.Errorf("there is an interface %s: the relay starts only in a network namespace that has nothing but loopback", i.Name)
		}
	}
	commands := [][]string{
		{"link", "add", Near, "type", "veth", "peer", "name", nearEnd},
		{"link", "add", Far, "type", "veth", "peer", "name", farEnd},
		{"addr", "add", agentAddress.String() + "/16", "dev", Near},
		{"addr", "add", gateAddress.String() + "/24", "dev", Far},
	}
	for _, name := range []string{Near, nearEnd, Far, farEnd} {
		commands = append(commands, []string{"link", "set", name, "gso_max_segs", "1", "up"}) // packets as they go over a real cable
	}
	commands = append(commands, []string{"neigh", "add", standIn.String(), "lladdr", standInMAC.String(), "dev", Far})
	for n, c := range commands {
		if n == 2 {
			if err := quietIPv6(); err != nil {
				return errors.Join(err, cut())
			}
		}
		if out, err := exec.Command("ip", c...).CombinedOutput(); err != nil {
			return errors.Join(fmt.Errorf("ip %s: %w: %s", strings.Join(c, " "), err, out), cut())
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/conf/"+Far+"/route_localnet", []byte("1"), 0); err != nil {
		return errors.Join(fmt.Errorf("let glass devices be reached over %s: %w", Far, err), cut())
	}
	return nil
}

// quietIPv6 keeps the kernel's own neighbour discovery off the cables: it is nobody's question.
func quietIPv6() error {
	for _, name := range []string{Near, nearEnd, Far, farEnd} {
		path := "/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6"
		if err := os.WriteFile(path, []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("switch IPv6 off on %s: %w", name, err)
		}
	}
	return nil
}

// cut takes both cables away.
func cut() error {
	var errs []error
	for _, name := range []string{Near, Far} {
		if _, err := net.InterfaceByName(name); err != nil {
			continue
		}
		if out, err := exec.Command("ip", "link", "del", name).CombinedOutput(); err != nil {
			errs = append(errs, fmt.Errorf("ip link del %s: %w: %s", name, err, out))
		}
	}
	return errors.Join(errs...)
}

// packetIgnoreOutgoing is PACKET_IGNORE_OUTGOING of packet(7): the socket does not hear what it has said.
const packetIgnoreOutgoing = 23

// listen opens a packet socket on an interface (packet(7)). Its reads end when it is closed.
func listen(name string) (*os.File, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	all := swapped(unix.ETH_P_ALL)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(all))
	if err != nil {
		return nil, fmt.Errorf("open a packet socket (CAP_NET_RAW is needed): %w", err)
	}
	if err := errors.Join(unix.SetsockoptInt(fd, unix.SOL_PACKET, packetIgnoreOutgoing, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: i.Index})); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", name, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), name), nil
}

// swapped is a number in network order, as packet(7) wants it.
func swapped(n uint16) uint16 {
	b := [2]byte{byte(n >> 8), byte(n)}
	return binary.NativeEndian.Uint16(b[:])
}
