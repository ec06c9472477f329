package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Clearance is an approver's word that a device in distress has been looked at.
type Clearance struct {
	Permit   string
	Device   string
	Agent    string
	Document []byte
	Digest   []byte
	Signed   Signature
	At       time.Time
}

// PutClearance writes one. One that the agent has refused is replaced; one that is on its way or was taken is not,
// and ErrExists tells.
func (s *Store) PutClearance(ctx context.Context, c Clearance, a Audit) error {
	return s.tx(ctx, "store clearance", func(tx *sql.Tx) error {
		if err := must(ctx, tx, ErrExists, `INSERT INTO clearance (permit, device, agent, document, digest, signed_by, signature, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (permit) DO UPDATE SET document = excluded.document, digest = excluded.digest, signed_by = excluded.signed_by,
			signature = excluded.signature, at = excluded.at, problem = '' WHERE clearance.problem <> ''`,
			c.Permit, c.Device, c.Agent, c.Document, c.Digest, c.Signed.By, c.Signed.Sig, micros(c.At)); err != nil {
			return err
		}
		return a.add(ctx, tx)
	})
}

// OpenClearances returns those that an agent has neither taken nor refused.
func (s *Store) OpenClearances(ctx context.Context, agent string) ([]Clearance, error) {
	out, err := all(ctx, s.r, func(scan func(...any) error) (c Clearance, err error) {
		err = scan(&c.Permit, &c.Device, &c.Agent, &c.Document, &c.Digest, &c.Signed.By, &c.Signed.Sig, timeColumn{&c.At})
		return c, err
	}, `SELECT permit, device, agent, document, digest, signed_by, signature, at FROM clearance WHERE agent = ? AND taken = 0 AND problem = '' ORDER BY at`, agent)
	if err != nil {
		return nil, fmt.Errorf("list clearances: %w", err)
	}
	return out, nil
}

// AckClearance writes that a clearance stands in the agent's journal, or why it was refused.
func (s *Store) AckClearance(ctx context.Context, agent string, digest []byte, problem string, at time.Time) error {
	return s.tx(ctx, "store clearance ack", func(tx *sql.Tx) error {
		taken := micros(at)
		if problem != "" {
			taken = 0
		}
		_, err := change(ctx, tx, `UPDATE clearance SET taken = ?, problem = ? WHERE agent = ? AND digest = ? AND taken = 0`, taken, problem, agent, digest)
		return err
	})
}

// Distress is a question after which a device is left alone by its agent, until a clearance was taken.
type Distress struct {
	Run, Agent, Device, Permit, State, Detail string
	At                                        time.Time
	Clearing                                  bool
	Problem                                   string
}

// Illness is why a device is left alone.
type Illness struct {
	Agent    string // that saw it
	Device   string // tag that it was asked under
	Clearing bool   // a person has cleared it, and the agent has not taken that yet
}

// Ill returns the devices, under each of their tags, that are in distress, or had an incident, by what agents saw, and of which no agent
// has taken the word that clears them.
func (s *Store) Ill(ctx context.Context) (map[string]Illness, error) {
	rows, err := all(ctx, s.r, func(scan func(...any) error) (x Illness, err error) {
		err = scan(&x.Device, &x.Agent, &x.Clearing)
		return x, err
	}, `SELECT DISTINCT t.device, r.agent, c.permit IS NOT NULL AND c.problem = '' AS clearing FROM task t JOIN run r ON r.name = t.run JOIN sending x ON x.work_order = t.work_order AND x.ordinal = t.ordinal
		LEFT JOIN clearance c ON c.permit = x.permit
		WHERE t.state IN ('DISTRESS', 'INCIDENT') AND t.reason <> 'CREDENTIAL_REFUSED' AND coalesce(c.taken, 0) = 0 ORDER BY clearing DESC`)
	if err != nil {
		return nil, fmt.Errorf("list devices in distress: %w", err)
	}
	out := map[string]Illness{}
	if len(rows) == 0 {
		return out, nil
	}
	kin, err := s.Kin(ctx)
	if err != nil {
		return nil, err
	}
	for _, x := range rows { // what nobody has cleared comes last, and counts
		out[x.Device] = x
		for _, tag := range kin.Twins(x.Device) {
			if is, known := out[tag]; !known || is.Clearing {
				out[tag] = x
			}
		}
	}
	return out, nil
}

// Distresses returns those of a device that nobody has cleared, oldest first.
func (s *Store) Distresses(ctx context.Context, device string) ([]Distress, error) {
	out, err := all(ctx, s.r, func(scan func(...any) error) (d Distress, err error) {
		err = scan(&d.Run, &d.Agent, &d.Device, &d.Permit, &d.State, &d.Detail, timeColumn{&d.At}, &d.Clearing, &d.Problem)
		return d, err
	}, `SELECT t.run, r.agent, t.device, x.permit, t.state, t.detail, t.finished, c.permit IS NOT NULL AND c.problem = '', coalesce(c.problem, '')
		FROM task t JOIN run r ON r.name = t.run JOIN sending x ON x.work_order = t.work_order AND x.ordinal = t.ordinal
		LEFT JOIN clearance c ON c.permit = x.permit
		WHERE t.device = ? AND t.state IN ('DISTRESS', 'INCIDENT') AND t.reason <> 'CREDENTIAL_REFUSED' AND coalesce(c.taken, 0) = 0 ORDER BY t.finished, x.permit`, device)
	if err != nil {
		return nil, fmt.Errorf("list distresses of %s: %w", device, err)
	}
	return out, nil
}
