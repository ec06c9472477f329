package api

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
	"primum/safetylists/evidence"
)

// longest is more than a conversation lasts, from its first record to its last (limits.go: 30 s, and what the disk takes).
const longest = 2 * time.Minute

// mostTouched bounds the records of one answer.
const mostTouched = 1000

// GetTouched implements the call.
func (s *evidenceService) GetTouched(ctx context.Context, r *adminv1.GetTouchedRequest) (*adminv1.Touched, error) {
	tag, err := bare(r.GetDevice(), "devices")
	if err != nil {
		return nil, err
	}
	from, to := r.GetFrom().AsTime(), r.GetTo().AsTime()
	if r.GetFrom() == nil || r.GetTo() == nil || !from.Before(to) {
		return nil, bad("the time has to have a beginning and a later end")
	}
	out := &adminv1.Touched{Device: "devices/" + tag}
	if out.Also, err = s.Store.Twins(ctx, tag); err != nil {
		return nil, s.failed(err, "device "+tag)
	}
	var found, before, after, near []store.Touch
	for _, name := range append([]string{tag}, out.Also...) {
		part, err := s.Store.Touches(ctx, name, from, to, mostTouched+1)
		if err != nil {
			return nil, s.failed(err, "record of "+name)
		}
		earlier, later, err := s.Store.OutcomesAround(ctx, name, from, to)
		if err != nil {
			return nil, s.failed(err, "record of "+name)
		}
		found, before, after = append(found, part...), append(before, earlier...), append(after, later...)
		for _, edge := range [][2]time.Time{{from.Add(-longest), from}, {to, to.Add(longest)}} {
			part, err := s.Store.Touches(ctx, name, edge[0], edge[1], mostTouched)
			if err != nil {
				return nil, s.failed(err, "record of "+name)
			}
			near = append(near, part...)
		}
		unsure, err := s.Store.UnsureTasks(ctx, name, from, to)
		if err != nil {
			return nil, s.failed(err, "questions to "+name)
		}
		for _, u := range unsure {
			out.Unsure = append(out.Unsure, &adminv1.UnsureTask{Task: fmt.Sprintf("runs/%s/tasks/%d", u.Run, u.Item), Agent: "agents/" + u.Agent, Question: u.Question,
				State: u.State, Detail: u.Detail, Given: stamp(u.Given), Closes: stamp(u.Closes)})
		}
	}
	if len(found)+len(before)+len(after) == 0 {
		// a tag that is mistyped must not get the answer that nothing was sent to it
		if _, err := s.Store.Device(ctx, tag); err != nil {
			return nil, s.failed(err, "device "+tag+" in the inventory, nor in any record")
		}
	}
	byTime := func(a, b store.Touch) int { return a.At.Compare(b.At) }
	var begun []store.Touch
	begun, out.Sent = conversations(found, near, from)
	found = append(found, begun...)
	all := found
	slices.SortStableFunc(found, byTime)
	if len(found) > mostTouched {
		found, out.More = found[:mostTouched], true
	}
	for _, t := range found {
		out.Records = append(out.Records, touchRecord(t))
	}
	if len(before) > 0 {
		out.Before = touchRecord(slices.MaxFunc(before, byTime))
	}
	if len(after) > 0 {
		out.After = touchRecord(slices.MinFunc(after, byTime))
	}
	if out.Leaves, err = s.leaves(ctx, found); err != nil {
		return nil, s.failed(err, "approvals")
	}
	if out.Journals, err = s.covers(ctx, from, to, all); err != nil {
		return nil, s.failed(err, "journals")
	}
	return out, nil
}

// conversations returns the first records of those that were under way when a time began, which lies between what was found in it and what
// is near, and whether any in the time has sent something, or may have: its end says so, or is not known.
func conversations(found, near []store.Touch, from time.Time) (begun []store.Touch, sent bool) {
	type talk struct {
		started, message bool // in the time, or under way at its beginning
		first            *store.Touch
		end              *evidence.Result
		over             time.Time
	}
	talks := map[string]*talk{}
	take := func(t store.Touch, within bool) {
		r, _, err := evidence.Decode(t.Raw)
		if err != nil {
			sent = sent || within // it may tell of anything
			return
		}
		x := talks[r.Permit]
		if x == nil {
			x = &talk{}
			talks[r.Permit] = x
		}
		switch r.Kind {
		case evidence.Started:
			x.started = x.started || within
			if !within && t.At.Before(from) {
				x.first = &t
			}
		case evidence.Sent, evidence.Got:
			x.message = x.message || within
		case evidence.Outcome:
			x.end, x.over = r.Result, t.At
		}
	}
	for _, t := range found {
		take(t, true)
	}
	for _, t := range near {
		take(t, false)
	}
	for _, x := range talks {
		if x.first != nil && (x.end == nil || !x.over.Before(from)) {
			begun = append(begun, *x.first)
			x.started = true
		}
		sent = sent || x.message || x.started && (x.end == nil || x.end.Touched())
	}
	return begun, sent
}

func touchRecord(t store.Touch) *adminv1.TouchRecord {
	return &adminv1.TouchRecord{Agent: "agents/" + t.Agent, Incarnation: t.Incarnation, Seq: t.Seq, At: stamp(t.At), Kind: t.Kind, Raw: t.Raw}
}

// leaves are the approvals of the permits that records name.
func (s *evidenceService) leaves(ctx context.Context, records []store.Touch) (out []*adminv1.Leave, err error) {
	var permits []string
	for _, t := range records {
		if r, _, err := evidence.Decode(t.Raw); err == nil && r.Permit != "" && !slices.Contains(permits, r.Permit) {
			permits = append(permits, r.Permit)
		}
	}
	known, err := s.Store.Leaves(ctx, permits)
	for _, l := range known {
		x := &adminv1.Leave{Permit: l.Permit, Plan: "plans/" + l.Plan, Caller: l.Caller, ApprovedBy: l.By}
		if l.Standing != "" {
			x.Standing = "standingApprovals/" + l.Standing
		}
		out = append(out, x)
	}
	return out, err
}

// covers says of every journal which of its records are of a time, and whether a head shows that they are all. What was found in it
// belongs to them wherever it stands: where a clock was set back, numbers and times do not grow together.
func (s *evidenceService) covers(ctx context.Context, from, to time.Time, found []store.Touch) (out []*adminv1.JournalCover, err error) {
	journals, err := s.Store.Journals(ctx)
	if err != nil {
		return nil, err
	}
	for _, j := range journals {
		first, err := s.firstFrom(ctx, j, from)
		if err != nil {
			return nil, err
		}
		after, err := s.firstFrom(ctx, j, to)
		if err != nil {
			return nil, err
		}
		for _, t := range found {
			if t.Agent == j.Agent && bytes.Equal(t.Incarnation, j.Incarnation) {
				first, after = min(first, t.Seq), max(after, t.Seq+1)
			}
		}
		a, err := s.Store.Agent(ctx, j.Agent)
		if err != nil {
			return nil, err
		}
		aside := !bytes.Equal(a.Incarnation, j.Incarnation)
		if aside && first > j.Records || after == 1 && j.Records > 0 {
			continue // it ended before the time, or began after it
		}
		c := &adminv1.JournalCover{Agent: "agents/" + j.Agent, Incarnation: j.Incarnation, FirstSeq: first, LastSeq: after - 1}
		if j.Head.Size > 0 {
			h, err := evidence.OpenHead(j.Head.Note, j.Head.Key)
			if err != nil {
				return nil, err
			}
			c.Head, c.HeadAt = &adminv1.SignedHead{Size: h.Size, Note: j.Head.Note}, stamp(h.At)
			c.Shown = h.Size >= c.LastSeq && !h.At.Before(to) || aside && h.Size == j.Records
		}
		out = append(out, c)
	}
	return out, nil
}

// firstFrom is the number of the first record from a time on, or one more than there are. Numbers and times grow
// together, so that some twenty records are read of ten million.
func (s *evidenceService) firstFrom(ctx context.Context, j store.Journal, at time.Time) (uint64, error) {
	low, high := uint64(1), j.Records+1
	for low < high {
		middle := low + (high-low)/2
		_, raw, err := s.Store.Tree(ctx, j.Agent, j.Incarnation, middle)
		if err != nil {
			return 0, err
		}
		r, _, err := evidence.Decode(raw)
		if err == nil && r.At.Before(at) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}
