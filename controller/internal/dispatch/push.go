package dispatch

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"primum/controller/internal/approve"
	"primum/controller/internal/hold"
	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
	list "primum/safetylists"
	"primum/safetylists/permit"
)

const (
	partSize = 64 << 10
	// batch bounds the permits of an order: at most 100, and 64 KiB with the largest permits.
	batch = 50
	// ahead is how many queued tasks are looked at for some that no hold covers.
	ahead = 2000
)

// push sends what is due: holds before everything else, work last.
func (ses *session) push(ctx context.Context) error {
	if err := ses.pushHolds(ctx); err != nil {
		return err
	}
	if err := ses.pushList(ctx); err != nil {
		return err
	}
	secrets, err := ses.Store.OpenSecrets(ctx, ses.agent)
	if err != nil {
		return err
	}
	for _, x := range secrets {
		if ses.secrets[x.Kind+" "+x.Device] >= x.Version {
			continue
		}
		ses.secrets[x.Kind+" "+x.Device] = x.Version
		m := sealed(x)
		if err := ses.stream.Send(&toAgent{Kind: &controlv1.ControllerMessage_Secret{Secret: m}}); err != nil {
			return err
		}
	}
	if err := ses.pushClearances(ctx); err != nil {
		return err
	}
	orders, err := ses.Store.CancelledOrders(ctx, ses.agent)
	if err != nil {
		return err
	}
	for _, id := range orders {
		if ses.cancelled[id] {
			continue
		}
		ses.cancelled[id] = true
		if err := ses.stream.Send(&toAgent{Kind: &controlv1.ControllerMessage_CancelOrder{CancelOrder: &controlv1.CancelOrder{Order: id}}}); err != nil {
			return err
		}
	}
	return ses.pushWork(ctx)
}

// pushClearances sends each once in a session, when the agent has the list whose approvers it is held against.
func (ses *session) pushClearances(ctx context.Context) error {
	open, err := ses.Store.OpenClearances(ctx, ses.agent)
	if err != nil || ses.list.IsZero() {
		return err
	}
	for _, c := range open {
		d := permit.Digest(sha256.Sum256(c.Document))
		if ses.cleared[d] {
			continue
		}
		ses.cleared[d] = true
		m := &controlv1.Clearance{Document: c.Document, Signature: &controlv1.Signature{By: c.Signed.By, Sig: c.Signed.Sig}}
		if err := ses.stream.Send(&toAgent{Kind: &controlv1.ControllerMessage_Clearance{Clearance: m}}); err != nil {
			return err
		}
	}
	return nil
}

func (ses *session) pushList(ctx context.Context) error {
	r, bundle, no := ses.Safety.Current(ses.Now())
	if no != nil || r.Digest == ses.list && r.Timestamp <= ses.timestamp || r.Digest == ses.listSent && r.Timestamp == ses.timestampSent {
		return nil
	}
	ses.listSent, ses.timestampSent, ses.bundle = r.Digest, r.Timestamp, sha256.Sum256(bundle)
	return ses.sendPaper(ctx, controlv1.Paper_KIND_LIST_RELEASE, ses.bundle, bundle, nil)
}

// sendPaper sends a document in parts. A hold that comes up meanwhile goes between two of them.
func (ses *session) sendPaper(ctx context.Context, kind controlv1.Paper_Kind, digest permit.Digest, body []byte, a *controlv1.Approval) error {
	for at := 0; at < len(body); at += partSize {
		part := body[at:min(at+partSize, len(body))]
		p := &controlv1.Paper{Kind: kind, Digest: digest[:], Total: uint64(len(body)), Offset: uint64(at), Part: part}
		if at+len(part) == len(body) {
			p.Approval = a
		} else if err := ses.pushHolds(ctx); err != nil {
			return err
		}
		if err := ses.stream.Send(&toAgent{Kind: &controlv1.ControllerMessage_Paper{Paper: p}}); err != nil {
			return err
		}
	}
	return nil
}

// loaded is a plan of a run, with what approves it.
type loaded struct {
	document []byte
	digest   permit.Digest
	plan     permit.Plan
	leave    approve.Leave

	members []member // an item's wave
	proven  map[string]bool
	said    map[string]string   // wave to why it waits
	vetted  map[int]time.Time   // item to when rest and inventory were last looked at
	rests   map[int]time.Time   // item to the end of its device's rest
	kin     *store.Kin          // of the inventory that the next two are of
	tags    map[string][]string // name of a physical device to its asset tags
	names   map[string][]string // asset tag to the names of its device
}

func (ses *session) load(ctx context.Context, name string) (*loaded, error) {
	if l := ses.plans[name]; l != nil {
		return l, nil
	}
	kept, err := ses.Store.Plan(ctx, name)
	if err != nil {
		return nil, err
	}
	l := &loaded{document: kept.Document, proven: map[string]bool{}, said: map[string]string{}}
	if l.plan, l.digest, err = permit.DecodePlan(kept.Document); err != nil {
		return nil, err
	}
	sigs, err := ses.Store.PlanSignatures(ctx, name)
	if err != nil {
		return nil, err
	}
	l.leave.Plan = signatures(sigs)
	if kept.Standing != "" {
		standing, err := ses.Store.Standing(ctx, kept.Standing)
		if err != nil {
			return nil, err
		}
		l.leave.Standing, l.leave.Signed = standing.Document, signatures(standing.Signatures)
	}
	if len(ses.plans) > 64 {
		clear(ses.plans)
	}
	ses.plans[name] = l
	return l, nil
}

func signatures(in []store.Signature) (out []permit.Signature) {
	for _, s := range in {
		out = append(out, permit.Signature{By: s.By, Sig: s.Sig})
	}
	return out
}

func (l *loaded) approval() *controlv1.Approval {
	a := &controlv1.Approval{Standing: l.leave.Standing}
	for _, s := range l.leave.Plan {
		a.PlanSignatures = append(a.PlanSignatures, &controlv1.Signature{By: s.By, Sig: s.Sig})
	}
	for _, s := range l.leave.Signed {
		a.StandingSignatures = append(a.StandingSignatures, &controlv1.Signature{By: s.By, Sig: s.Sig})
	}
	return a
}

// pushWork sends orders while there are some to send.
func (ses *session) pushWork(ctx context.Context) error {
	if !ses.resumed {
		return nil
	}
	if is, err := ses.stopped(ctx); is || err != nil {
		return err
	}
	if ses.holdAcked != ses.holdVersion && ses.holdVersion != 0 {
		return nil
	}
	skip := map[string]bool{}
	for range 64 { // runs, and orders of them; the next look goes on
		run, tasks, err := ses.Store.Due(ctx, ses.agent, ses.Now(), skip, ahead)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		sent, err := ses.order(ctx, run, tasks)
		if err != nil {
			return err
		}
		if !sent {
			skip[run.Name] = true
		}
	}
	return nil
}

// order sends the next order of a run. It sends none when the plan is not at the agent yet, when
// everything is held, or when the run is refused as a whole.
func (ses *session) order(ctx context.Context, run store.Run, tasks []store.Task) (sent bool, err error) {
	l, err := ses.load(ctx, run.Plan)
	if err != nil {
		return false, err
	}
	if no := ses.usable(l); no != nil {
		ses.Log.Error("a run is refused", "run", run.Name, "reason", no.Reason, "detail", no.Detail)
		err := ses.Store.RefuseQueued(ctx, run.Name, string(no.Reason), no.Detail, ses.Now())
		ses.Bell.Ring()
		return false, err
	}
	if ses.list != l.plan.List {
		return false, ses.listless(ctx, run.Name, l, tasks) // the agent gets the release first
	}
	known, offered := ses.papers[l.digest]
	if !offered {
		ses.papers[l.digest] = false
		return false, ses.sendPaper(ctx, controlv1.Paper_KIND_PLAN, l.digest, l.document, l.approval())
	}
	if !known {
		return false, nil
	}
	items, err := ses.free(ctx, run.Name, l, tasks)
	if err != nil {
		return false, err
	}
	if items, err = ses.well(ctx, run.Name, l, items); err != nil {
		return false, err
	}
	if err := ses.Store.SetHeld(ctx, run.Name, len(items) == 0); err != nil || len(items) == 0 {
		return false, err
	}
	if items = ses.rested(l, items); len(items) == 0 {
		return false, nil
	}
	if l.members == nil {
		r, _, no := ses.Safety.Current(ses.Now())
		if no != nil {
			return false, nil // the next look refuses the run
		}
		l.members = members(l.plan, r.List)
	}
	if items, err = ses.pace.sort(ctx, ses, l, items); err != nil {
		return false, err
	}
	items, waves, err := ses.waves(ctx, run.Name, l, items)
	if err != nil || len(items) == 0 {
		return false, err
	}
	if items, err = ses.vet(ctx, run, l, items); err != nil || len(items) == 0 {
		return err == nil, err // others may have their turn
	}
	room, err := ses.Store.Room(ctx, ses.agent)
	if err != nil {
		return false, err
	}
	taken, why := ses.pace.take(ses, run.Name, l, items, room)
	for words, items := range why {
		if err := ses.Store.Say(ctx, run.Name, items, string(list.PaceSpent), words); err != nil {
			ses.pace.back(taken)
			return false, err
		}
	}
	if len(taken) == 0 {
		return false, nil
	}
	return ses.send(ctx, run, l, taken, waves)
}

// usable reports why the agent cannot be given a plan at all.
func (ses *session) usable(l *loaded) *list.Refusal {
	r, _, no := ses.Safety.Current(ses.Now())
	if no != nil {
		return no
	}
	if r.Digest != l.plan.List {
		return list.Refuse(list.ListOther, "a newer release was published after the plan was made")
	}
	if why, ok := ses.refused[l.digest]; ok {
		return list.Refuse(list.Reason(why[0]), "said by the agent: "+why[1])
	}
	return l.leave.Covers(r.List.Site(), l.document, ses.Now())
}

// free returns the items that no hold covers. Of the others it writes which hold it is.
func (ses *session) free(ctx context.Context, run string, l *loaded, tasks []store.Task) (items []int, err error) {
	said := map[string][]int{}
	for _, t := range tasks {
		if t.Item < 0 || t.Item >= len(l.plan.Items) {
			continue
		}
		d := l.plan.Items[t.Item].Device
		s := hold.Subject{Tag: d.ID, Site: l.plan.Site}
		for _, c := range d.Claims {
			s.Models = append(s.Models, c.Manufacturer+"/"+c.Model)
		}
		h, held := hold.First(ses.holds, s)
		if !held {
			items = append(items, t.Item)
			continue
		}
		if words := fmt.Sprintf("it waits for a hold of %s: %s", h, h.Reason); t.Reason != string(list.Held) || t.Detail != words {
			said[words] = append(said[words], t.Item)
		}
	}
	for words, held := range said {
		if err := ses.Store.Say(ctx, run, held, string(list.Held), words); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// send mints the permits of what was taken from the budgets, commits that they go out, and sends them.
func (ses *session) send(ctx context.Context, run store.Run, l *loaded, taken []paid, waves []store.Wave) (sent bool, err error) {
	dispatched := false
	defer func() {
		if !dispatched {
			ses.pace.back(taken)
		}
	}()
	var id [12]byte
	if _, err := rand.Read(id[:]); err != nil {
		return false, fmt.Errorf("name order: %w", err)
	}
	items := itemsOf(taken)
	secrets, err := ses.credentials(ctx, l.plan, items)
	if err != nil {
		return false, err
	}
	now := ses.Now()
	o := approve.Order{ID: "orders/" + hex.EncodeToString(id[:]), Agent: ses.agent, Epoch: ses.epoch, Plan: l.plan, Digest: l.digest}
	papers, ids, err := ses.Minter.Mint(o, items, now)
	if err != nil {
		return false, err
	}
	var sendings []store.Sending
	for i, item := range items {
		sendings = append(sendings, store.Sending{Item: item, Permit: ids[i].String()})
		taken[i].permit = ids[i].String()
	}
	ses.pace.name(taken)
	err = ses.Store.Dispatch(ctx, store.Order{ID: o.ID, Run: run.Name, Agent: ses.agent, Epoch: ses.epoch, Hold: ses.holdVersion, Waves: only(waves, items)}, sendings, now)
	if errors.Is(err, store.ErrState) {
		return false, nil // a hold came in between, or the run has ended: the next look sees it
	}
	if err != nil {
		return false, err
	}
	dispatched = true
	ses.pace.gone(taken)
	ses.Bell.Ring()
	m := &controlv1.WorkOrder{Order: o.ID, Epoch: ses.epoch, Plan: l.digest[:], Permits: papers, Secrets: secrets}
	return true, ses.stream.Send(&toAgent{Kind: &controlv1.ControllerMessage_WorkOrder{WorkOrder: m}})
}

// only keeps of waves what an order has.
func only(waves []store.Wave, items []int) (out []store.Wave) {
	for _, w := range waves {
		in := map[int]string{}
		for _, item := range items {
			if device, ok := w.Items[item]; ok {
				in[item] = device
			}
		}
		if len(in) > 0 {
			out = append(out, store.Wave{Name: w.Name, Sent: w.Sent, Items: in})
		}
	}
	return out
}
