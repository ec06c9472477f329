package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Asking is that a device was asked a question, or is being asked.
type Asking struct {
	Agent string    // empty: not known, as after a restore from a backup
	Tag   string    // that it was asked under
	At    time.Time // of the first octet; of the order where that is not known
	Out   bool      // what became of it is not known yet
}

// LastAsked returns when any agent has last asked a device a question, under any of its tags, or given it to an agent without an end. The
// zero value: nobody has.
func (s *Store) LastAsked(ctx context.Context, tags []string, question string) (last Asking, err error) {
	names, err := text(tags)
	if err != nil {
		return last, err
	}
	found, err := all(ctx, s.r, func(scan func(...any) error) (x Asking, err error) {
		err = scan(&x.Agent, &x.Tag, timeColumn{&x.At}, &x.Out)
		return x, err
	}, `SELECT coalesce(r.agent, ''), v.tag, v.at, 0 FROM json_each(?) j CROSS JOIN visit v ON v.tag = j.value AND v.question = ? LEFT JOIN run r ON r.name = v.run
		UNION ALL SELECT r.agent, t.device, t.dispatched, 1 FROM json_each(?) j CROSS JOIN task t ON t.device = j.value AND t.question = ? AND t.state = 'DISPATCHED' JOIN run r ON r.name = t.run`,
		names, question, names, question)
	if err != nil {
		return last, fmt.Errorf("look up when %s was asked: %w", tags[0], err)
	}
	for _, x := range found {
		if x.Out && !last.Out || x.Out == last.Out && x.At.After(last.At) {
			last = x
		}
	}
	return last, nil
}

// Refuse ends questions of a run that were not sent, with a reason.
func (s *Store) Refuse(ctx context.Context, run string, items []int, reason, detail string, at time.Time) error {
	return s.tx(ctx, "refuse questions", func(tx *sql.Tx) error {
		for _, item := range items {
			if _, err := change(ctx, tx, `UPDATE task SET state = 'REFUSED', reason = ?, detail = ?, finished = ? WHERE run = ? AND item = ? AND state = 'QUEUED'`,
				reason, detail, micros(at), run, item); err != nil {
				return err
			}
		}
		return settle(ctx, tx, at)
	})
}
