package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"primum/controller/internal/approve"
	"primum/controller/internal/auth"
	"primum/controller/internal/fire"
	"primum/controller/internal/hold"
	"primum/controller/internal/plan"
	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
	"primum/safetylists/permit"
)

type probeService struct {
	adminv1.UnimplementedProbeServiceServer
	*API
}

const (
	// demandTime is the approved time of a call: the question ends in it or is not begun.
	demandTime = 60 * time.Second
	// demandWait is how long a call waits when it has no deadline of its own.
	demandWait = 90 * time.Second
)

// Probe implements the call. A call that is given up is not a question that is taken back: its outcome
// is in the run, and the same request_id returns it.
func (s *probeService) Probe(ctx context.Context, r *adminv1.ProbeRequest) (*adminv1.ProbeResponse, error) {
	tag, err := bare(r.GetDevice(), "devices")
	if err != nil {
		return nil, err
	}
	kind, err := parseKind(r.GetKind(), false)
	if err != nil {
		return nil, err
	}
	if r.GetRequestId() == "" {
		return nil, bad("the request_id is missing: give each question a UUID, so that a repeated call asks once")
	}
	req, run, done, err := s.request(ctx, r.GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	if !done {
		if run, err = s.ask(ctx, tag, kind, req); err != nil {
			if !errors.Is(err, store.ErrRequest) {
				return nil, s.failed(err, "the question")
			}
			// the same call came twice at the same time; the other one asks
			if _, run, _, err = s.request(ctx, r.GetRequestId(), r); err != nil {
				return nil, err
			}
		}
	}
	return s.wait(ctx, run)
}

// ask makes a plan of one question under a standing approval of the caller, and fires it.
func (s *probeService) ask(ctx context.Context, tag string, kind list.Kind, req *store.Request) (string, error) {
	now := s.Now()
	if _, err := s.Store.Device(ctx, tag); err != nil {
		return "", s.failed(err, "device "+tag)
	}
	in, rel, err := s.planInput(ctx, now, []string{tag})
	if err != nil {
		return "", err
	}
	caller := auth.From(ctx).Name
	in.Origin, in.Caller, in.Kind, in.Opens, in.Closes = permit.OnDemand, caller, kind, now, now.Add(demandTime)
	if no := first(plan.Make(in)); no != nil {
		return "", refused(list.Refusal{Reason: no.Reason, Detail: no.Detail}, no.Statements)
	}
	if no, err := s.held(ctx, in.Devices[0], in.Site); err != nil || no != nil {
		if err == nil {
			err = refused(*no, nil)
		}
		return "", err
	}
	agent, no, err := s.agentOf(ctx, tag)
	if err != nil {
		return "", err
	}
	if no == nil && !s.Online(agent) {
		no = list.Refuse(list.AgentOffline, "agents/"+agent)
	}
	if no != nil {
		return "", refused(*no, nil)
	}
	leave, no, err := s.leave(ctx, &in, rel.List.Site(), caller)
	if err != nil {
		return "", err
	}
	if no != nil {
		return "", refused(*no, nil)
	}
	p, err := s.encode(in, rel, agent, now)
	if err != nil {
		return "", err
	}
	p.State, p.Standing = store.Approved, leave.Name
	doc, _, err := permit.DecodePlan(p.Document)
	if err != nil {
		return "", err
	}
	run, tasks := fire.Run(p.Name, p, doc)
	a := s.act(ctx, "ask on demand", "runs/"+run.Name)
	a.Detail = tag + " " + string(kind) + " under standing approval " + leave.Name
	err = s.Store.Fire(ctx, run, tasks, &p, req, a)
	if errors.Is(err, store.ErrBudget) { // another call of it was quicker
		return "", refused(*list.Refuse(list.BudgetSpent, fmt.Sprintf("%d questions a day", leave.PerDay)), nil)
	}
	if err != nil {
		return "", err
	}
	s.Bell.Ring()
	return run.Name, nil
}

// first returns the refusal of a plan without any question.
func first(p permit.Plan) *permit.PlanRefusal {
	if len(p.Items) > 0 {
		return nil
	}
	if len(p.Refusals) == 0 {
		return &permit.PlanRefusal{Reason: list.NotApproved}
	}
	return &p.Refusals[0]
}

// leave finds the standing approval of the caller that carries the question, and puts it into the input.
func (s *probeService) leave(ctx context.Context, in *plan.Input, site list.Site, caller string) (store.Standing, *list.Refusal, error) {
	kept, err := s.Store.StandingsOf(ctx, caller, in.Opens)
	if err != nil {
		return store.Standing{}, nil, err
	}
	asked, err := s.Store.AskedSince(ctx, caller, in.Opens.Add(-24*time.Hour))
	if err != nil {
		return store.Standing{}, nil, err
	}
	why := list.Refuse(list.PlanNotApproved, "there is no standing approval for "+caller)
	for _, x := range kept {
		var sigs []permit.Signature
		for _, g := range x.Signatures {
			sigs = append(sigs, permit.Signature{By: g.By, Sig: g.Sig})
		}
		d, no := approve.Standing(site, x.Document, sigs)
		if no != nil {
			why = no
			continue
		}
		in.Leave, in.Left = &d, d.PerDay-asked
		if refusal := first(plan.Make(*in)); refusal != nil {
			why = list.Refuse(refusal.Reason, refusal.Detail)
			continue
		}
		return x, nil, nil
	}
	return store.Standing{}, why, nil
}

func (s *probeService) held(ctx context.Context, d list.Device, site string) (*list.Refusal, error) {
	_, kept, err := s.Store.HoldsInForce(ctx)
	if err != nil {
		return nil, err
	}
	whole, err := s.whole(ctx, d, site)
	if err != nil {
		return nil, err
	}
	for _, h := range kept {
		if x := (hold.Hold{Scope: hold.Scope(h.Scope), Value: h.Value}); x.Covers(whole) {
			return list.Refuse(list.Held, fmt.Sprintf("hold %d of %s, by %s: %s", h.ID, x, h.PlacedBy, h.Reason)), nil
		}
	}
	return nil, nil
}

// agentOf says which agent asks a device: that of an approved time which names it, else the one agent
// that there is.
func (s *probeService) agentOf(ctx context.Context, tag string) (string, *list.Refusal, error) {
	windows, err := s.Store.Windows(ctx, "", 0)
	if err != nil {
		return "", nil, err
	}
	for _, w := range windows {
		if slices.Contains(w.Devices, tag) {
			return w.Agent, nil, nil
		}
	}
	agents, err := s.Store.Agents(ctx, "", 0)
	if err != nil {
		return "", nil, err
	}
	if len(agents) == 1 {
		return agents[0].Name, nil, nil
	}
	return "", list.Refuse(list.AgentOffline, "no approved time says which agent asks this device"), nil
}

// wait returns the outcome when the run has ended.
func (s *probeService) wait(ctx context.Context, run string) (*adminv1.ProbeResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, demandWait)
	defer cancel()
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	for {
		rung := s.Bell.Next()
		r, err := s.Store.Run(ctx, run)
		if err != nil {
			return nil, s.failed(err, "run "+run)
		}
		if ended(r.State) || s.counted(r)["UNKNOWN"] > 0 {
			tasks, err := s.Store.Tasks(ctx, run, -1, 1)
			if err != nil || len(tasks) != 1 {
				return nil, s.failed(err, "run "+run)
			}
			t := s.told(r, tasks)[0]
			if !ended(r.State) && t.State != "UNKNOWN" { // the agent is back in this very moment
				continue
			}
			if t.State == "REFUSED" || t.State == "STOPPED" && t.Messages == 0 {
				return nil, refused(list.Refusal{Reason: list.Reason(t.Reason), Detail: t.Detail}, nil)
			}
			return &adminv1.ProbeResponse{Run: "runs/" + run, Task: task(t)}, nil
		}
		select {
		case <-rung:
		case <-look.C:
		case <-ctx.Done():
			return nil, s.failed(ctx.Err(), "run "+run)
		}
	}
}
