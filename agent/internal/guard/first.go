package guard

import (
	"time"

	"primum/agent/internal/task"
	list "primum/safetylists"
	"primum/safetylists/budget"
	"primum/safetylists/permit"
)

// answerAge is how old an answer may be that proves an address: as old as any other proof.
const answerAge = 5 * time.Minute

// told is what an answer has told of who is at an address. It is not kept over a restart, after which nothing is
// proven.
type told struct {
	plan permit.Digest
	same bool
	at   time.Time
}

// place says whether the address of a task is proven, or the task is the one whose answer will prove it; else why not.
// The caller holds g.mu.
func (g *Guard) place(t task.Task, at time.Time) (first bool, not *Verdict) {
	no := g.cfg.Prove(t.Device(), at)
	if no == nil {
		return false, nil
	}
	refuse := func(why string) (bool, *Verdict) {
		if why != "" {
			no = list.Refuse(no.Reason, why)
		}
		return false, &Verdict{Refusal: no}
	}
	if no.Reason != list.AddressUnproven || g.cfg.Answers == nil || !g.cfg.Answers() {
		return refuse("")
	}
	if t.Query().Credential() { // S4: whoever is there could keep it
		return refuse("a credential goes to no address that an answer alone proves")
	}
	known, asked := g.places[where(t)]
	if age := at.Sub(known.at); asked && known.same && age >= 0 && age <= answerAge {
		return false, nil
	}
	mine, ok := t.First(cost)
	switch {
	case !ok:
		return refuse("the plan has no question without a credential whose answer would say which device is there")
	case mine:
		return true, nil
	case asked && known.plan == t.PlanDigest():
		return refuse("the question that would say which device is there was not answered so, or more than 5 minutes ago")
	case !at.Add(2 * time.Second).Before(t.Until()):
		return refuse("the question that would say which device is there was not asked in time")
	}
	return false, &Verdict{Again: at.Add(time.Second)}
}

// cost is what a question costs that may go first: one for identity, without a credential, whose answer says which unit
// is there. That of a maker's own protocol does so, or a certificate that the inventory registers; an echo and an
// acknowledgment alone are everybody's.
func cost(it permit.Item) int {
	if it.Purpose != list.Identify || it.Query.Credential() || !it.Query.Kind().Vendor() && it.Query.Spec().TLSPin == "" {
		return 0
	}
	return budget.Charge(it.Query, it.Limits)
}

func where(t task.Task) string { return t.Device().ID + "\x00" + t.Address().Addr().String() }

// First reports whether nothing but the answer will prove the address: whoever holds the ticket says with Told what
// it told.
func (t *Ticket) First() bool { return t.first }

// Told takes whether the answer came from the device of the inventory.
func (t *Ticket) Told(same bool, at time.Time) {
	t.g.mu.Lock()
	defer t.g.mu.Unlock()
	t.g.places[where(t.task)] = told{t.task.PlanDigest(), same, at}
}
