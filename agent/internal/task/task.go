// Package task turns permit bytes into a Task. A Task exists only after every paper behind it was
// verified: the signature of the permit, the plan that it names, the approval of that plan, and that
// the permit says nothing that the plan does not say. It never reaches net or proto.
package task

import (
	"crypto/ed25519"
	"fmt"
	"net/netip"
	"time"

	list "primum/safetylists"
	"primum/safetylists/permit"
)

// Task is one verified permit with the item of the plan that it is for. Only [Verify] makes one.
type Task struct {
	permit permit.Permit
	item   permit.Item
	plan   permit.Plan
	stand  *permit.Standing // nil when the plan itself was signed
}

// Approved is a plan whose approval was verified on this agent (package trust).
type Approved struct {
	Plan     permit.Plan
	Digest   permit.Digest
	Standing *permit.Standing // nil when the plan itself was signed
}

// Self is what the agent knows of itself.
type Self struct {
	Name      string
	Epoch     uint64
	PermitKey ed25519.PublicKey
}

// Verify opens a permit and holds it against the plan. The refusal tells why there is no task.
func Verify(raw []byte, self Self, plans func(permit.Digest) (Approved, bool)) (Task, *list.Refusal) {
	p, err := permit.Open(raw, self.PermitKey)
	if err != nil {
		return Task{}, list.Refuse(list.PermitInvalid, err.Error())
	}
	if p.Agent != self.Name {
		return Task{}, list.Refuse(list.PermitInvalid, "it is for agent "+p.Agent)
	}
	if p.Epoch != self.Epoch {
		return Task{}, list.Refuse(list.PermitInvalid, fmt.Sprintf("it is for session %d, not %d", p.Epoch, self.Epoch))
	}
	a, ok := plans(p.Plan)
	if !ok {
		return Task{}, list.Refuse(list.PlanNotApproved, "plan "+p.Plan.String()[:12])
	}
	if int(p.Item) >= len(a.Plan.Items) {
		return Task{}, list.Refuse(list.PermitInvalid, "the plan has no such item")
	}
	item := a.Plan.Items[p.Item]
	want := netip.AddrPortFrom(item.Device.Address, item.Query.Port())
	switch {
	case p.Device != item.Device.ID || p.Address != want:
		return Task{}, list.Refuse(list.PermitInvalid, "device or address is not that of the plan")
	case p.Until.After(a.Plan.Closes) || !p.Closes.Equal(a.Plan.Closes):
		return Task{}, list.Refuse(list.PermitInvalid, "it outlives the approved time")
	}
	return Task{permit: p, item: item, plan: a.Plan, stand: a.Standing}, nil
}

// Valid reports why the permit is not valid at a moment of the wall clock; nil when it is.
func (t Task) Valid(at time.Time) *list.Refusal {
	switch {
	case t.permit.ID == (permit.ID{}):
		return list.Refuse(list.PermitInvalid, "there is no permit")
	// before the permit's own end: it is never later than the approved time's, and the later start is what
	// a technician can mend
	case at.Add(t.item.Limits.Cap).After(t.plan.Closes):
		return list.Refuse(list.OutsideWindow, "the question could not end in time")
	case at.Before(t.permit.From):
		return list.Refuse(list.PermitExpired, "it is not valid yet")
	case !at.Before(t.permit.Until):
		return list.Refuse(list.PermitExpired, "it ended at "+t.permit.Until.Format(time.TimeOnly))
	case at.Before(t.plan.Opens):
		return list.Refuse(list.OutsideWindow, "the approved time has not begun")
	}
	return nil
}

// Starts is the first moment at which the permit may be used.
func (t Task) Starts() time.Time {
	if t.plan.Opens.After(t.permit.From) {
		return t.plan.Opens
	}
	return t.permit.From
}

// ID returns the permit's identity.
func (t Task) ID() permit.ID { return t.permit.ID }

// Device returns what the plan knows of the device.
func (t Task) Device() list.Device { return t.item.Device }

// Query returns the exact question.
func (t Task) Query() list.Query { return t.item.Query }

// Limits returns the pace that the plan gives.
func (t Task) Limits() list.Limits { return t.item.Limits }

// Statements returns the ids of the allowances behind the question.
func (t Task) Statements() []string { return t.item.Statements }

// Address returns where the question goes.
func (t Task) Address() netip.AddrPort { return t.permit.Address }

// Order returns work order and ordinal.
func (t Task) Order() (string, uint32) { return t.permit.Order, t.permit.Ordinal }

// Caller returns who had the question asked.
func (t Task) Caller() string { return t.plan.Caller }

// Closes returns the end of the approved time.
func (t Task) Closes() time.Time { return t.plan.Closes }

// Until returns the end of the permit.
func (t Task) Until() time.Time { return t.permit.Until }

// ListDigest returns the list release that the plan was made on.
func (t Task) ListDigest() permit.Digest { return t.plan.List }

// First says which question to this device goes first in its plan: the one of the least cost, where a cost of 0 leaves
// one out. Mine is whether that is this task's; ok is false if none is left.
func (t Task) First(cost func(permit.Item) int) (mine, ok bool) {
	best, least := -1, 0
	for i, it := range t.plan.Items {
		if it.Device.ID != t.item.Device.ID || it.Device.Address != t.item.Device.Address {
			continue
		}
		if c := cost(it); c > 0 && (best < 0 || c < least) {
			best, least = i, c
		}
	}
	return best == int(t.permit.Item), best >= 0
}

// PlanDigest names the plan.
func (t Task) PlanDigest() permit.Digest { return t.permit.Plan }

// Budget returns the questions in 24 hours that the standing approval leaves its caller; ok is false when
// the plan itself was signed.
func (t Task) Budget() (perDay int, ok bool) {
	if t.stand == nil {
		return 0, false
	}
	return t.stand.PerDay, true
}

// Within reports why allowances that the agent's own list decided on are not those that the standing
// approval names; nil when they are, or when the plan itself was signed (H-009).
func (t Task) Within(statements []string) *list.Refusal {
	if t.stand == nil {
		return nil
	}
	return t.stand.Names(statements)
}
