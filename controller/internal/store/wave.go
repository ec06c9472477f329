package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// WaveVisit is one sending of a question to a device of a wave, and how it went.
type WaveVisit struct {
	Device   string
	State    string // of the task
	Finished time.Time
	Cleared  bool // after a distress or an incident: its clearance was taken
}

// WaveVisits returns what was sent in a wave, oldest outcome first, and how many sendings those are. A credential that was not taken
// says nothing against a device, and nobody can clear it: it counts as a refusal.
func (s *Store) WaveVisits(ctx context.Context, wave string) ([]WaveVisit, uint64, error) {
	tx, err := s.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, 0, fmt.Errorf("read wave: %w", err)
	}
	n, err := sentInWave(ctx, tx, wave)
	if err != nil {
		return nil, 0, fmt.Errorf("read wave: %w", joinRead(err, tx.Rollback()))
	}
	out, err := all(ctx, tx, func(scan func(...any) error) (v WaveVisit, err error) {
		err = scan(&v.Device, &v.State, timeColumn{&v.Finished}, &v.Cleared)
		return v, err
	}, `SELECT w.device, CASE t.reason WHEN 'CREDENTIAL_REFUSED' THEN 'REFUSED' ELSE t.state END, t.finished, coalesce(c.taken, 0) > 0 FROM wave_visit w JOIN sending x ON x.permit = w.permit
		JOIN task t ON t.run = x.run AND t.item = x.item AND t.work_order = x.work_order
		LEFT JOIN clearance c ON c.permit = w.permit WHERE w.wave = ? ORDER BY t.finished, w.permit`, wave)
	if err := joinRead(err, tx.Rollback()); err != nil {
		return nil, 0, fmt.Errorf("read wave: %w", err)
	}
	return out, n, nil
}

func sentInWave(ctx context.Context, q querier, wave string) (uint64, error) {
	return one(ctx, q, scanNumber, `SELECT count(*) FROM wave_visit WHERE wave = ?`, wave)
}

// CountModel says how many devices of the inventory a CMMS names so.
func (s *Store) CountModel(ctx context.Context, manufacturer, model string) (int, error) {
	n, err := one(ctx, s.r, scanNumber, `SELECT count(*) FROM device WHERE json_extract(cells, '$.manufacturer') = ? AND json_extract(cells, '$.model') = ?`, manufacturer, model)
	if err != nil {
		return 0, fmt.Errorf("count devices of a model: %w", err)
	}
	return int(n), nil
}

// Say writes why queued questions of a run wait, in a reason code and in words. Both stay when the approved time ends before their turn.
func (s *Store) Say(ctx context.Context, run string, items []int, reason, why string) error {
	return s.tx(ctx, "say why questions wait", func(tx *sql.Tx) error {
		for _, item := range items {
			if _, err := change(ctx, tx, `UPDATE task SET reason = ?, detail = ? WHERE run = ? AND item = ? AND state = 'QUEUED'`, reason, why, run, item); err != nil {
				return err
			}
		}
		return nil
	})
}
