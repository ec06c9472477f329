package store

import (
	"context"
	"database/sql"
	"time"
)

// Resume settles the tasks that earlier sessions of an agent left open, once its journal has told all
// that it knows: a task that the journal holds as started waits for its outcome, every other one was
// never begun and may be sent anew (CONTROL-PLANE 4.2). One whose start stands in the records that are stored, and that the
// agent knows nothing of, may have been asked all the same, and so may every one of a journal that is another than it was:
// that is what a copy of an agent's disk from a moment ago looks like (H-013). It fails with ErrFenced for an older session.
func (s *Store) Resume(ctx context.Context, agent string, epoch uint64, started func(order string, ordinal uint32) bool, other bool, at time.Time) (again int, err error) {
	err = s.tx(ctx, "resume tasks", func(tx *sql.Tx) error {
		current, err := one(ctx, tx, scanNumber, `SELECT session_epoch FROM agent WHERE name = ?`, agent)
		if err != nil {
			return err
		}
		if current != epoch {
			return ErrFenced
		}
		type left struct {
			Dispatched
			begun bool
		}
		tasks, err := all(ctx, tx, func(scan func(...any) error) (l left, err error) {
			err = scan(&l.Run, &l.Item, &l.Order, &l.Ordinal, &l.begun)
			return l, err
		}, `SELECT t.run, t.item, t.work_order, t.ordinal, s.begun > 0 FROM task t JOIN work_order o ON o.id = t.work_order
			JOIN sending s ON s.work_order = t.work_order AND s.ordinal = t.ordinal
			WHERE t.state = 'DISPATCHED' AND o.agent = ? AND o.epoch < ?`, agent, epoch)
		if err != nil {
			return err
		}
		for _, t := range tasks {
			if started(t.Order, t.Ordinal) {
				continue
			}
			if t.begun || other {
				if err := loseTask(ctx, tx, t.Run, t.Item, "the agent's journal is another than it was; the device may have been asked", at); err != nil {
					return err
				}
				continue
			}
			again++
			if err := requeue(ctx, tx, t.Run, t.Item, at); err != nil {
				return err
			}
		}
		return settle(ctx, tx, at)
	})
	return again, err
}

// requeue puts back a task that was never begun; what a person has cancelled is not sent anew.
func requeue(ctx context.Context, tx *sql.Tx, run string, item int, at time.Time) error {
	if _, err := change(ctx, tx, `UPDATE task SET work_order = '', ordinal = 0, state = 'QUEUED' WHERE run = ? AND item = ?`, run, item); err != nil {
		return err
	}
	_, err := change(ctx, tx, `UPDATE task SET state = 'STOPPED', reason = 'STOPPED', finished = ?, detail = (SELECT reason FROM run WHERE name = task.run)
		WHERE run = ? AND item = ? AND (SELECT state FROM run WHERE name = task.run) = 'CANCELLED'`, micros(at), run, item)
	return err
}

// RefuseQueued ends what a run has not sent, with a reason.
func (s *Store) RefuseQueued(ctx context.Context, run, reason, detail string, at time.Time) error {
	return s.tx(ctx, "refuse queued tasks", func(tx *sql.Tx) error {
		if _, err := change(ctx, tx, `UPDATE task SET state = 'REFUSED', reason = ?, detail = ?, finished = ? WHERE run = ? AND state = 'QUEUED'`,
			reason, detail, micros(at), run); err != nil {
			return err
		}
		return settle(ctx, tx, at)
	})
}

// CancelledOrders returns the orders that are out at an agent although their run was cancelled.
func (s *Store) CancelledOrders(ctx context.Context, agent string) ([]string, error) {
	return all(ctx, s.r, scanText, `SELECT o.id FROM work_order o JOIN run r ON r.name = o.run
		WHERE o.agent = ? AND o.state = 'DISPATCHED' AND r.state = 'CANCELLED' ORDER BY o.id`, agent)
}
