package safetylists

import (
	"fmt"
	"net/netip"
	"time"
)

// AddressProof is what a site takes for proof of an address beside leases and neighbours, which an agent is told
// of on its own machine (H-003). The zero value takes nothing.
type AddressProof string

// The proofs.
const (
	Attested AddressProof = "attested" // a person's dated word that the device has this fixed address
)

func (p AddressProof) parse() (AddressProof, error) {
	switch p {
	case "", Attested:
		return p, nil
	}
	return "", fmt.Errorf("site file: address_proof: %q is not known; it is %s, or not there", string(p), Attested)
}

// MaxAttested is how long a person's word about an address holds at most.
const MaxAttested = 366 * 24 * time.Hour

// FixedAddress is a person's word that a device has a fixed address, on the network card that is named with it.
// It is of one address and one card: where the inventory says another, it is of another device.
type FixedAddress struct {
	Address netip.Addr `json:"address"`
	MAC     string     `json:"mac"` // lower case, colons
	By      string     `json:"by"`
	On      time.Time  `json:"on"`
	Until   time.Time  `json:"until"`
}

// AddressAttested reports why nobody's word covers the address of the device at a moment; nil when one does.
func (d Device) AddressAttested(at time.Time) *Refusal {
	no := func(format string, args ...any) *Refusal {
		return Refuse(AddressUnproven, fmt.Sprintf(format, args...))
	}
	f := d.Fixed
	switch {
	case f == nil || f.By == "" || !f.Address.IsValid():
		return no("nobody attests that its address is fixed")
	case f.Address != d.Address:
		return no("%s attests %s, and the inventory has %s", f.By, f.Address, d.Address)
	case f.MAC == "" || f.MAC != d.MAC:
		return no("%s attests it for the network card %s, and the inventory has %s", f.By, f.MAC, d.MAC)
	case f.Until.Sub(f.On) > MaxAttested:
		return no("the word of %s is for more than a year", f.By)
	case at.Before(f.On):
		return no("the word of %s is of %s, which is still to come", f.By, f.On.Format(time.DateOnly))
	case !at.Before(f.Until):
		return no("the word of %s ended on %s", f.By, f.Until.Format(time.DateOnly))
	}
	return nil
}
