package store

import (
	"context"
	"database/sql"
	"fmt"
)

// The kinds of a credential.
const (
	SecretCommunity = "community"
	SecretUSM       = "usm"
)

// Secret is one credential that only its agent can open.
type Secret struct {
	Agent   string
	Device  string // asset tag, or * for every device of the agent without one of its own
	Kind    string
	Sealed  []byte
	Version uint64
}

// PutSecret writes a credential and returns its new version.
func (s *Store) PutSecret(ctx context.Context, x Secret, a Audit) (version uint64, err error) {
	err = s.tx(ctx, "store secret", func(tx *sql.Tx) error {
		if _, err := one(ctx, tx, scanText, `SELECT name FROM agent WHERE name = ?`, x.Agent); err != nil {
			return err
		}
		last, err := one(ctx, tx, scanNumber, `SELECT coalesce(max(version), 0) FROM credential WHERE agent = ?`, x.Agent)
		if err != nil {
			return err
		}
		version = last + 1
		if _, err := change(ctx, tx, `INSERT INTO credential (agent, device, kind, sealed, version) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (agent, device, kind) DO UPDATE SET sealed = excluded.sealed, version = excluded.version, acked = 0, problem = ''`,
			x.Agent, x.Device, x.Kind, x.Sealed, version); err != nil {
			return err
		}
		return a.add(ctx, tx)
	})
	return version, err
}

func scanSecret(scan func(...any) error) (x Secret, err error) {
	err = scan(&x.Agent, &x.Device, &x.Kind, &x.Sealed, &x.Version)
	return x, err
}

// OpenSecrets returns the credentials of which the agent has not said whether it can open them.
func (s *Store) OpenSecrets(ctx context.Context, agent string) ([]Secret, error) {
	out, err := all(ctx, s.r, scanSecret, `SELECT agent, device, kind, sealed, version FROM credential
		WHERE agent = ? AND acked < version AND length(sealed) > 0 ORDER BY device, kind`, agent)
	if err != nil {
		return nil, fmt.Errorf("list secrets: %w", err)
	}
	return out, nil
}

// SecretFor returns the credential of a device: its own, or the one for every device. It fails with
// ErrNotFound when there is none.
func (s *Store) SecretFor(ctx context.Context, agent, device, kind string) (Secret, error) {
	return one(ctx, s.r, scanSecret, `SELECT agent, device, kind, sealed, version FROM credential
		WHERE agent = ? AND kind = ? AND device IN (?, '*') AND length(sealed) > 0 ORDER BY device = '*' LIMIT 1`, agent, kind, device)
}

// AckSecret writes that an agent can open a credential, or why not; then it is offered again in the
// next session.
func (s *Store) AckSecret(ctx context.Context, x Secret, problem string) error {
	return s.tx(ctx, "store secret ack", func(tx *sql.Tx) error {
		acked := x.Version
		if problem != "" {
			acked = 0
		}
		_, err := change(ctx, tx, `UPDATE credential SET acked = ?, problem = ? WHERE agent = ? AND device = ? AND kind = ? AND version = ?`,
			acked, problem, x.Agent, x.Device, x.Kind, x.Version)
		return err
	})
}
