package store

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
)

// The step that versions of holds take at each start. It is more than anybody changes holds between two backups, and drawn, so that two
// restores of one backup differ.
const (
	leastStep = 1 << 16
	mostStep  = 1 << 20
)

// begin begins a life of the database: versions of holds go on from a place where no other life was. A backup that was restored, and in
// which somebody has placed a hold since, would else give the same versions to other holds, and an agent that knows of those that were
// lost would believe it (H-035).
func (s *Store) begin(ctx context.Context) error {
	return s.tx(ctx, "begin a life", func(tx *sql.Tx) error {
		last, err := holdVersion(ctx, tx)
		if err != nil {
			return err
		}
		next := last + leastStep + rand.Uint64N(mostStep-leastStep)
		if _, err := change(ctx, tx, `INSERT INTO hold_life (above, below) VALUES (?, ?)`, last, next); err != nil {
			return err
		}
		_, err = change(ctx, tx, `UPDATE fleet SET hold_version = ?`, next)
		return err
	})
}

// GaveHoldVersion reports whether a version of holds is one that this database gave, or that somebody has looked at since.
func (s *Store) GaveHoldVersion(ctx context.Context, version uint64) (bool, error) {
	n, err := one(ctx, s.r, scanNumber, `SELECT (SELECT hold_version < ? FROM fleet) + (SELECT count(*) FROM hold_life WHERE above < ? AND ? < below)`, version, version, version)
	if err != nil {
		return false, fmt.Errorf("look up a version of holds: %w", err)
	}
	return n == 0, nil
}

// HoldVersion returns the newest version of holds that this database gave.
func (s *Store) HoldVersion(ctx context.Context) (uint64, error) {
	v, err := holdVersion(ctx, s.r)
	if err != nil {
		return 0, fmt.Errorf("look up the version of holds: %w", err)
	}
	return v, nil
}
