package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Record is one evidence record as the agent wrote it.
type Record struct {
	Seq    uint64
	Kind   string
	Raw    []byte
	Tree   []byte // hashes of the subtrees that it made whole
	Device string // that it speaks of; empty: none
	At     time.Time
	Poison string // why it is quarantined; empty: it is good
}

// Outcome is what a record says about a task.
type Outcome struct {
	Seq      uint64
	Order    string
	Ordinal  uint32
	Permit   string
	Device   string
	State    string
	Reason   string
	Detail   string
	Seen     string // where the device's own network card is, if it moved
	Asked    time.Time
	TookUS   int64
	Messages int
	Octets   int
	Facts    []Fact
	Touched  bool // the device may have received something
}

// Begun is what a record says of a question that was begun.
type Begun struct {
	Order    string
	Ordinal  uint32
	Device   string
	Question string
	At       time.Time
}

// Batch is a run of records that follow what is stored.
type Batch struct {
	Agent       string
	Epoch       uint64
	Incarnation []byte
	From        uint64 // high-water mark that it follows
	To          uint64
	Hash        []byte // of the last record
	Records     []Record
	Begun       []Begun
	Outcomes    []Outcome
	Word        *SiteStop // newest word of the site in the records; the zero value ends a stop; nil: there is none
	At          time.Time
}

// TakeRecords stores records and what they say of tasks in one transaction, and moves the high-water
// mark from From to To. It fails with ErrFenced for an older session and with ErrGap when the mark or
// the incarnation is another one. An outcome that fits no task is quarantined and blocks nothing.
func (s *Store) TakeRecords(ctx context.Context, b Batch) error {
	return s.tx(ctx, "store records", func(tx *sql.Tx) error {
		a, err := one(ctx, tx, scanAgent, `SELECT `+agentColumns+` FROM agent WHERE name = ?`, b.Agent)
		if err != nil {
			return err
		}
		if a.Epoch != b.Epoch {
			return ErrFenced
		}
		if a.RecordHWM != b.From || !bytes.Equal(a.Incarnation, b.Incarnation) {
			return ErrGap
		}
		if _, err := change(ctx, tx, `UPDATE agent SET record_hwm = ?, record_hash = ?, journal_lsn = max(journal_lsn, ?) WHERE name = ?`,
			b.To, b.Hash, b.To, b.Agent); err != nil {
			return err
		}
		if w := b.Word; w != nil {
			if _, err := change(ctx, tx, `UPDATE agent SET stopped_at = ?, stopped_by = ?, stopped_why = ?, stopped_in = ? WHERE name = ?`, micros(w.At), w.By, w.Why, b.Incarnation, b.Agent); err != nil {
				return err
			}
		}
		raw := map[uint64][]byte{}
		for _, r := range b.Records {
			raw[r.Seq] = r.Raw
			if _, err := change(ctx, tx, `INSERT INTO record (agent, incarnation, seq, kind, raw, tree) VALUES (?, ?, ?, ?, ?, ?)`,
				b.Agent, b.Incarnation, r.Seq, r.Kind, r.Raw, blob(r.Tree)); err != nil {
				return err
			}
			if r.Device != "" {
				if _, err := change(ctx, tx, `INSERT INTO touch (device, at, agent, incarnation, seq, kind) VALUES (?, ?, ?, ?, ?, ?)`,
					r.Device, micros(r.At), b.Agent, b.Incarnation, r.Seq, r.Kind); err != nil {
					return err
				}
			}
			if r.Poison != "" {
				if err := b.quarantine(ctx, tx, r.Seq, r.Raw, r.Poison); err != nil {
					return err
				}
			}
		}
		for _, x := range b.Begun {
			if err := b.begun(ctx, tx, x); err != nil {
				return err
			}
		}
		for _, o := range b.Outcomes {
			why, err := b.apply(ctx, tx, o)
			if err != nil {
				return err
			}
			if why != "" {
				if err := b.quarantine(ctx, tx, o.Seq, raw[o.Seq], why); err != nil {
					return err
				}
			}
		}
		return settle(ctx, tx, b.At)
	})
}

func (b Batch) quarantine(ctx context.Context, tx *sql.Tx, seq uint64, raw []byte, why string) error {
	_, err := change(ctx, tx, `INSERT INTO record_quarantine (agent, incarnation, seq, raw, reason, at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`, b.Agent, b.Incarnation, seq, blob(raw), why, micros(b.At))
	return err
}

type sent struct {
	Run, Device, Kind, Question, State, Order, Permit, Agent string
	Item                                                     int
	Dispatched                                               time.Time
}

func (b Batch) apply(ctx context.Context, tx *sql.Tx, o Outcome) (why string, err error) {
	found, err := all(ctx, tx, func(scan func(...any) error) (x sent, err error) {
		err = scan(&x.Run, &x.Item, &x.Device, &x.Kind, &x.Question, &x.State, &x.Order, &x.Permit, &x.Agent, timeColumn{&x.Dispatched})
		return x, err
	}, `SELECT t.run, t.item, t.device, t.kind, t.question, t.state, t.work_order, s.permit, r.agent, t.dispatched
		FROM sending s JOIN task t ON t.run = s.run AND t.item = s.item JOIN run r ON r.name = t.run
		WHERE s.work_order = ? AND s.ordinal = ?`, o.Order, o.Ordinal)
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return fmt.Sprintf("no task %d of order %q was sent", o.Ordinal, o.Order), b.stray(ctx, tx, o)
	}
	x := found[0]
	switch {
	case x.Agent != b.Agent:
		return "the order was for another agent", nil
	case o.Permit != "" && o.Permit != x.Permit, o.Device != "" && o.Device != x.Device:
		return "permit or device is not that of the task", nil
	case x.State != "DISPATCHED" && x.State != "UNKNOWN" && !(o.Touched && (x.State == "QUEUED" || x.Order != o.Order)):
		if o.Touched { // the record is put aside, and the device rests all the same
			return "the task has an outcome already", b.visit(ctx, tx, x, o)
		}
		return "the task has an outcome already", nil
	}
	if !o.Touched && x.Order != o.Order {
		return "", nil // of an earlier sending, which is known not to have been started
	}
	return "", b.finish(ctx, tx, x, o)
}

// begun keeps that a question was begun: whatever the agent says later, it is not sent anew (H-013). Of a device whose order is not known
// here, as after a restore from a backup, it keeps the rest: the agent has asked it, and the other agents know nothing of it (H-049).
func (b Batch) begun(ctx context.Context, tx *sql.Tx, x Begun) error {
	n, err := change(ctx, tx, `UPDATE sending SET begun = ? WHERE work_order = ? AND ordinal = ?`, micros(b.by(x.At)), x.Order, x.Ordinal)
	if err != nil || n > 0 || x.Device == "" {
		return err
	}
	_, err = change(ctx, tx, `INSERT INTO visit (tag, question, kind, at, state, run, item) VALUES (?, ?, '', ?, 'UNKNOWN', '', 0)
		ON CONFLICT (tag, question) DO UPDATE SET at = excluded.at, state = excluded.state, run = excluded.run, item = excluded.item WHERE excluded.at >= visit.at`,
		x.Device, x.Question, micros(b.by(x.At)))
	return err
}

// by is a time that a record tells, and no later than it was told: a clock that is wrong by years, or a lie, keeps no device from everybody
// else for as long.
func (b Batch) by(at time.Time) time.Time {
	if at.After(b.At) {
		return b.At
	}
	return at
}

// stray holds a device that an agent has left in distress in an order that is not known here. No task can tell of it, and nobody could
// clear it: a person looks at it and lifts the hold (H-037).
func (b Batch) stray(ctx context.Context, tx *sql.Tx, o Outcome) error {
	if o.Device == "" || o.State != "DISTRESS" && (o.State != "INCIDENT" || o.Reason == "CREDENTIAL_REFUSED") {
		return nil
	}
	h := Hold{Scope: "device", Value: o.Device, PlacedBy: "controller", PlacedAt: b.At, Reason: fmt.Sprintf("agents/%s has left it in %s at %s UTC (%s), in an order that this controller does not know, as after a restore. Look at the device, then lift this hold.",
		b.Agent, o.State, o.Asked.UTC().Format(time.DateTime), o.Detail)}
	return placeHold(ctx, tx, &h, nil, Audit{At: b.At, Actor: "controller", Verb: "place hold", Detail: h.Reason})
}

func (b Batch) finish(ctx context.Context, tx *sql.Tx, x sent, o Outcome) error {
	facts, err := text(append([]Fact{}, o.Facts...))
	if err != nil {
		return err
	}
	if _, err := change(ctx, tx, `UPDATE task SET state = ?, reason = ?, detail = ?, finished = ?, asked = ?, took_us = ?, messages = ?, octets = ?, facts = ?
		WHERE run = ? AND item = ?`, o.State, o.Reason, o.Detail, micros(b.At), micros(o.Asked), o.TookUS, o.Messages, o.Octets, facts, x.Run, x.Item); err != nil {
		return err
	}
	if err := told(ctx, tx, x.Run); err != nil {
		return err
	}
	if err := b.moved(ctx, tx, x, o); err != nil {
		return err
	}
	if !o.Touched { // it rests from nothing, whatever was thought of it meanwhile, but from the time before
		n, err := change(ctx, tx, `DELETE FROM visit WHERE tag = ? AND question = ? AND run = ? AND item = ? AND state = 'UNKNOWN'`, x.Device, x.Question, x.Run, x.Item)
		if err != nil || n == 0 {
			return err
		}
		_, err = change(ctx, tx, `INSERT INTO visit (tag, question, kind, at, state, run, item) `+askedBeforeQuery, x.Device, x.Question)
		return err
	}
	if err := b.visit(ctx, tx, x, o); err != nil || o.State != "ANSWERED" {
		return err
	}
	_, err = change(ctx, tx, `INSERT INTO answer (tag, kind, run, at, facts) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (tag, kind) DO UPDATE SET run = excluded.run, at = excluded.at, facts = excluded.facts WHERE excluded.at >= answer.at`,
		x.Device, x.Kind, x.Run, micros(b.by(o.when(x))), facts)
	return err
}

// askedBeforeQuery is the last time that a device was asked a question, by the tasks of it.
const askedBeforeQuery = `SELECT device, question, kind, min(asked, finished), state, run, item FROM task
	WHERE device = ? AND question = ? AND asked > 0 ORDER BY asked DESC LIMIT 1`

func (b Batch) visit(ctx context.Context, tx *sql.Tx, x sent, o Outcome) error {
	_, err := change(ctx, tx, `INSERT INTO visit (tag, question, kind, at, state, run, item) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tag, question) DO UPDATE SET at = excluded.at, state = excluded.state, run = excluded.run, item = excluded.item
		WHERE excluded.at >= visit.at OR excluded.run = visit.run AND excluded.item = visit.item AND visit.state = 'UNKNOWN'`,
		x.Device, x.Question, x.Kind, micros(b.by(o.when(x))), o.State, x.Run, x.Item)
	return err
}

// when is the time of a visit: of its first byte, else of the order.
func (o Outcome) when(x sent) time.Time {
	if o.Asked.IsZero() {
		return x.Dispatched
	}
	return o.Asked
}

// Quarantined is a record that was put aside.
type Quarantined struct {
	Seq    uint64
	Reason string
}

// Quarantine returns the records of an agent that were put aside, in any journal, in their order.
func (s *Store) Quarantine(ctx context.Context, agent string) ([]Quarantined, error) {
	out, err := all(ctx, s.r, func(scan func(...any) error) (q Quarantined, err error) {
		err = scan(&q.Seq, &q.Reason)
		return q, err
	}, `SELECT seq, reason FROM record_quarantine WHERE agent = ? ORDER BY at, seq`, agent)
	if err != nil {
		return nil, fmt.Errorf("list quarantine: %w", err)
	}
	return out, nil
}

// RawRecords returns the stored bytes of an agent's newest journal, in order.
func (s *Store) RawRecords(ctx context.Context, agent string) ([][]byte, error) {
	out, err := all(ctx, s.r, func(scan func(...any) error) (b []byte, err error) {
		err = scan(&b)
		return b, err
	}, `SELECT r.raw FROM record r JOIN agent a ON a.name = r.agent AND a.incarnation = r.incarnation WHERE r.agent = ? ORDER BY r.seq`, agent)
	if err != nil {
		return nil, fmt.Errorf("list records: %w", err)
	}
	return out, nil
}
