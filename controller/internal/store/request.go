package store

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// RequestLife is how long a repeated call returns the first result.
const RequestLife = 7 * 24 * time.Hour

// Request returns the result of the first call of this name. It fails with ErrNotFound if there was
// none in the last seven days, and with ErrRequest if it had another body.
func (s *Store) Request(ctx context.Context, r Request, at time.Time) (string, error) {
	have, err := one(ctx, s.r, scanRequest, `SELECT body, result FROM request WHERE caller = ? AND id = ? AND at > ?`,
		r.Caller, r.ID, micros(at.Add(-RequestLife)))
	if err != nil {
		return "", fmt.Errorf("look up request: %w", err)
	}
	if subtle.ConstantTimeCompare(have.Body[:], r.Body[:]) != 1 {
		return "", ErrRequest
	}
	return have.Result, nil
}

func scanRequest(scan func(...any) error) (Request, error) {
	var r Request
	var body []byte
	if err := scan(&body, &r.Result); err != nil {
		return r, err
	}
	if copy(r.Body[:], body) != len(r.Body) {
		return r, errors.New("request row is damaged")
	}
	return r, nil
}

// keep records the request with the change it made, in the same transaction.
func (r *Request) keep(ctx context.Context, tx *sql.Tx, result string, at time.Time) error {
	if r == nil || r.ID == "" {
		return nil
	}
	if _, err := change(ctx, tx, `DELETE FROM request WHERE at <= ?`, micros(at.Add(-RequestLife))); err != nil {
		return err
	}
	return must(ctx, tx, ErrRequest, `INSERT INTO request (caller, id, body, result, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		r.Caller, r.ID, r.Body[:], result, micros(at))
}
