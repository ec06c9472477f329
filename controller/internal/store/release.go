package store

import (
	"context"
	"database/sql"
	"fmt"
)

// Release is one published list release.
type Release struct {
	Number uint64
	Digest []byte
	Bundle []byte
}

// PutRelease writes a release. It fails with ErrState unless its number is the largest.
func (s *Store) PutRelease(ctx context.Context, r Release, a Audit) error {
	return s.tx(ctx, "store release", func(tx *sql.Tx) error {
		last, err := one(ctx, tx, scanNumber, `SELECT coalesce(max(number), 0) FROM list_release`)
		if err != nil {
			return err
		}
		if r.Number <= last {
			return fmt.Errorf("release %d after %d: %w", r.Number, last, ErrState)
		}
		if _, err := change(ctx, tx, `INSERT INTO list_release (number, digest, bundle, at) VALUES (?, ?, ?, ?)`,
			r.Number, r.Digest, r.Bundle, micros(a.At)); err != nil {
			return err
		}
		return a.add(ctx, tx)
	})
}

// RenewRelease writes the newest release with a newer timestamp. It fails with ErrState for another one.
func (s *Store) RenewRelease(ctx context.Context, r Release, a Audit) error {
	return s.tx(ctx, "renew release", func(tx *sql.Tx) error {
		if err := must(ctx, tx, ErrState, `UPDATE list_release SET bundle = ?, at = ? WHERE number = ? AND digest = ? AND number = (SELECT max(number) FROM list_release)`,
			r.Bundle, micros(a.At), r.Number, r.Digest); err != nil {
			return err
		}
		return a.add(ctx, tx)
	})
}

// Releases returns every release, the oldest first.
func (s *Store) Releases(ctx context.Context) ([]Release, error) {
	found, err := all(ctx, s.r, func(scan func(...any) error) (r Release, err error) {
		err = scan(&r.Number, &r.Digest, &r.Bundle)
		return r, err
	}, `SELECT number, digest, bundle FROM list_release ORDER BY number`)
	if err != nil {
		return nil, fmt.Errorf("list releases: %w", err)
	}
	return found, nil
}

// NewestRelease returns the release in force. It fails with ErrNotFound.
func (s *Store) NewestRelease(ctx context.Context) (Release, error) {
	r, err := one(ctx, s.r, func(scan func(...any) error) (r Release, err error) {
		err = scan(&r.Number, &r.Digest, &r.Bundle)
		return r, err
	}, `SELECT number, digest, bundle FROM list_release ORDER BY number DESC LIMIT 1`)
	if err != nil {
		return r, fmt.Errorf("look up release: %w", err)
	}
	return r, nil
}
