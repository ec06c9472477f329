package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"
)

// Hold is a stop order.
type Hold struct {
	ID         int64
	Scope      string
	Value      string
	Reason     string
	PlacedBy   string
	PlacedAt   time.Time
	LiftedBy   string
	LiftedAt   time.Time
	LiftReason string
	Version    uint64 // of the change that placed or lifted it
}

const holdColumns = `id, scope, value, reason, placed_by, placed_at, lifted_by, lifted_at, lift_reason, version`

func scanHold(scan func(...any) error) (h Hold, err error) {
	err = scan(&h.ID, &h.Scope, &h.Value, &h.Reason, &h.PlacedBy, timeColumn{&h.PlacedAt}, &h.LiftedBy, timeColumn{&h.LiftedAt}, &h.LiftReason, &h.Version)
	return h, err
}

func holdVersion(ctx context.Context, q querier) (uint64, error) {
	return one(ctx, q, scanNumber, `SELECT hold_version FROM fleet`)
}

func nextHoldVersion(ctx context.Context, tx *sql.Tx) (uint64, error) {
	if err := must(ctx, tx, ErrState, `UPDATE fleet SET hold_version = hold_version + 1`); err != nil {
		return 0, err
	}
	return holdVersion(ctx, tx)
}

// HoldAbove writes a hold whose version is above one that an agent has seen and this database has not given, as after a restore from a backup:
// an agent never believes a smaller one. Both are written together: a version without its hold would be
// believed, and stop nothing.
func (s *Store) HoldAbove(ctx context.Context, seen uint64, h Hold, a Audit) (Hold, error) {
	err := s.tx(ctx, "place hold", func(tx *sql.Tx) error {
		if _, err := change(ctx, tx, `UPDATE fleet SET hold_version = ? WHERE hold_version < ?`, seen, seen); err != nil {
			return err
		}
		// who looks now looks for all that an agent may know up to there
		if _, err := change(ctx, tx, `UPDATE hold_life SET above = ? WHERE above < ? AND ? < below`, seen, seen, seen); err != nil {
			return err
		}
		return placeHold(ctx, tx, &h, nil, a)
	})
	return h, err
}

// PlaceHold writes a hold and returns it with its name and version.
func (s *Store) PlaceHold(ctx context.Context, h Hold, r *Request, a Audit) (Hold, error) {
	err := s.tx(ctx, "place hold", func(tx *sql.Tx) error { return placeHold(ctx, tx, &h, r, a) })
	return h, err
}

func placeHold(ctx context.Context, tx *sql.Tx, h *Hold, r *Request, a Audit) error {
	var err error
	if h.Version, err = nextHoldVersion(ctx, tx); err != nil {
		return err
	}
	last, err := one(ctx, tx, scanNumber, `SELECT coalesce(max(id), 0) FROM hold`)
	if err != nil {
		return err
	}
	h.ID = int64(last) + 1
	if _, err := change(ctx, tx, `INSERT INTO hold (id, scope, value, reason, placed_by, placed_at, version) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		h.ID, h.Scope, h.Value, h.Reason, h.PlacedBy, micros(h.PlacedAt), h.Version); err != nil {
		return err
	}
	a.Resource = "holds/" + strconv.FormatInt(h.ID, 10)
	if err := a.add(ctx, tx); err != nil {
		return err
	}
	return r.keep(ctx, tx, strconv.FormatInt(h.ID, 10), a.At)
}

// LiftHold lifts a hold. It fails with ErrState for one that was lifted before.
func (s *Store) LiftHold(ctx context.Context, id int64, by, reason string, a Audit) error {
	return s.tx(ctx, "lift hold", func(tx *sql.Tx) error {
		if _, err := one(ctx, tx, scanHold, `SELECT `+holdColumns+` FROM hold WHERE id = ?`, id); err != nil {
			return err
		}
		version, err := nextHoldVersion(ctx, tx)
		if err != nil {
			return err
		}
		if err := must(ctx, tx, ErrState, `UPDATE hold SET lifted_by = ?, lifted_at = ?, lift_reason = ?, version = ? WHERE id = ? AND lifted_at = 0`,
			by, micros(a.At), reason, version, id); err != nil {
			return err
		}
		return a.add(ctx, tx)
	})
}

// Hold returns one hold. It fails with ErrNotFound.
func (s *Store) Hold(ctx context.Context, id int64) (Hold, error) {
	h, err := one(ctx, s.r, scanHold, `SELECT `+holdColumns+` FROM hold WHERE id = ?`, id)
	if err != nil {
		return h, fmt.Errorf("look up hold %d: %w", id, err)
	}
	return h, nil
}

// Holds returns holds by number after one, those that are lifted only when asked for; limit 0 is all.
func (s *Store) Holds(ctx context.Context, after int64, limit int, lifted bool) ([]Hold, error) {
	if limit == 0 {
		limit = -1
	}
	out, err := all(ctx, s.r, scanHold, `SELECT `+holdColumns+` FROM hold WHERE id > ? AND (? OR lifted_at = 0) ORDER BY id LIMIT ?`, after, lifted, limit)
	if err != nil {
		return nil, fmt.Errorf("list holds: %w", err)
	}
	return out, nil
}

// HoldsInForce returns the version and every hold in force, of one moment.
func (s *Store) HoldsInForce(ctx context.Context) (version uint64, holds []Hold, err error) {
	tx, err := s.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return 0, nil, fmt.Errorf("read holds: %w", err)
	}
	defer func() { err = joinRead(err, tx.Rollback()) }()
	if version, err = holdVersion(ctx, tx); err != nil {
		return 0, nil, fmt.Errorf("read holds: %w", err)
	}
	if holds, err = all(ctx, tx, scanHold, `SELECT `+holdColumns+` FROM hold WHERE lifted_at = 0 ORDER BY id`); err != nil {
		return 0, nil, fmt.Errorf("read holds: %w", err)
	}
	return version, holds, nil
}

func joinRead(err, rollback error) error {
	if err != nil {
		return err
	}
	return ignoreDone(rollback)
}
