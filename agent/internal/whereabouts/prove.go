package whereabouts

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"time"

	list "primum/safetylists"
)

// Prover asks every source that the site has. One that contradicts refuses, whatever the others say; one that
// proves is enough. The zero value proves nothing.
type Prover struct {
	Leases Leases
	// Table is the kernel's neighbour table; nil: it is not asked. It proves for a device in the agent's own network
	// that was heard of within MaxAge.
	Table func() ([]Neighbour, error)
}

// Prove reports why the address is not proven to belong to the device at a moment; nil when it is (H-003).
func (p Prover) Prove(d list.Device, at time.Time) *list.Refusal {
	if p.Table == nil {
		return p.Leases.Prove(d, at)
	}
	near, seen := p.near(d)
	if near != nil && near.Reason == list.AddressMoved {
		return near
	}
	if p.Leases.Path == "" {
		return near
	}
	lease := p.Leases.Prove(d, at)
	switch {
	case lease == nil, lease.Reason == list.AddressMoved:
		return lease
	case seen:
		return nil
	}
	return list.Refuse(list.AddressUnproven, strings.Join([]string{lease.Detail, near.Detail}, "; "))
}

// near asks the neighbour table.
func (p Prover) near(d list.Device) (no *list.Refusal, proven bool) {
	want, err := net.ParseMAC(d.MAC)
	if err != nil {
		return list.Refuse(list.AddressUnproven, "the inventory has no MAC for it"), false
	}
	all, err := p.Table()
	if err != nil {
		return list.Refuse(list.AddressUnproven, err.Error()), false
	}
	for _, n := range all {
		if n.Address != d.Address.Unmap() {
			continue
		}
		fresh := !n.Permanent && n.Confirmed <= MaxAge
		switch {
		case !bytes.Equal(n.MAC, want) && (fresh || n.Permanent):
			return list.Refuse(list.AddressMoved, fmt.Sprintf("%s is at the network card %s now%s", d.Address, n.MAC, elsewhere(all, want))), false
		case bytes.Equal(n.MAC, want) && fresh:
			proven = true // unless another entry has the address too, as on another interface
		}
	}
	if proven {
		return nil, true
	}
	return list.Refuse(list.AddressUnproven, "the neighbour table has not heard of it within 5 minutes"), false
}

// elsewhere says where the device's own card is now, for the technician who goes and looks.
func elsewhere(all []Neighbour, mac net.HardwareAddr) string {
	for _, n := range all {
		if bytes.Equal(n.MAC, mac) && !n.Permanent && n.Confirmed <= MaxAge {
			return fmt.Sprintf("; the device's own card is at %s", n.Address)
		}
	}
	return ""
}
