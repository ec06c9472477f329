package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// Audit is one act of a person, a tool or the controller itself. Each names the hash of the one
// before it.
type Audit struct {
	ID       int64
	At       time.Time
	Actor    string
	Verb     string
	Resource string
	Detail   string
	Prev     []byte
	Hash     []byte
}

// AddAudit appends one act to the trail.
func (s *Store) AddAudit(ctx context.Context, a Audit) error {
	return s.tx(ctx, "write audit", func(tx *sql.Tx) error { return a.add(ctx, tx) })
}

func (a Audit) add(ctx context.Context, tx *sql.Tx) error {
	last, err := all(ctx, tx, scanAudit, `SELECT id, at, actor, verb, resource, detail, prev, hash FROM audit ORDER BY id DESC LIMIT 1`)
	if err != nil {
		return err
	}
	a.ID, a.Prev = 1, []byte{}
	if len(last) > 0 {
		a.ID, a.Prev = last[0].ID+1, last[0].Hash
	}
	if a.Hash, err = a.hash(); err != nil {
		return err
	}
	_, err = change(ctx, tx, `INSERT INTO audit (id, at, actor, verb, resource, detail, prev, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		a.ID, micros(a.At), a.Actor, a.Verb, a.Resource, a.Detail, a.Prev, a.Hash)
	return err
}

func (a Audit) hash() ([]byte, error) {
	b, err := json.Marshal([]any{a.ID, micros(a.At), a.Actor, a.Verb, a.Resource, a.Detail, blob(a.Prev)})
	sum := sha256.Sum256(b)
	return sum[:], err
}

// VerifyAudit follows the trail from its first act and says at which one it is broken.
func (s *Store) VerifyAudit(ctx context.Context) (acts int, err error) {
	trail, err := all(ctx, s.r, scanAudit, `SELECT id, at, actor, verb, resource, detail, prev, hash FROM audit ORDER BY id`)
	if err != nil {
		return 0, fmt.Errorf("read audit: %w", err)
	}
	prev := []byte{}
	for i, a := range trail {
		h, err := a.hash()
		if err != nil {
			return i, fmt.Errorf("read audit: %w", err)
		}
		if a.ID != int64(i+1) || string(a.Prev) != string(prev) || string(a.Hash) != string(h) {
			return i, fmt.Errorf("the audit trail is broken at act %d", i+1)
		}
		prev = a.Hash
	}
	return len(trail), nil
}

func scanAudit(scan func(...any) error) (a Audit, err error) {
	err = scan(&a.ID, timeColumn{&a.At}, &a.Actor, &a.Verb, &a.Resource, &a.Detail, &a.Prev, &a.Hash)
	return a, err
}
