package agent

import (
	"time"

	"primum/agent/internal/guard"
	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// introduced holds the answer to a question that went first to an address which nothing proves against the inventory.
// Another device's makes an incident of it: that address is left alone until a person has looked (H-045).
func (a *Agent) introduced(ticket *guard.Ticket, r evidence.Result) evidence.Result {
	same, why := list.Unknown, ""
	if rel, _ := a.trust.Current(); rel != nil && r.State == evidence.Answered {
		same, why = rel.List.Same(ticket.Task().Device(), ofItself(r.Facts))
		if same == list.Unknown && ticket.Task().Query().Spec().TLSPin != "" {
			same = list.Yes // it has shown the certificate that is registered for it (D10, H13)
		}
	}
	ticket.Told(same == list.Yes, time.Now())
	if same == list.No {
		r.State, r.Reason, r.Detail = evidence.Incident, list.AddressMoved, why
	}
	return r
}

func ofItself(facts []evidence.Fact) (t list.Told) {
	for _, f := range facts {
		switch f.Field {
		case "manufacturer":
			t.Manufacturer = f.Value
		case "model":
			t.Model = f.Value
		case "serial":
			t.Serial = f.Value
		case "object_id":
			t.ObjectID = f.Value
		case "description":
			t.Description = f.Value
		}
	}
	return t
}
