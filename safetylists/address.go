package safetylists

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// AddressProof is what a site takes for proof of an address beside leases and neighbours, which an agent is told
// of on its own machine (H-003). The zero value takes nothing.
type AddressProof string

// The proofs.
const (
	Attested AddressProof = "attested" // a person's dated word that the device has this fixed address
	ByAnswer AddressProof = "answer"   // what the device answers to an identifying question that goes first
)

func (p AddressProof) parse() (AddressProof, error) {
	switch p {
	case "", Attested, ByAnswer:
		return p, nil
	}
	return "", fmt.Errorf("site file: address_proof: %q is not known; it is %s, %s, or not there", string(p), Attested, ByAnswer)
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

// Told is what somebody at an address has said of themselves.
type Told struct{ Manufacturer, Model, Serial, ObjectID, Description string }

// Same says whether those who answered are the device of the inventory, and in which words they differ. Makers and
// models have to be the same ones, whoever tells them: the answer by itself, or a fingerprint in its words. It takes a
// model or a serial number to be known; a serial number that differs is another unit.
func (l *List) Same(d Device, t Told) (Tri, string) {
	says := []Claim{{Manufacturer: t.Manufacturer, Model: t.Model}}
	if c, ok := l.Recognise(Observed{ObjectID: t.ObjectID, Description: t.Description}); ok {
		says = append(says, c)
	}
	other := func(a, b string) bool { return fold(a) != "" && fold(b) != "" && fold(a) != fold(b) }
	known := Unknown
	for _, said := range says {
		for _, c := range d.Claims {
			if other(said.Manufacturer, c.Manufacturer) || other(said.Model, c.Model) {
				return No, fmt.Sprintf("it answers as %s, and %s says %s %s", strings.TrimSpace(said.Manufacturer+" "+said.Model), c.Source, c.Manufacturer, c.Model)
			}
			if fold(said.Model) != "" && fold(c.Model) != "" {
				known = Yes
			}
		}
	}
	switch {
	case other(t.Serial, d.Serial):
		return No, fmt.Sprintf("its serial number is %s, and the inventory says %s", t.Serial, d.Serial)
	case fold(t.Serial) != "" && fold(d.Serial) != "":
		known = Yes
	}
	return known, ""
}
