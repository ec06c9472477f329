package whereabouts

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Neighbour is one entry of the kernel's neighbour table (ARP, or IPv6 neighbour discovery).
type Neighbour struct {
	Address   netip.Addr
	MAC       net.HardwareAddr
	Confirmed time.Duration // how long ago the neighbour was last heard of
	Permanent bool          // a person has put it there: it tells what they believe, and proves nothing
}

// Neighbours reads the table by rtnetlink (rtnetlink(7)). It sends nothing to anybody but the kernel.
func Neighbours() ([]Neighbour, error) {
	b, err := syscall.NetlinkRIB(unix.RTM_GETNEIGH, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("read the neighbour table: %w", err)
	}
	return ParseNeighbours(b)
}

// ndMsg is the length of struct ndmsg: family, padding, interface, state, flags, type.
const ndMsg = 12

// userHz is the unit of struct nda_cacheinfo, clock_t: hundredths of a second on every processor of this kernel
// (USER_HZ in time(7)).
const userHz = 100

// ParseNeighbours reads the kernel's answer. An entry that is being looked for, or was not found, is left out.
func ParseNeighbours(b []byte) ([]Neighbour, error) {
	msgs, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return nil, fmt.Errorf("read the neighbour table: %w", err)
	}
	var out []Neighbour
	for _, m := range msgs {
		switch m.Header.Type {
		case unix.NLMSG_DONE:
			return out, nil
		case unix.NLMSG_ERROR:
			return nil, errors.New("the kernel refuses to tell the neighbour table")
		case unix.RTM_NEWNEIGH:
		default:
			continue
		}
		if len(m.Data) < ndMsg {
			return nil, errors.New("a neighbour that is cut short")
		}
		state := binary.NativeEndian.Uint16(m.Data[8:])
		n := Neighbour{Confirmed: -1, Permanent: state&unix.NUD_PERMANENT != 0}
		if err := n.attributes(m.Data[ndMsg:]); err != nil {
			return nil, err
		}
		known := unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE | unix.NUD_PERMANENT
		if int(state)&known == 0 || len(n.MAC) == 0 || !n.Address.IsValid() || n.Confirmed < 0 {
			continue
		}
		out = append(out, n)
	}
	return out, nil
}

func (n *Neighbour) attributes(b []byte) error {
	for len(b) >= unix.SizeofNlAttr {
		size, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if size < unix.SizeofNlAttr || size > len(b) {
			return errors.New("an attribute of a neighbour that is cut short")
		}
		value := b[unix.SizeofNlAttr:size]
		switch kind {
		case unix.NDA_DST:
			if a, ok := netip.AddrFromSlice(value); ok {
				n.Address = a.Unmap()
			}
		case unix.NDA_LLADDR:
			n.MAC = net.HardwareAddr(append([]byte(nil), value...))
		case unix.NDA_CACHEINFO:
			if len(value) < 4 {
				return errors.New("the age of a neighbour is cut short")
			}
			n.Confirmed = time.Duration(binary.NativeEndian.Uint32(value)) * time.Second / userHz
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	return nil
}
