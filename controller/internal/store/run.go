package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Run is one plan being carried out.
type Run struct {
	Name    string // without "runs/"
	Plan    string
	Caller  string
	Agent   string
	Opens   time.Time
	Closes  time.Time
	State   string
	Started time.Time
	Ended   time.Time
	Planned int
	Refused int
	Reason  string
	Tasks   map[string]int // by state
}

// Task is one question of a run.
type Task struct {
	Run      string
	Item     int
	Device   string
	Kind     string
	Question string
	State    string
	Reason   string
	Detail   string
	Order    string
	Finished time.Time
	Asked    time.Time
	TookUS   int64
	Messages int
	Octets   int
	Facts    []Fact
}

const runColumns = `name, plan, caller, agent, opens, closes, state, started, ended, planned, refused, reason`

func scanRun(scan func(...any) error) (r Run, err error) {
	err = scan(&r.Name, &r.Plan, &r.Caller, &r.Agent, timeColumn{&r.Opens}, timeColumn{&r.Closes}, &r.State,
		timeColumn{&r.Started}, timeColumn{&r.Ended}, &r.Planned, &r.Refused, &r.Reason)
	return r, err
}

// Fire begins a run: the plan becomes FIRED and its items become tasks, in one transaction. A plan
// that is not stored yet is stored with it (on demand, or under a standing approval). It fails with
// ErrState for a plan that was not approved or was fired before, with ErrExists for an occurrence
// that has a run, and with ErrBudget.
func (s *Store) Fire(ctx context.Context, r Run, tasks []Task, fresh *Plan, req *Request, a Audit) error {
	return s.tx(ctx, "fire plan", func(tx *sql.Tx) error {
		if fresh != nil {
			if err := putPlan(ctx, tx, *fresh); err != nil {
				return err
			}
		}
		if err := must(ctx, tx, ErrState, `UPDATE plan SET state = 'FIRED', run = ? WHERE name = ? AND state = 'APPROVED'`, r.Name, r.Plan); err != nil {
			return err
		}
		if err := must(ctx, tx, ErrExists, `INSERT INTO run (`+runColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			r.Name, r.Plan, r.Caller, r.Agent, micros(r.Opens), micros(r.Closes), r.State, micros(r.Started), 0, r.Planned, r.Refused, r.Reason); err != nil {
			return err
		}
		for _, t := range tasks {
			if _, err := change(ctx, tx, `INSERT INTO task (run, item, device, kind, question, state, reason, detail, finished) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				r.Name, t.Item, t.Device, t.Kind, t.Question, t.State, t.Reason, t.Detail, micros(t.Finished)); err != nil {
				return err
			}
		}
		if err := a.add(ctx, tx); err != nil {
			return err
		}
		if err := req.keep(ctx, tx, r.Name, a.At); err != nil {
			return err
		}
		if err := fresh.within(ctx, tx, a.At); err != nil {
			return err
		}
		return settle(ctx, tx, a.At)
	})
}

// ExpirePlans ends the plans whose time is over and that never fired.
func (s *Store) ExpirePlans(ctx context.Context, at time.Time) error {
	return s.tx(ctx, "expire plans", func(tx *sql.Tx) error {
		_, err := change(ctx, tx, `UPDATE plan SET state = 'EXPIRED' WHERE state IN ('DRAFT', 'APPROVED') AND closes <= ?`, micros(at))
		return err
	})
}

// Run returns one run with its tasks counted. It fails with ErrNotFound.
func (s *Store) Run(ctx context.Context, name string) (Run, error) {
	r, err := one(ctx, s.r, scanRun, `SELECT `+runColumns+` FROM run WHERE name = ?`, name)
	if err != nil {
		return r, fmt.Errorf("look up run %s: %w", name, err)
	}
	r.Tasks, err = s.countTasks(ctx, name)
	return r, err
}

// Runs returns runs in order of their names, after a name.
func (s *Store) Runs(ctx context.Context, after string, limit int) ([]Run, error) {
	out, err := all(ctx, s.r, scanRun, `SELECT `+runColumns+` FROM run WHERE name > ? ORDER BY name LIMIT ?`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	for i := range out {
		if out[i].Tasks, err = s.countTasks(ctx, out[i].Name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// OpenRuns returns the runs that have not ended, oldest first.
func (s *Store) OpenRuns(ctx context.Context) ([]Run, error) {
	out, err := all(ctx, s.r, scanRun, `SELECT `+runColumns+` FROM run WHERE state IN ('PENDING', 'RUNNING', 'HELD') ORDER BY opens, name`)
	if err != nil {
		return nil, fmt.Errorf("list open runs: %w", err)
	}
	return out, nil
}

// HasOccurrence reports whether a window has a run for an opening.
func (s *Store) HasOccurrence(ctx context.Context, caller string, opens time.Time) (bool, error) {
	n, err := one(ctx, s.r, scanNumber, `SELECT count(*) FROM run WHERE caller = ? AND opens = ?`, caller, micros(opens))
	if err != nil {
		return false, fmt.Errorf("look up occurrence: %w", err)
	}
	return n > 0, nil
}

func (s *Store) countTasks(ctx context.Context, run string) (map[string]int, error) {
	counts := map[string]int{}
	rows, err := all(ctx, s.r, func(scan func(...any) error) (c struct {
		state string
		n     int
	}, err error) {
		err = scan(&c.state, &c.n)
		return c, err
	}, `SELECT state, count(*) FROM task WHERE run = ? GROUP BY state`, run)
	if err != nil {
		return nil, fmt.Errorf("count tasks: %w", err)
	}
	for _, c := range rows {
		counts[c.state] = c.n
	}
	return counts, nil
}

const taskColumns = `run, item, device, kind, question, state, reason, detail, work_order, finished, asked, took_us, messages, octets, facts`

func scanTask(scan func(...any) error) (t Task, err error) {
	err = scan(&t.Run, &t.Item, &t.Device, &t.Kind, &t.Question, &t.State, &t.Reason, &t.Detail, &t.Order,
		timeColumn{&t.Finished}, timeColumn{&t.Asked}, &t.TookUS, &t.Messages, &t.Octets, jsonColumn{&t.Facts})
	return t, err
}

// Tasks returns the tasks of a run in order of the plan, after an item (-1: from the first); limit 0
// is all.
func (s *Store) Tasks(ctx context.Context, run string, after, limit int) ([]Task, error) {
	if limit == 0 {
		limit = -1
	}
	out, err := all(ctx, s.r, scanTask, `SELECT `+taskColumns+` FROM task WHERE run = ? AND item > ? ORDER BY item LIMIT ?`, run, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	return out, nil
}

// AskedSince counts the questions of a caller that were sent out, or may have been, since a moment.
func (s *Store) AskedSince(ctx context.Context, caller string, since time.Time) (int, error) {
	n, err := askedSince(ctx, s.r, caller, since)
	if err != nil {
		return 0, fmt.Errorf("count questions of caller: %w", err)
	}
	return n, nil
}

func askedSince(ctx context.Context, q querier, caller string, since time.Time) (int, error) {
	n, err := one(ctx, q, scanNumber, askedSinceQuery, caller, micros(since), micros(since))
	return int(n), err
}

// A question is sent out before its run closes, so that runs that had closed by then count for nothing, however many there are.
const askedSinceQuery = `SELECT count(*) FROM run r CROSS JOIN task t ON t.run = r.name
	WHERE r.caller = ? AND r.closes >= ? AND (t.state NOT IN ('REFUSED', 'STOPPED') OR t.messages > 0 OR t.asked > 0)
	AND (t.dispatched > ? OR t.state = 'QUEUED')`

// within fails with ErrBudget where the questions of a caller, with those that were just fired under a standing approval, are more than that
// allows a day: who planned them has looked before, and others may have been fired since.
func (p *Plan) within(ctx context.Context, tx *sql.Tx, at time.Time) error {
	if p == nil || p.Standing == "" {
		return nil
	}
	most, err := one(ctx, tx, scanNumber, `SELECT per_day FROM standing WHERE name = ?`, p.Standing)
	if err != nil {
		return err
	}
	asked, err := askedSince(ctx, tx, p.Caller, at.Add(-24*time.Hour))
	if err == nil && asked > int(most) {
		err = ErrBudget
	}
	return err
}

// CancelRun ends a run: what was not dispatched is stopped. It returns the orders that are out. It
// fails with ErrState for a run that has ended.
func (s *Store) CancelRun(ctx context.Context, run, reason string, a Audit) (orders []string, err error) {
	err = s.tx(ctx, "cancel run", func(tx *sql.Tx) error {
		if err := must(ctx, tx, ErrState, `UPDATE run SET state = 'CANCELLED', reason = ?, ended = ?
			WHERE name = ? AND state IN ('PENDING', 'RUNNING', 'HELD')`, reason, micros(a.At), run); err != nil {
			return err
		}
		if _, err := change(ctx, tx, `UPDATE task SET state = 'STOPPED', reason = 'STOPPED', detail = ?, finished = ?
			WHERE run = ? AND state = 'QUEUED'`, reason, micros(a.At), run); err != nil {
			return err
		}
		if orders, err = all(ctx, tx, scanText, `SELECT id FROM work_order WHERE run = ? AND state = 'DISPATCHED'`, run); err != nil {
			return err
		}
		return a.add(ctx, tx)
	})
	return orders, err
}

// Settle ends what time has ended: queued tasks of a run whose approved time is over are STOPPED, and
// dispatched ones of which the agent has told nothing for the grace after it are UNKNOWN.
func (s *Store) Settle(ctx context.Context, at time.Time, grace time.Duration) (changed bool, err error) {
	err = s.tx(ctx, "settle runs", func(tx *sql.Tx) error {
		n, err := change(ctx, tx, `UPDATE task SET state = 'STOPPED', reason = CASE reason WHEN '' THEN 'STOPPED' ELSE reason END,
			detail = CASE detail WHEN '' THEN 'the approved time was over before its turn came; the device was not asked' ELSE detail END, finished = ?
			WHERE state = 'QUEUED' AND run IN (SELECT name FROM run WHERE closes <= ?)`, micros(at), micros(at))
		if err != nil {
			return err
		}
		lost, err := all(ctx, tx, func(scan func(...any) error) (d Dispatched, err error) {
			err = scan(&d.Run, &d.Item)
			return d, err
		}, `SELECT t.run, t.item FROM task t JOIN run r ON r.name = t.run WHERE t.state = 'DISPATCHED' AND r.closes <= ?`, micros(at.Add(-grace)))
		if err != nil {
			return err
		}
		for _, d := range lost {
			if err := loseTask(ctx, tx, d.Run, d.Item, "the agent has not reported what became of it", at); err != nil {
				return err
			}
		}
		changed = n > 0 || len(lost) > 0
		if !changed {
			return nil
		}
		return settle(ctx, tx, at)
	})
	return changed, err
}

// SetHeld writes whether everything that a run has left is held.
func (s *Store) SetHeld(ctx context.Context, run string, held bool) error {
	from, to := "HELD", "RUNNING"
	if held {
		from, to = to, from
	}
	return s.tx(ctx, "set run state", func(tx *sql.Tx) error {
		_, err := change(ctx, tx, `UPDATE run SET state = ? WHERE name = ? AND state = ?`, to, run, from)
		return err
	})
}

// settle closes orders without open tasks and ends runs without open tasks.
func settle(ctx context.Context, tx *sql.Tx, at time.Time) error {
	if _, err := change(ctx, tx, `UPDATE work_order SET state = 'CLOSED' WHERE state = 'DISPATCHED' AND NOT EXISTS
		(SELECT 1 FROM task t WHERE t.work_order = work_order.id AND t.state = 'DISPATCHED')`); err != nil {
		return err
	}
	_, err := change(ctx, tx, `UPDATE run SET ended = ?, state = `+endState+` WHERE state IN ('PENDING', 'RUNNING', 'HELD') AND `+noneOpen, micros(at))
	return err
}

// endState is how a run went. EXPIRED: nothing was asked, though something was planned. PARTIAL: something has
// no proper end.
const endState = `CASE
	WHEN EXISTS (SELECT 1 FROM task t WHERE t.run = run.name) AND NOT EXISTS (SELECT 1 FROM task t WHERE t.run = run.name
		AND (t.state NOT IN ('STOPPED', 'REFUSED') OR t.messages > 0)) THEN 'EXPIRED'
	WHEN EXISTS (SELECT 1 FROM task t WHERE t.run = run.name AND t.state IN ('STOPPED', 'UNKNOWN', 'DISTRESS', 'INCIDENT')) THEN 'PARTIAL'
	ELSE 'SUCCEEDED' END`

const noneOpen = `NOT EXISTS (SELECT 1 FROM task t WHERE t.run = run.name AND t.state IN ('QUEUED', 'DISPATCHED'))`

// told says anew how a run went that ended before its agent had told everything. One that was cancelled stays so.
func told(ctx context.Context, tx *sql.Tx, run string) error {
	_, err := change(ctx, tx, `UPDATE run SET state = `+endState+` WHERE name = ? AND state IN ('SUCCEEDED', 'PARTIAL', 'EXPIRED') AND `+noneOpen, run)
	return err
}
