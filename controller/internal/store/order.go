package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// Order is a work order as it goes out.
type Order struct {
	ID    string
	Run   string
	Agent string
	Epoch uint64
	Hold  uint64 // hold version that was looked at
	Waves []Wave // of its questions
}

// Wave is the questions of an order that are in one wave.
type Wave struct {
	Name  string
	Sent  uint64         // sendings of it that were looked at
	Items map[int]string // of the plan, with the device of each
}

// Sending is one permit of an order; its place in the list is the ordinal.
type Sending struct {
	Item   int
	Permit string
}

// MaxOpen is how many questions an agent may have open: two full orders (CONTROL-PLANE 4.6). Orders are smaller where budgets
// let only some questions go.
const MaxOpen = 100

// leastRoom is how many more questions an agent has to have room for before the queue of a window is looked through for it: each look
// reads up to 2,000 tasks. What is asked on demand waits for none of it.
const leastRoom = 10

const countOpen = `SELECT count(*) FROM work_order o JOIN task t ON t.work_order = o.id WHERE o.agent = ? AND o.state = 'DISPATCHED' AND t.state = 'DISPATCHED'`

// Room is how many more questions an agent may be given.
func (s *Store) Room(ctx context.Context, agent string) (int, error) {
	open, err := one(ctx, s.r, scanNumber, countOpen, agent)
	if err != nil {
		return 0, fmt.Errorf("count open questions: %w", err)
	}
	return MaxOpen - min(int(open), MaxOpen), nil
}

// Out is a question that an agent has a permit for, and whose end is not known.
type Out struct {
	Permit, Plan, Agent string
	Item                int
}

func scanOut(scan func(...any) error) (o Out, err error) {
	err = scan(&o.Permit, &o.Plan, &o.Agent, &o.Item)
	return o, err
}

// SentSince returns the questions of all agents that were dispatched after a moment, whatever became of them.
func (s *Store) SentSince(ctx context.Context, since time.Time) ([]Out, error) {
	out, err := all(ctx, s.r, scanOut, `SELECT s.permit, r.plan, o.agent, t.item FROM task t JOIN work_order o ON o.id = t.work_order
		JOIN sending s ON s.work_order = o.id AND s.ordinal = t.ordinal JOIN run r ON r.name = t.run WHERE t.dispatched > ?`, micros(since))
	if err != nil {
		return nil, fmt.Errorf("list questions that were sent: %w", err)
	}
	return out, nil
}

// Outstanding returns the questions that are out, of all agents, dispatched after a moment.
func (s *Store) Outstanding(ctx context.Context, since time.Time) ([]Out, error) {
	out, err := all(ctx, s.r, scanOut, `SELECT s.permit, r.plan, o.agent, t.item FROM work_order o JOIN task t ON t.work_order = o.id
		JOIN sending s ON s.work_order = o.id AND s.ordinal = t.ordinal JOIN run r ON r.name = t.run
		WHERE o.state = 'DISPATCHED' AND t.state = 'DISPATCHED' AND t.dispatched > ?`, micros(since))
	if err != nil {
		return nil, fmt.Errorf("list questions that are out: %w", err)
	}
	return out, nil
}

// Due returns the oldest run of an agent that has queued tasks within its approved time, and at most
// limit of those tasks. What a person or another tool has asked for comes before what a window has planned. It fails with ErrNotFound when there is nothing to send, also when the agent
// has enough questions open.
func (s *Store) Due(ctx context.Context, agent string, at time.Time, skip map[string]bool, limit int) (Run, []Task, error) {
	room, err := s.Room(ctx, agent)
	if err != nil {
		return Run{}, nil, err
	}
	if room == 0 {
		return Run{}, nil, ErrNotFound
	}
	runs, err := all(ctx, s.r, scanRun, `SELECT `+runColumns+` FROM run WHERE agent = ? AND state IN ('PENDING', 'RUNNING', 'HELD')
		AND opens <= ? AND closes > ? ORDER BY caller LIKE 'windows/%', opens, name`, agent, micros(at), micros(at))
	if err != nil {
		return Run{}, nil, fmt.Errorf("list due runs: %w", err)
	}
	for _, r := range runs {
		if skip[r.Name] || room < leastRoom && strings.HasPrefix(r.Caller, "windows/") {
			continue
		}
		tasks, err := all(ctx, s.r, scanTask, `SELECT `+taskColumns+` FROM task WHERE run = ? AND state = 'QUEUED' ORDER BY item LIMIT ?`, r.Name, limit)
		if err != nil {
			return Run{}, nil, fmt.Errorf("list due tasks: %w", err)
		}
		if len(tasks) > 0 {
			return r, tasks, nil
		}
	}
	return Run{}, nil, ErrNotFound
}

// Dispatch commits that an order goes out, before it does (I1). It fails with ErrFenced when the
// session is not the newest one, confirmed by the agent's journal, and with ErrState when a hold or another
// order of the same wave came in between, the run has ended, a task is not queued any more, or the agent has enough questions open.
func (s *Store) Dispatch(ctx context.Context, o Order, sendings []Sending, at time.Time) error {
	return s.tx(ctx, "dispatch order", func(tx *sql.Tx) error {
		ready, err := one(ctx, tx, scanNumber, `SELECT count(*) FROM agent WHERE name = ? AND session_epoch = ? AND confirmed_epoch = ?`, o.Agent, o.Epoch, o.Epoch)
		if err != nil {
			return err
		}
		if ready != 1 {
			return ErrFenced
		}
		version, err := holdVersion(ctx, tx)
		if err != nil {
			return err
		}
		open, err := one(ctx, tx, scanNumber, countOpen, o.Agent)
		if err != nil {
			return err
		}
		if version != o.Hold || int(open)+len(sendings) > MaxOpen {
			return ErrState
		}
		for _, w := range o.Waves {
			sent, err := sentInWave(ctx, tx, w.Name)
			if err != nil {
				return err
			}
			if sent != w.Sent {
				return ErrState // another agent's order was quicker
			}
		}
		if err := must(ctx, tx, ErrState, `UPDATE run SET state = 'RUNNING', started = CASE started WHEN 0 THEN ? ELSE started END
			WHERE name = ? AND state IN ('PENDING', 'RUNNING', 'HELD') AND opens <= ? AND closes > ?`, micros(at), o.Run, micros(at), micros(at)); err != nil {
			return err
		}
		if _, err := change(ctx, tx, `INSERT INTO work_order (id, run, agent, epoch, state, at) VALUES (?, ?, ?, ?, 'DISPATCHED', ?)`,
			o.ID, o.Run, o.Agent, o.Epoch, micros(at)); err != nil {
			return err
		}
		for i, x := range sendings {
			if err := must(ctx, tx, ErrState, `UPDATE task SET state = 'DISPATCHED', reason = '', detail = '', work_order = ?, ordinal = ?, sends = sends + 1, dispatched = ?
				WHERE run = ? AND item = ? AND state = 'QUEUED'`, o.ID, i, micros(at), o.Run, x.Item); err != nil {
				return err
			}
			if _, err := change(ctx, tx, `INSERT INTO sending (work_order, ordinal, run, item, permit) VALUES (?, ?, ?, ?, ?)`, o.ID, i, o.Run, x.Item, x.Permit); err != nil {
				return err
			}
			if err := o.inWave(ctx, tx, x); err != nil {
				return err
			}
		}
		return nil
	})
}

func (o Order) inWave(ctx context.Context, tx *sql.Tx, x Sending) error {
	for _, w := range o.Waves {
		if device, ok := w.Items[x.Item]; ok {
			_, err := change(ctx, tx, `INSERT INTO wave_visit (permit, wave, device) VALUES (?, ?, ?)`, x.Permit, w.Name, device)
			return err
		}
	}
	return nil
}

// Receipt writes that an order stands in the agent's journal.
func (s *Store) Receipt(ctx context.Context, agent string, epoch uint64, order string, lsn uint64) error {
	return s.tx(ctx, "store receipt", func(tx *sql.Tx) error {
		return must(ctx, tx, ErrFenced, `UPDATE work_order SET receipt = ? WHERE id = ? AND agent = ? AND epoch = ?`, lsn, order, agent, epoch)
	})
}
