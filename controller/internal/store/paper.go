package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Form is an MDS2 form on file for a model.
type Form struct {
	Product string // maker and model, as names are compared
	JSON    string
	File    string
	At      time.Time
}

// PutForm writes a form; one of the same model is replaced.
func (s *Store) PutForm(ctx context.Context, f Form, a Audit) error {
	return s.tx(ctx, "store MDS2", func(tx *sql.Tx) error {
		if _, err := change(ctx, tx, `INSERT INTO mds2 (product, form, file, at) VALUES (?, ?, ?, ?)
			ON CONFLICT (product) DO UPDATE SET form = excluded.form, file = excluded.file, at = excluded.at`, f.Product, f.JSON, f.File, micros(a.At)); err != nil {
			return err
		}
		return a.add(ctx, tx)
	})
}

// Forms returns every form, by model.
func (s *Store) Forms(ctx context.Context) ([]Form, error) {
	forms, err := all(ctx, s.r, func(scan func(...any) error) (f Form, err error) {
		err = scan(&f.Product, &f.JSON, &f.File, timeColumn{&f.At})
		return f, err
	}, `SELECT product, form, file, at FROM mds2 ORDER BY product`)
	if err != nil {
		return nil, fmt.Errorf("list MDS2: %w", err)
	}
	return forms, nil
}

// Advisory is one advisory that was read.
type Advisory struct{ ID, Title, Date, File string }

// The states of a proposal.
const (
	Proposed  = "PROPOSED"
	Accepted  = "ACCEPTED"
	Dismissed = "DISMISSED"
)

// Proposal is a denial that an advisory suggests. It decides nothing.
type Proposal struct {
	ID, Advisory, Vendor, Product, Versions string
	Statement                               string
	State                                   string
	By, Reason                              string
	At                                      time.Time
}

// PutAdvisory writes an advisory with its proposals. What a person has decided before stays decided; a
// proposal that is still open and is not suggested any more goes. It returns how many are new.
func (s *Store) PutAdvisory(ctx context.Context, adv Advisory, proposals []Proposal, a Audit) (added int, err error) {
	err = s.tx(ctx, "store advisory", func(tx *sql.Tx) error {
		if _, err := change(ctx, tx, `INSERT INTO advisory (id, title, date, file, at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET title = excluded.title, date = excluded.date, file = excluded.file, at = excluded.at`,
			adv.ID, adv.Title, adv.Date, adv.File, micros(a.At)); err != nil {
			return err
		}
		before, err := one(ctx, tx, scanNumber, `SELECT count(*) FROM proposal WHERE advisory = ?`, adv.ID)
		if err != nil {
			return err
		}
		gone, err := change(ctx, tx, `DELETE FROM proposal WHERE advisory = ? AND state = ?`, adv.ID, Proposed)
		if err != nil {
			return err
		}
		for _, p := range proposals {
			if _, err := change(ctx, tx, `INSERT INTO proposal (id, advisory, vendor, product, versions, statement, state) VALUES (?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT (id) DO NOTHING`, p.ID, adv.ID, p.Vendor, p.Product, p.Versions, p.Statement, Proposed); err != nil {
				return err
			}
		}
		after, err := one(ctx, tx, scanNumber, `SELECT count(*) FROM proposal WHERE advisory = ?`, adv.ID)
		if err != nil {
			return err
		}
		added = int(after) - int(before)
		a.Detail = fmt.Sprintf("%d proposals, %d of them new; %d were open before", after, added, gone)
		return a.add(ctx, tx)
	})
	return added, err
}

// Proposals returns every proposal, by its id.
func (s *Store) Proposals(ctx context.Context) ([]Proposal, error) {
	ps, err := all(ctx, s.r, func(scan func(...any) error) (p Proposal, err error) {
		err = scan(&p.ID, &p.Advisory, &p.Vendor, &p.Product, &p.Versions, &p.Statement, &p.State, &p.By, timeColumn{&p.At}, &p.Reason)
		return p, err
	}, `SELECT id, advisory, vendor, product, versions, statement, state, decided_by, decided_at, reason FROM proposal ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("list proposals: %w", err)
	}
	return ps, nil
}

// DecideProposal writes what a person has decided. It fails with ErrNotFound, or with ErrState when it was
// decided before.
func (s *Store) DecideProposal(ctx context.Context, id, state, by, reason string, a Audit) error {
	return s.tx(ctx, "decide proposal", func(tx *sql.Tx) error {
		if _, err := one(ctx, tx, scanNumber, `SELECT 1 FROM proposal WHERE id = ?`, id); err != nil {
			return err
		}
		if err := must(ctx, tx, ErrState, `UPDATE proposal SET state = ?, decided_by = ?, decided_at = ?, reason = ? WHERE id = ? AND state = ?`,
			state, by, micros(a.At), reason, id, Proposed); err != nil {
			return err
		}
		return a.add(ctx, tx)
	})
}
