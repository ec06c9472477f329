package store

import (
	"context"
	"database/sql"
	"fmt"
)

// Token is a person's or a tool's bearer token; only its hash is stored.
type Token struct {
	Hash []byte
	Name string
	Role string
}

// PutToken writes a token; one of the same name is replaced, and so ends.
func (s *Store) PutToken(ctx context.Context, t Token, a Audit) error {
	return s.tx(ctx, "store token", func(tx *sql.Tx) error {
		if _, err := change(ctx, tx, `DELETE FROM token WHERE name = ?`, t.Name); err != nil {
			return err
		}
		if err := must(ctx, tx, ErrExists, `INSERT INTO token (hash, name, role, made) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`, t.Hash, t.Name, t.Role, micros(a.At)); err != nil {
			return err
		}
		return a.add(ctx, tx)
	})
}

// TokenByHash returns a token. It fails with ErrNotFound.
func (s *Store) TokenByHash(ctx context.Context, hash []byte) (Token, error) {
	t, err := one(ctx, s.r, scanToken, `SELECT hash, name, role FROM token WHERE hash = ?`, hash)
	if err != nil {
		return t, fmt.Errorf("look up token: %w", err)
	}
	return t, nil
}

// TokenNamed returns the token of a name. It fails with ErrNotFound.
func (s *Store) TokenNamed(ctx context.Context, name string) (Token, error) {
	t, err := one(ctx, s.r, scanToken, `SELECT hash, name, role FROM token WHERE name = ?`, name)
	if err != nil {
		return t, fmt.Errorf("look up token: %w", err)
	}
	return t, nil
}

// TokenCount returns how many tokens there are.
func (s *Store) TokenCount(ctx context.Context) (int, error) {
	n, err := one(ctx, s.r, scanNumber, `SELECT count(*) FROM token`)
	if err != nil {
		return 0, fmt.Errorf("count tokens: %w", err)
	}
	return int(n), nil
}

func scanToken(scan func(...any) error) (t Token, err error) {
	err = scan(&t.Hash, &t.Name, &t.Role)
	return t, err
}
