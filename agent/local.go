package agent

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"primum/agent/internal/guard"
	"primum/agent/internal/journal"
	"primum/agent/internal/secret"
	"primum/agent/internal/task"
	"primum/agent/internal/trust"
	"primum/agent/internal/uplink"
	"primum/plugins/sandbox/confine"
	controlv1 "primum/proto/control/v1"
	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// local is the agent as the uplink sees it.
type local Agent

var _ uplink.Local = (*local)(nil)

func (l *local) agent() *Agent { return (*Agent)(l) }

// note writes records and lets the guard remember them.
func (a *Agent) note(records ...evidence.Record) (uint64, error) {
	lsn, err := a.append(records...)
	if err != nil {
		return 0, err
	}
	for _, r := range records {
		a.guard.Note(r)
	}
	return lsn, nil
}

func (l *local) Hello() *controlv1.Hello {
	a := l.agent()
	a.mu.Lock()
	defer a.mu.Unlock()
	// A new session is a new authority: what was queued under the old one is dropped (CONTROL-PLANE 3.4).
	var open []*controlv1.TaskState
	for _, p := range a.queue {
		open = append(open, &controlv1.TaskState{Order: p.order, Ordinal: p.ordinal, State: controlv1.TaskState_STATE_RECEIVED})
	}
	for _, r := range a.guard.Open() {
		open = append(open, &controlv1.TaskState{Order: r.Order, Ordinal: r.Ordinal, State: controlv1.TaskState_STATE_STARTED})
	}
	a.queue = nil
	rel, newest := a.trust.Current()
	epoch, hold := a.guard.Seen()
	h := &controlv1.Hello{AgentVersion: Version, Incarnation: l.Incarnation(), LastEpoch: epoch, JournalLsn: a.journal.Head().Seq,
		HoldVersion: hold, ListNumber: newest, Open: open, AgentTime: timestamppb.Now(), Sandbox: sandboxes()[a.plugins.Level()],
		EvidenceKey: a.signer.Verifier(), JournalFirst: a.journal.First()}
	if rel != nil {
		h.ListDigest, h.ListTimestamp = rel.Digest[:], rel.Timestamp
	}
	if stopped, at := a.guard.SiteStop(); stopped {
		h.StoppedAtSite, h.StoppedWhy = timestamppb.New(at), a.guard.SiteWord()
	}
	for _, p := range a.plugins.Plugins() {
		h.Plugins = append(h.Plugins, &controlv1.PluginInfo{Name: p.Name, Version: p.Version, Sha256: p.SHA256[:], Kinds: p.Kinds})
	}
	return h
}

// sandboxes are the levels in the words of the contract.
func sandboxes() map[confine.Level]controlv1.Hello_Sandbox {
	return map[confine.Level]controlv1.Hello_Sandbox{confine.None: controlv1.Hello_SANDBOX_NONE, confine.Fallback: controlv1.Hello_SANDBOX_FALLBACK, confine.Full: controlv1.Hello_SANDBOX_FULL}
}

func (l *local) Begin(epoch uint64) (uint64, error) {
	a := l.agent()
	a.mu.Lock()
	defer a.mu.Unlock()
	if seen, _ := a.guard.Seen(); epoch <= seen {
		return 0, fmt.Errorf("the controller offers session %d after %d", epoch, seen)
	}
	a.epoch = epoch
	return a.note(evidence.Record{At: time.Now(), Kind: evidence.Session, Epoch: epoch})
}

func (l *local) Reset() error { return l.agent().reset() }

func (l *local) Holds(h *controlv1.HoldState) bool {
	a := l.agent()
	var holds []guard.Hold
	for _, s := range h.GetHolds() {
		kind := map[controlv1.HoldScope_Kind]guard.HoldKind{controlv1.HoldScope_KIND_DEVICE: guard.HoldDevice, controlv1.HoldScope_KIND_MODEL: guard.HoldModel,
			controlv1.HoldScope_KIND_SITE: guard.HoldSite}[s.GetKind()]
		holds = append(holds, guard.Hold{Name: s.GetName(), Kind: kind, Value: s.GetValue(), Reason: s.GetReason()})
	}
	a.brake.Hold(holds)
	defer a.brake.Hold(nil) // by then the guard knows
	a.mu.Lock()
	defer a.mu.Unlock()
	_, before := a.guard.Seen()
	if !a.guard.SetHolds(h.GetVersion(), holds) {
		a.log.Error("the controller knows less of holds than this agent; everything stays held", "offered", h.GetVersion(), "seen", before)
		return false
	}
	if h.GetVersion() > before {
		if _, err := a.note(evidence.Record{At: time.Now(), Kind: evidence.HoldSeen, Version: h.GetVersion()}); err != nil {
			a.log.Error("write hold to journal", "error", err)
			return false
		}
	}
	return true
}

func (l *local) Release(bundle []byte) (reason, detail string) {
	a := l.agent()
	if r := a.trust.Take(bundle, time.Now()); r != nil {
		a.log.Error("list release refused", "reason", r.Reason, "detail", r.Detail)
		return string(r.Reason), r.Detail
	}
	rel, _ := a.trust.Current()
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.note(evidence.Record{At: time.Now(), Kind: evidence.ListSeen, Version: rel.Number, Digest: rel.Digest.String()}); err != nil {
		return string(list.JournalFailed), err.Error()
	}
	return "", ""
}

func (l *local) Plan(document []byte, ap *controlv1.Approval) (reason, detail string) {
	sigs := func(in []*controlv1.Signature) (out []trust.Signature) {
		for _, s := range in {
			out = append(out, trust.Signature{By: s.GetBy(), Sig: s.GetSig()})
		}
		return out
	}
	r := l.agent().trust.TakePlan(document, trust.Approval{Plan: sigs(ap.GetPlanSignatures()), Standing: ap.GetStanding(), StandingSigs: sigs(ap.GetStandingSignatures())}, time.Now())
	if r != nil {
		l.agent().log.Error("plan refused", "reason", r.Reason, "detail", r.Detail)
		return string(r.Reason), r.Detail
	}
	return "", ""
}

// Order verifies each permit. One that makes no task ends there, as a refusal in the record.
func (l *local) Order(o *controlv1.WorkOrder) (uint64, error) {
	a := l.agent()
	a.mu.Lock()
	defer a.mu.Unlock()
	if o.GetEpoch() != a.epoch {
		return 0, fmt.Errorf("order %s is for session %d, not %d", o.GetOrder(), o.GetEpoch(), a.epoch)
	}
	if len(o.GetPermits()) > 100 {
		return 0, fmt.Errorf("order %s has %d permits; at most 100", o.GetOrder(), len(o.GetPermits()))
	}
	now := time.Now()
	records := []evidence.Record{{At: now, Kind: evidence.Received, Order: o.GetOrder(), Epoch: a.epoch, Plan: hex.EncodeToString(o.GetPlan()), Permits: o.GetPermits()}}
	var tasks []*pending
	self := task.Self{Name: a.id.Name, Epoch: a.epoch, PermitKey: a.permitKey}
	for i, raw := range o.GetPermits() {
		t, r := task.Verify(raw, self, a.trust.Plan)
		if named := t.PlanDigest(); r == nil && !bytes.Equal(o.GetPlan(), named[:]) {
			r = list.Refuse(list.PermitInvalid, "it is for another plan than its order")
		}
		if r == nil {
			if order, ordinal := t.Order(); order != o.GetOrder() || ordinal != uint32(i) {
				r = list.Refuse(list.PermitInvalid, "it is for another place in the order")
			}
		}
		if r != nil {
			records = append(records, refusal(o.GetOrder(), uint32(i), "", r, now))
			continue
		}
		tasks = append(tasks, &pending{task: t, order: o.GetOrder(), ordinal: uint32(i), credential: credentialFor(t, o.GetSecrets())})
	}
	lsn, err := a.note(records...)
	if errors.Is(err, journal.ErrFull) && a.journal.Roomy() {
		var no []evidence.Record
		for i := range o.GetPermits() {
			no = append(no, refusal(o.GetOrder(), uint32(i), "", list.Refuse(list.JournalFailed, err.Error()), now))
		}
		return a.note(no...) // who planned it reads why; without it the order is offered again and again
	}
	if err != nil {
		return 0, err
	}
	first := lsn - uint64(len(records)) + 1
	for _, p := range tasks {
		p.receipt = first
	}
	a.queue = append(a.queue, tasks...)
	a.poke()
	return lsn, nil
}

func refusal(order string, ordinal uint32, device string, r *list.Refusal, at time.Time) evidence.Record {
	state := evidence.Refused
	if r.Reason == list.Stopped {
		state = evidence.Stopped
	}
	return evidence.Record{At: at, Kind: evidence.Outcome, Order: order, Ordinal: ordinal, Device: device,
		Result: &evidence.Result{State: state, Reason: r.Reason, Detail: r.Detail, Seen: r.Seen}}
}

func (l *local) Cancel(order string) {
	a := l.agent()
	a.mu.Lock()
	defer a.mu.Unlock()
	var keep []*pending
	for _, p := range a.queue {
		if p.order != order {
			keep = append(keep, p)
			continue
		}
		r := list.Refuse(list.Stopped, "the order was cancelled")
		if _, err := a.note(refusal(p.order, p.ordinal, p.task.Device().ID, r, time.Now())); err != nil {
			a.log.Error("write cancelled task to journal", "error", err)
		}
	}
	a.queue = keep
}

// Secret tries whether a credential opens, and keeps nothing of it.
func (l *local) Secret(s *controlv1.Secret) error {
	c, err := l.agent().secrets.Open(sealed(s))
	if err != nil {
		return err
	}
	c.Clear()
	return nil
}

func sealed(s *controlv1.Secret) secret.Sealed {
	kind := map[controlv1.Secret_Kind]secret.Kind{controlv1.Secret_KIND_COMMUNITY: secret.Community, controlv1.Secret_KIND_USM: secret.USM}[s.GetKind()]
	return secret.Sealed{Device: s.GetDevice(), Kind: kind, Version: s.GetVersion(), Box: s.GetSealed()}
}

// credentialFor picks what a task needs out of what came with its order: the device's own, else the one for
// every device; nil when the question needs none or none came.
func credentialFor(t task.Task, all []*controlv1.Secret) *secret.Sealed {
	q := t.Query()
	if q.Kind() != list.SNMPGet {
		return nil
	}
	kind := secret.Community
	if q.Spec().SNMPVersion == list.SNMPv3 {
		kind = secret.USM
	}
	var found *secret.Sealed
	for _, m := range all {
		s := sealed(m)
		if s.Kind == kind && (s.Device == t.Device().ID || s.Device == "*" && found == nil) {
			found = &s
		}
	}
	return found
}

// Clear takes an approver's word that a device was looked at. It is for one
// distress: one that was taken before changes nothing, and a later distress needs its own.
func (l *local) Clear(c *controlv1.Clearance) (reason, detail string) {
	a := l.agent()
	sig := trust.Signature{By: c.GetSignature().GetBy(), Sig: c.GetSignature().GetSig()}
	word, digest, r := a.trust.Clearance(c.GetDocument(), sig, a.id.Name)
	if r != nil {
		a.log.Error("clearance refused", "reason", r.Reason, "detail", r.Detail)
		return string(r.Reason), r.Detail
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.guard.Distressed(word.Device, word.Permit) {
		return "", "" // cleared before: the answer was lost
	}
	rec := evidence.Record{At: time.Now(), Kind: evidence.Cleared, Device: word.Device, Permit: word.Permit, Caller: sig.By, Words: word.Reason, Digest: digest.String()}
	if _, err := a.note(rec); err != nil {
		return string(list.JournalFailed), err.Error()
	}
	a.log.Warn("a device was cleared", "device", word.Device, "by", sig.By, "reason", word.Reason)
	return "", ""
}

func (l *local) Lease(sent time.Duration, lease *controlv1.Lease) {
	a := l.agent()
	ttl := min(time.Duration(lease.GetTtlMs())*time.Millisecond, 15*time.Second) // DESIGN 6.8: never longer
	wall := time.Now().Round(0)
	a.guardNow().SetLease(guard.Lease{Until: sent + ttl, HoldVersion: lease.GetHoldVersion(), DurableLSN: lease.GetDurableLsn(),
		Skew: lease.GetServerTime().AsTime().Sub(wall), Wall: wall, Boot: bootTime()})
	a.mu.Lock()
	a.poke()
	a.mu.Unlock()
}

func (a *Agent) guardNow() *guard.Guard {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.guard
}

func (l *local) Down() { l.agent().guardNow().DropLease() }

func (l *local) LSN() uint64 { return l.journal.Head().Seq }

func (l *local) Busy() bool {
	a := l.agent()
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.queue) > 0 || a.running > 0
}

func (l *local) Grown() <-chan struct{} { return l.journal.Grown() }

func (l *local) Records(from uint64) ([][]byte, error) {
	n, octets := uplink.Most()
	return l.journal.Read(from, n, octets)
}

// First implements uplink.Local.
func (l *local) First() uint64 { return l.journal.First() }

// Acknowledged implements uplink.Local.
func (l *local) Acknowledged(seq uint64) { l.agent().acknowledged(seq) }

// Head implements uplink.Local.
func (l *local) Head() (note []byte, size uint64, newer <-chan struct{}) {
	a := l.agent()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.head.note, a.head.size, a.headed
}

func (l *local) Incarnation() []byte {
	b, err := hex.DecodeString(l.journal.Incarnation())
	if err != nil {
		return nil
	}
	return b
}
