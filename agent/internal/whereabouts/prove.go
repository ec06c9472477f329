package whereabouts

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
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

// Blind reports whether there is no source at all.
func (p Prover) Blind() bool { return p.Leases.Path == "" && p.Table == nil }

// look is what one source tells of an address. The zero value proves it.
type look struct {
	no   *list.Refusal
	seen netip.Addr // where the device's own card is instead, if that is known
}

// Prove reports why the address is not proven to belong to the device at a moment; nil when it is (H-003). Beside
// the sources it takes what the site's own policy takes.
func (p Prover) Prove(d list.Device, also list.AddressProof, at time.Time) *list.Refusal {
	var looks []look
	if p.Leases.Path != "" || p.Table == nil {
		looks = append(looks, p.Leases.look(d, at))
	}
	if p.Table != nil {
		looks = append(looks, p.near(d))
	}
	proven := false
	var seen netip.Addr
	var why []string
	for _, l := range looks {
		switch {
		case l.no == nil:
			proven = true
			continue
		case l.no.Reason == list.AddressMoved:
			return l.no
		case l.seen.IsValid():
			seen = l.seen
		}
		why = append(why, l.no.Detail)
	}
	switch {
	case proven:
		return nil
	case seen.IsValid(): // a word of last year is no answer to where its card is now
		return moved(seen, strings.Join(why, "; "))
	case also != list.Attested:
		return list.Refuse(list.AddressUnproven, strings.Join(why, "; "))
	}
	if no := d.AddressAttested(at); no != nil {
		return list.Refuse(no.Reason, strings.Join(append(why, no.Detail), "; "))
	}
	return nil
}

// moved refuses with the address at which the device's own card is now, if that is known.
func moved(seen netip.Addr, detail string) *list.Refusal {
	r := list.Refuse(list.AddressMoved, detail)
	if seen.IsValid() {
		r.Seen = seen.String()
	}
	return r
}

// near asks the neighbour table.
func (p Prover) near(d list.Device) look {
	want, err := net.ParseMAC(d.MAC)
	if err != nil {
		return look{no: list.Refuse(list.AddressUnproven, "the inventory has no MAC for it")}
	}
	all, err := p.Table()
	if err != nil {
		return look{no: list.Refuse(list.AddressUnproven, err.Error())}
	}
	seen := elsewhere(all, want, d.Address)
	words := ""
	if seen.IsValid() {
		words = fmt.Sprintf("; the device's own card is at %s", seen)
	}
	proven := false
	for _, n := range all {
		if n.Address != d.Address.Unmap() {
			continue
		}
		fresh := !n.Permanent && n.Confirmed <= MaxAge
		switch {
		case !bytes.Equal(n.MAC, want) && (fresh || n.Permanent):
			return look{no: moved(seen, fmt.Sprintf("%s is at the network card %s now%s", d.Address, n.MAC, words))}
		case bytes.Equal(n.MAC, want) && fresh:
			proven = true // unless another entry has the address too, as on another interface
		}
	}
	if proven {
		return look{}
	}
	return look{no: list.Refuse(list.AddressUnproven, "the neighbour table has not heard of it within 5 minutes"+words), seen: seen}
}

// elsewhere is where the device's own card is now, for the technician who goes and looks.
func elsewhere(all []Neighbour, mac net.HardwareAddr, than netip.Addr) (found netip.Addr) {
	for _, n := range all {
		if bytes.Equal(n.MAC, mac) && !n.Permanent && n.Confirmed <= MaxAge && another(n.Address, than) {
			return n.Address
		}
	}
	return found
}

// another reports whether a device that is at one address may be expected at another no longer: a card has addresses
// of both families, and those of its link, at the same time.
func another(is, than netip.Addr) bool {
	is, than = is.Unmap(), than.Unmap()
	return is != than && is.Is4() == than.Is4() && !is.IsLinkLocalUnicast()
}
