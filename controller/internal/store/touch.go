package store

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// Touch is one record that speaks of a device.
type Touch struct {
	Device      string
	At          time.Time // by the agent's clock
	Agent       string
	Incarnation []byte
	Seq         uint64
	Kind        string
	Raw         []byte
}

func scanTouch(scan func(...any) error) (t Touch, err error) {
	err = scan(&t.Device, timeColumn{&t.At}, &t.Agent, &t.Incarnation, &t.Seq, &t.Kind, &t.Raw)
	return t, err
}

const touchQuery = `SELECT t.device, t.at, t.agent, t.incarnation, t.seq, t.kind, r.raw FROM touch t
	JOIN record r ON r.agent = t.agent AND r.incarnation = t.incarnation AND r.seq = t.seq WHERE t.device = ? AND `

// Touches returns the records of a device in [from, to), at most n, in order of time.
func (s *Store) Touches(ctx context.Context, device string, from, to time.Time, n int) ([]Touch, error) {
	out, err := all(ctx, s.r, scanTouch, touchQuery+`t.at >= ? AND t.at < ? ORDER BY t.at, t.agent, t.incarnation, t.seq LIMIT ?`, device, micros(from), micros(to), n)
	if err != nil {
		return nil, fmt.Errorf("look up records of device %s: %w", device, err)
	}
	return out, nil
}

// OutcomesAround returns the last outcome of a device before a time and the first one from another on.
func (s *Store) OutcomesAround(ctx context.Context, device string, from, to time.Time) (before, after []Touch, err error) {
	if before, err = all(ctx, s.r, scanTouch, touchQuery+`t.at < ? AND t.kind = 'outcome' ORDER BY t.at DESC LIMIT 1`, device, micros(from)); err == nil {
		after, err = all(ctx, s.r, scanTouch, touchQuery+`t.at >= ? AND t.kind = 'outcome' ORDER BY t.at LIMIT 1`, device, micros(to))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look up outcomes of device %s: %w", device, err)
	}
	return before, after, nil
}

// Unsure is a question that was given to an agent, and whose end no record tells.
type Unsure struct {
	Run, Agent, Question, State, Detail string
	Item                                int
	Given, Closes                       time.Time
}

// UnsureTasks returns those of a device that may have been asked in [from, to).
func (s *Store) UnsureTasks(ctx context.Context, device string, from, to time.Time) ([]Unsure, error) {
	out, err := all(ctx, s.r, func(scan func(...any) error) (u Unsure, err error) {
		err = scan(&u.Run, &u.Agent, &u.Question, &u.State, &u.Detail, &u.Item, timeColumn{&u.Given}, timeColumn{&u.Closes})
		return u, err
	}, `SELECT t.run, r.agent, t.question, t.state, t.detail, t.item, t.dispatched, r.closes FROM task t JOIN run r ON r.name = t.run
		WHERE t.device = ? AND t.state IN ('UNKNOWN', 'DISPATCHED') AND t.asked = 0 AND t.dispatched < ? AND r.closes > ? ORDER BY t.dispatched, t.run, t.item`, device, micros(to), micros(from))
	if err != nil {
		return nil, fmt.Errorf("look up unsure questions of device %s: %w", device, err)
	}
	return out, nil
}

// Journal is one journal of an agent with its newest checked head, if it has one.
type Journal struct {
	Agent       string
	Incarnation []byte
	Records     uint64
	Head        Head // zero: none
}

// Journals returns every journal that records are stored of.
func (s *Store) Journals(ctx context.Context) ([]Journal, error) {
	agents, err := s.Agents(ctx, "", 0)
	if err != nil {
		return nil, err
	}
	var out []Journal
	for _, a := range agents {
		incarnations, err := all(ctx, s.r, func(scan func(...any) error) (b []byte, err error) {
			err = scan(&b)
			return b, err
		}, `SELECT incarnation FROM retired_incarnation WHERE agent = ?1 UNION SELECT incarnation FROM agent WHERE name = ?1`, a.Name)
		if err != nil {
			return nil, fmt.Errorf("list journals: %w", err)
		}
		for _, incarnation := range incarnations {
			j := Journal{Agent: a.Name, Incarnation: incarnation}
			if j.Records, err = one(ctx, s.r, scanNumber, `SELECT coalesce(max(seq), 0) FROM record WHERE agent = ? AND incarnation = ?`, a.Name, incarnation); err != nil {
				return nil, fmt.Errorf("count records: %w", err)
			}
			heads, err := all(ctx, s.r, scanHead, `SELECT agent, incarnation, size, note, key, at FROM tree_head
				WHERE agent = ? AND incarnation = ? ORDER BY size DESC LIMIT 1`, a.Name, incarnation)
			if err != nil {
				return nil, fmt.Errorf("look up head: %w", err)
			}
			if len(heads) > 0 {
				j.Head = heads[0]
			}
			if j.Records > 0 || bytes.Equal(incarnation, a.Incarnation) { // the newest may have more to tell
				out = append(out, j)
			}
		}
	}
	return out, nil
}

// Leave is by whose word a permit was given.
type Leave struct {
	Permit, Plan, Caller, Standing string
	By                             []string
}

// Leaves returns by whose approval permits were given, of those that are known.
func (s *Store) Leaves(ctx context.Context, permits []string) ([]Leave, error) {
	var out []Leave
	for _, permit := range permits {
		found, err := all(ctx, s.r, func(scan func(...any) error) (l Leave, err error) {
			err = scan(&l.Permit, &l.Plan, &l.Caller, &l.Standing)
			return l, err
		}, `SELECT s.permit, p.name, p.caller, p.standing FROM sending s JOIN run r ON r.name = s.run JOIN plan p ON p.name = r.plan WHERE s.permit = ?`, permit)
		if err != nil {
			return nil, fmt.Errorf("look up permit %s: %w", permit, err)
		}
		for _, l := range found {
			sigs, err := s.PlanSignatures(ctx, l.Plan)
			if err == nil && l.Standing != "" {
				var x Standing
				x, err = s.Standing(ctx, l.Standing)
				sigs = append(sigs, x.Signatures...)
			}
			if err != nil {
				return nil, err
			}
			for _, sig := range sigs {
				l.By = append(l.By, sig.By)
			}
			out = append(out, l)
		}
	}
	return out, nil
}
