package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Head is a signed tree head that was checked against the records.
type Head struct {
	Agent       string
	Incarnation []byte
	Size        uint64
	Note        []byte
	Key         string // verifier
	At          time.Time
}

// EvidenceKey returns the verifier of an agent's heads and why its heads were refused, if they were. The first
// one that an agent names is kept for as long as its enrolment.
func (s *Store) EvidenceKey(ctx context.Context, agent, named string) (kept, refused string, err error) {
	err = s.tx(ctx, "look up evidence key", func(tx *sql.Tx) error {
		if _, err := change(ctx, tx, `UPDATE agent SET evidence_key = ? WHERE name = ? AND evidence_key = ''`, named, agent); err != nil {
			return err
		}
		both, err := one(ctx, tx, func(scan func(...any) error) (b [2]string, err error) {
			err = scan(&b[0], &b[1])
			return b, err
		}, `SELECT evidence_key, head_refused FROM agent WHERE name = ?`, agent)
		kept, refused = both[0], both[1]
		return err
	})
	return kept, refused, err
}

// RefuseAgent writes why an agent gets no session any more, before it is enrolled anew.
func (s *Store) RefuseAgent(ctx context.Context, agent, why string, at time.Time) error {
	return s.tx(ctx, "refuse agent", func(tx *sql.Tx) error {
		if err := must(ctx, tx, ErrNotFound, `UPDATE agent SET head_refused = ? WHERE name = ?`, why, agent); err != nil {
			return err
		}
		return Audit{At: at, Actor: "controller", Verb: "refuse agent", Resource: "agents/" + agent, Detail: why}.add(ctx, tx)
	})
}

// AddHead keeps a head that was checked; of one size the newest, which shows for how long nothing was added.
func (s *Store) AddHead(ctx context.Context, h Head) error {
	return s.tx(ctx, "store head", func(tx *sql.Tx) error {
		_, err := change(ctx, tx, `INSERT INTO tree_head (agent, incarnation, size, note, key, at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (agent, incarnation, size) DO UPDATE SET note = excluded.note, key = excluded.key, at = excluded.at`,
			h.Agent, h.Incarnation, h.Size, h.Note, h.Key, micros(h.At))
		return err
	})
}

// NewestHead returns the head of a journal that covers most. It fails with ErrNotFound.
func (s *Store) NewestHead(ctx context.Context, agent string, incarnation []byte) (Head, error) {
	out, err := one(ctx, s.r, scanHead, `SELECT agent, incarnation, size, note, key, at FROM tree_head
		WHERE agent = ? AND incarnation = ? ORDER BY size DESC LIMIT 1`, agent, incarnation)
	if err != nil && !errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("look up head: %w", err)
	}
	return out, err
}

func scanHead(scan func(...any) error) (h Head, err error) {
	err = scan(&h.Agent, &h.Incarnation, &h.Size, &h.Note, &h.Key, timeColumn{&h.At})
	return h, err
}

// Evidence is a part of one journal.
type Evidence struct {
	Records   [][]byte
	Heads     []Head
	Newest    Head
	Stored    uint64 // records of the journal that there are
	Following uint64 // number of the first record after the part; 0: the newest head ends it
}

// Evidence returns at most n records of a journal after a number, and at most octets octets but at least one
// record, with the heads over them; none after the newest head. It fails with ErrNotFound when there is no head.
func (s *Store) Evidence(ctx context.Context, agent string, incarnation []byte, after uint64, n, octets int) (e Evidence, err error) {
	if e.Newest, err = s.NewestHead(ctx, agent, incarnation); err != nil {
		return e, err
	}
	if e.Stored, err = one(ctx, s.r, scanNumber, `SELECT max(seq) FROM record WHERE agent = ? AND incarnation = ?`, agent, incarnation); err != nil {
		return e, fmt.Errorf("count records: %w", err)
	}
	rows, err := all(ctx, s.r, func(scan func(...any) error) (b []byte, err error) {
		err = scan(&b)
		return b, err
	}, `SELECT raw FROM record WHERE agent = ? AND incarnation = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?`, agent, incarnation, after, e.Newest.Size, n)
	if err != nil {
		return e, fmt.Errorf("list records: %w", err)
	}
	total := 0
	for _, b := range rows {
		if total += len(b); len(e.Records) > 0 && total > octets {
			break
		}
		e.Records = append(e.Records, b)
	}
	last := after + uint64(len(e.Records))
	if last < e.Newest.Size {
		e.Following = last + 1
	}
	if e.Heads, err = all(ctx, s.r, scanHead, `SELECT agent, incarnation, size, note, key, at FROM tree_head
		WHERE agent = ? AND incarnation = ? AND size > ? AND size <= ? ORDER BY size`, agent, incarnation, after, last); err != nil {
		return e, fmt.Errorf("list heads: %w", err)
	}
	return e, nil
}

// Tree returns what was stored of the tree with a record, and the record. It fails with ErrNotFound.
func (s *Store) Tree(ctx context.Context, agent string, incarnation []byte, seq uint64) (tree, raw []byte, err error) {
	both, err := one(ctx, s.r, func(scan func(...any) error) (b [2][]byte, err error) {
		err = scan(&b[0], &b[1])
		return b, err
	}, `SELECT tree, raw FROM record WHERE agent = ? AND incarnation = ? AND seq = ?`, agent, incarnation, seq)
	if err != nil {
		return nil, nil, fmt.Errorf("look up record %d of agent %s: %w", seq, agent, err)
	}
	return both[0], both[1], nil
}
