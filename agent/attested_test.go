package agent

import (
	"os"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// fixed is a person's word, of yesterday, that the device has its address.
func fixed(d *list.Device) {
	day := time.Now().UTC().Add(-24 * time.Hour).Truncate(time.Second)
	d.Fixed = &list.FixedAddress{Address: d.Address, MAC: d.MAC, By: "M. Lindqvist", On: day, Until: day.AddDate(0, 6, 0)}
}

// unleased takes the lease file away, and the agent watches none.
func unleased(h *testAgent) {
	if err := os.Remove(h.places.Leases.Path); err != nil {
		h.t.Fatal(err)
	}
	h.places.Leases.Path = ""
}

// H-045, S4: a credential goes to an address that a person attests where the site takes that word, and not a byte goes
// there where it does not.
func TestACredentialGoesToAnAttestedAddressOnlyWhereTheSiteTakesTheWord(t *testing.T) {
	snmpdV2c(t)
	for policy, want := range map[string]struct {
		state  evidence.State
		reason list.Reason
		lines  int
	}{
		"":                          {evidence.Refused, list.AddressUnproven, 0},
		"address_proof: attested\n": {evidence.Answered, "", 2},
	} {
		wire := startCapture(t, "udp port 10161 or icmp")
		p := papertest.Make(t, time.Now(), papertest.Options{Site: policy, Device: fixed})
		h := newAgent(t, p, unleased)
		h.hand()
		h.order(p.Permit(t, nil))
		if got := h.outcome(); got.State != want.state || got.Reason != want.reason {
			t.Errorf("%q: %+v", policy, got)
		}
		if lines := wire.lines(); len(lines) != want.lines {
			t.Errorf("%q: %d packets, want %d: %v", policy, len(lines), want.lines, lines)
		}
		h.stop()
	}
}
