package store

import (
	"context"
	"database/sql"
	"fmt"
)

// Secret is one credential that only its agent can open.
type Secret struct {
	Agent   string
	Device  string
	Sealed  []byte
	Version uint64
}

// PutSecret writes a credential and returns its new version.
func (s *Store) PutSecret(ctx context.Context, x Secret, a Audit) (version uint64, err error) {
	err = s.tx(ctx, "store secret", func(tx *sql.Tx) error {
		if _, err := one(ctx, tx, scanText, `SELECT name FROM agent WHERE name = ?`, x.Agent); err != nil {
			return err
		}
		last, err := one(ctx, tx, scanNumber, `SELECT coalesce(max(version), 0) FROM secret WHERE agent = ?`, x.Agent)
		if err != nil {
			return err
		}
		version = last + 1
		if _, err := change(ctx, tx, `INSERT INTO secret (agent, device, sealed, version) VALUES (?, ?, ?, ?)
			ON CONFLICT (agent, device) DO UPDATE SET sealed = excluded.sealed, version = excluded.version, acked = 0, problem = ''`,
			x.Agent, x.Device, x.Sealed, version); err != nil {
			return err
		}
		return a.add(ctx, tx)
	})
	return version, err
}

// OpenSecrets returns the credentials that the agent has not acknowledged.
func (s *Store) OpenSecrets(ctx context.Context, agent string) ([]Secret, error) {
	out, err := all(ctx, s.r, func(scan func(...any) error) (x Secret, err error) {
		err = scan(&x.Agent, &x.Device, &x.Sealed, &x.Version)
		return x, err
	}, `SELECT agent, device, sealed, version FROM secret WHERE agent = ? AND acked < version AND length(sealed) > 0 ORDER BY device`, agent)
	if err != nil {
		return nil, fmt.Errorf("list secrets: %w", err)
	}
	return out, nil
}

// AckSecret writes that a credential is on the agent, or why not; then it is offered again in the
// next session.
func (s *Store) AckSecret(ctx context.Context, agent, device string, version uint64, problem string) error {
	return s.tx(ctx, "store secret ack", func(tx *sql.Tx) error {
		acked := version
		if problem != "" {
			acked = 0
		}
		_, err := change(ctx, tx, `UPDATE secret SET acked = ?, problem = ? WHERE agent = ? AND device = ? AND version = ?`,
			acked, problem, agent, device, version)
		return err
	})
}
