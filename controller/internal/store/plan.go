package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// The states of a plan.
const (
	Draft    = "DRAFT"
	Approved = "APPROVED"
	Fired    = "FIRED"
	Expired  = "EXPIRED"
)

// Plan is a plan document and what became of it.
type Plan struct {
	Name     string // without "plans/"
	Caller   string
	Agent    string
	Opens    time.Time
	Closes   time.Time
	Digest   []byte
	List     []byte
	Document []byte
	State    string
	Run      string
	Standing string // name of the standing approval that covers it
}

// Signature is one approver's signature.
type Signature struct {
	By  string `json:"by"`
	Sig []byte `json:"sig"`
}

const planColumns = `name, caller, agent, opens, closes, digest, list, document, state, run, standing`

func scanPlan(scan func(...any) error) (p Plan, err error) {
	err = scan(&p.Name, &p.Caller, &p.Agent, timeColumn{&p.Opens}, timeColumn{&p.Closes}, &p.Digest, &p.List, &p.Document, &p.State, &p.Run, &p.Standing)
	return p, err
}

// PutPlan writes a new plan.
func (s *Store) PutPlan(ctx context.Context, p Plan, r *Request, a Audit) error {
	return s.tx(ctx, "store plan", func(tx *sql.Tx) error {
		if err := putPlan(ctx, tx, p); err != nil {
			return err
		}
		if err := a.add(ctx, tx); err != nil {
			return err
		}
		return r.keep(ctx, tx, p.Name, a.At)
	})
}

func putPlan(ctx context.Context, tx *sql.Tx, p Plan) error {
	return must(ctx, tx, ErrExists, `INSERT INTO plan (`+planColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		p.Name, p.Caller, p.Agent, micros(p.Opens), micros(p.Closes), p.Digest, p.List, p.Document, p.State, p.Run, p.Standing)
}

// Plan returns one plan. It fails with ErrNotFound.
func (s *Store) Plan(ctx context.Context, name string) (Plan, error) {
	p, err := one(ctx, s.r, scanPlan, `SELECT `+planColumns+` FROM plan WHERE name = ?`, name)
	if err != nil {
		return p, fmt.Errorf("look up plan %s: %w", name, err)
	}
	return p, nil
}

// Plans returns plans in order of their names, after a name, without their documents.
func (s *Store) Plans(ctx context.Context, after string, limit int) ([]Plan, error) {
	out, err := all(ctx, s.r, scanPlan, `SELECT name, caller, agent, opens, closes, digest, list, x'', state, run, standing
		FROM plan WHERE name > ? ORDER BY name LIMIT ?`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list plans: %w", err)
	}
	return out, nil
}

// DuePlans returns the plans of windows that are approved and have not been fired, without their
// documents, in order of their opening.
func (s *Store) DuePlans(ctx context.Context) ([]Plan, error) {
	out, err := all(ctx, s.r, scanPlan, `SELECT name, caller, agent, opens, closes, digest, list, x'', state, run, standing
		FROM plan WHERE state = 'APPROVED' ORDER BY opens, name`)
	if err != nil {
		return nil, fmt.Errorf("list due plans: %w", err)
	}
	return out, nil
}

// SignPlan adds a signature to a plan that is not fired; with enough of them the plan is approved.
// It fails with ErrState for a plan that was fired or has ended.
func (s *Store) SignPlan(ctx context.Context, plan string, sig Signature, needed int, a Audit) error {
	return s.tx(ctx, "sign plan", func(tx *sql.Tx) error {
		p, err := one(ctx, tx, scanPlan, `SELECT `+planColumns+` FROM plan WHERE name = ?`, plan)
		if err != nil {
			return err
		}
		if p.State != Draft && p.State != Approved || !a.At.Before(p.Closes) {
			return ErrState
		}
		if _, err := change(ctx, tx, `INSERT INTO plan_signature (plan, by_who, sig, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			plan, sig.By, sig.Sig, micros(a.At)); err != nil {
			return err
		}
		have, err := one(ctx, tx, scanNumber, `SELECT count(*) FROM plan_signature WHERE plan = ?`, plan)
		if err != nil {
			return err
		}
		if have >= uint64(needed) {
			if _, err := change(ctx, tx, `UPDATE plan SET state = 'APPROVED' WHERE name = ? AND state = 'DRAFT'`, plan); err != nil {
				return err
			}
		}
		return a.add(ctx, tx)
	})
}

// PlanSignatures returns who signed a plan, by name.
func (s *Store) PlanSignatures(ctx context.Context, plan string) ([]Signature, error) {
	out, err := all(ctx, s.r, scanSignature, `SELECT by_who, sig FROM plan_signature WHERE plan = ? ORDER BY by_who`, plan)
	if err != nil {
		return nil, fmt.Errorf("list signatures: %w", err)
	}
	return out, nil
}

func scanSignature(scan func(...any) error) (g Signature, err error) {
	err = scan(&g.By, &g.Sig)
	return g, err
}

// Standing is a signed standing approval.
type Standing struct {
	Name       string // without "standingApprovals/"
	Caller     string
	Document   []byte
	From       time.Time
	Until      time.Time
	PerDay     int
	Signatures []Signature
}

const standingColumns = `name, caller, document, from_at, until_at, per_day, signatures`

func scanStanding(scan func(...any) error) (x Standing, err error) {
	err = scan(&x.Name, &x.Caller, &x.Document, timeColumn{&x.From}, timeColumn{&x.Until}, &x.PerDay, jsonColumn{&x.Signatures})
	return x, err
}

// PutStanding writes a standing approval. It fails with ErrExists.
func (s *Store) PutStanding(ctx context.Context, x Standing, a Audit) error {
	return s.tx(ctx, "store standing approval", func(tx *sql.Tx) error {
		sigs, err := text(x.Signatures)
		if err != nil {
			return err
		}
		if err := must(ctx, tx, ErrExists, `INSERT INTO standing (`+standingColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			x.Name, x.Caller, x.Document, micros(x.From), micros(x.Until), x.PerDay, sigs); err != nil {
			return err
		}
		return a.add(ctx, tx)
	})
}

// Standings returns standing approvals in order of their names, after a name.
func (s *Store) Standings(ctx context.Context, after string, limit int) ([]Standing, error) {
	out, err := all(ctx, s.r, scanStanding, `SELECT `+standingColumns+` FROM standing WHERE name > ? ORDER BY name LIMIT ?`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list standing approvals: %w", err)
	}
	return out, nil
}

// Standing returns one standing approval. It fails with ErrNotFound.
func (s *Store) Standing(ctx context.Context, name string) (Standing, error) {
	x, err := one(ctx, s.r, scanStanding, `SELECT `+standingColumns+` FROM standing WHERE name = ?`, name)
	if err != nil {
		return x, fmt.Errorf("look up standing approval %s: %w", name, err)
	}
	return x, nil
}

// StandingsOf returns the standing approvals of a caller that are valid at a moment.
func (s *Store) StandingsOf(ctx context.Context, caller string, at time.Time) ([]Standing, error) {
	out, err := all(ctx, s.r, scanStanding, `SELECT `+standingColumns+` FROM standing
		WHERE caller = ? AND from_at <= ? AND until_at > ? ORDER BY name`, caller, micros(at), micros(at))
	if err != nil {
		return nil, fmt.Errorf("list standing approvals: %w", err)
	}
	return out, nil
}
