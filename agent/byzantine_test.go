package agent

import (
	"net/netip"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	controlv1 "primum/proto/control/v1"
	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// A controller may be stolen (H-009): an order that names its plan with too few octets, or none, is refused
// in the record, and the agent and what it has under way go on.
func TestAnOrderThatNamesNoPlanIsRefused(t *testing.T) {
	for name, plan := range map[string][]byte{"none": nil, "cut short": make([]byte, 31), "too long": make([]byte, 33)} {
		t.Run(name, func(t *testing.T) {
			p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:10166")})
			h := newAgent(t, p, nil)
			h.hand()
			o := &controlv1.WorkOrder{Order: "o1", Epoch: 1, Plan: plan, Permits: [][]byte{p.Permit(t, nil)}}
			if _, err := (*local)(h.Agent).Order(o); err != nil {
				t.Fatal(err)
			}
			if got := h.outcome(); got.State != evidence.Refused || got.Reason != list.PermitInvalid {
				t.Errorf("%+v", got)
			}
		})
	}
}
