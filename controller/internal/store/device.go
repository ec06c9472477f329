package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"time"
)

// Device is one row of the CMMS.
type Device struct {
	Tag   string
	Cells map[string]string // column to cell; an absent column is an empty cell
}

// Counts says what an import came to.
type Counts struct {
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	placed    int // new, or with another address or network card
}

// PutDevices takes every row, or none. A device that the file does not name stays.
func (s *Store) PutDevices(ctx context.Context, devices []Device, r *Request, a Audit) (Counts, error) {
	var n Counts
	err := s.tx(ctx, "take devices", func(tx *sql.Tx) error {
		for _, d := range devices {
			if err := putDevice(ctx, tx, d, a.At, &n); err != nil {
				return err
			}
		}
		// a device that is held may now stand under another tag: the agents are told the holds anew
		if n.Created+n.Updated > 0 {
			if err := n.keep(ctx, tx); err != nil {
				return err
			}
			if _, err := change(ctx, tx, `UPDATE fleet SET hold_version = hold_version + 1
				WHERE EXISTS (SELECT 1 FROM hold WHERE scope = 'device' AND lifted_at = 0)`); err != nil {
				return err
			}
		}
		a.Detail = fmt.Sprintf("%d new, %d changed, %d as before", n.Created, n.Updated, n.Unchanged)
		result, err := text(n)
		if err != nil {
			return err
		}
		if err := a.add(ctx, tx); err != nil {
			return err
		}
		return r.keep(ctx, tx, result, a.At)
	})
	return n, err
}

// WouldPut counts what PutDevices would do, and changes nothing.
func (s *Store) WouldPut(ctx context.Context, devices []Device) (n Counts, err error) {
	have, err := s.Devices(ctx, "", 0)
	if err != nil {
		return n, err
	}
	cells := make(map[string]map[string]string, len(have))
	for _, d := range have {
		cells[d.Tag] = d.Cells
	}
	for _, d := range devices {
		switch before, ok := cells[d.Tag]; {
		case !ok:
			n.Created++
		case maps.Equal(before, d.Cells):
			n.Unchanged++
		default:
			n.Updated++
		}
	}
	return n, nil
}

// SetCells changes some cells of one device; an empty one goes away. It fails with ErrNotFound.
func (s *Store) SetCells(ctx context.Context, tag string, cells map[string]string, r *Request, a Audit) error {
	return s.tx(ctx, "change device", func(tx *sql.Tx) error {
		d, err := one(ctx, tx, scanDevice, `SELECT tag, cells FROM device WHERE tag = ?`, tag)
		if err != nil {
			return err
		}
		d.Cells = maps.Clone(d.Cells)
		for column, cell := range cells {
			d.Cells[column] = cell
			if cell == "" {
				delete(d.Cells, column)
			}
		}
		var n Counts
		if err := putDevice(ctx, tx, d, a.At, &n); err != nil {
			return err
		}
		if err := n.keep(ctx, tx); err != nil {
			return err
		}
		if err := a.add(ctx, tx); err != nil {
			return err
		}
		return r.keep(ctx, tx, tag, a.At)
	})
}

// keep notes that tags may be of one device, or of two, that were not: who has looked at that looks again.
func (n *Counts) keep(ctx context.Context, tx *sql.Tx) error {
	if n.placed == 0 {
		return nil
	}
	n.placed = 0
	_, err := change(ctx, tx, `UPDATE fleet SET inventory = inventory + 1`)
	return err
}

func putDevice(ctx context.Context, tx *sql.Tx, d Device, at time.Time, n *Counts) error {
	have, err := all(ctx, tx, scanDevice, `SELECT tag, cells FROM device WHERE tag = ?`, d.Tag)
	if err != nil {
		return err
	}
	if len(have) == 1 && maps.Equal(have[0].Cells, d.Cells) {
		n.Unchanged++
		return nil
	}
	cells, err := text(d.Cells)
	if err != nil {
		return err
	}
	if len(have) == 1 {
		n.Updated++
	} else {
		n.Created++
	}
	if len(have) == 0 || have[0].Cells["ip"] != d.Cells["ip"] || have[0].Cells["mac"] != d.Cells["mac"] {
		n.placed++
	}
	_, err = change(ctx, tx, `INSERT INTO device (tag, cells, changed) VALUES (?, ?, ?)
		ON CONFLICT (tag) DO UPDATE SET cells = excluded.cells, changed = excluded.changed`, d.Tag, cells, micros(at))
	return err
}

// Devices returns devices in order of their tags, after a tag; limit 0 is all.
func (s *Store) Devices(ctx context.Context, after string, limit int) ([]Device, error) {
	if limit == 0 {
		limit = -1
	}
	out, err := all(ctx, s.r, scanDevice, `SELECT tag, cells FROM device WHERE tag > ? ORDER BY tag LIMIT ?`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	return out, nil
}

// Device returns one device. It fails with ErrNotFound.
func (s *Store) Device(ctx context.Context, tag string) (Device, error) {
	d, err := one(ctx, s.r, scanDevice, `SELECT tag, cells FROM device WHERE tag = ?`, tag)
	if err != nil {
		return d, fmt.Errorf("look up device %s: %w", tag, err)
	}
	return d, nil
}

func scanDevice(scan func(...any) error) (d Device, err error) {
	err = scan(&d.Tag, jsonColumn{&d.Cells})
	return d, err
}

// Fact is one claim of identity that a device made.
type Fact struct {
	Field  string `json:"field"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

// Answer is the latest answer of a device to a kind of question.
type Answer struct {
	Tag   string
	Kind  string
	Run   string
	At    time.Time
	Facts []Fact
}

// Answers returns the latest answers of one device, or of all where tag is empty.
func (s *Store) Answers(ctx context.Context, tag string) ([]Answer, error) {
	out, err := all(ctx, s.r, func(scan func(...any) error) (a Answer, err error) {
		err = scan(&a.Tag, &a.Kind, &a.Run, timeColumn{&a.At}, jsonColumn{&a.Facts})
		return a, err
	}, `SELECT tag, kind, run, at, facts FROM answer WHERE ? = '' OR tag = ? ORDER BY tag, kind`, tag, tag)
	if err != nil {
		return nil, fmt.Errorf("list answers: %w", err)
	}
	return out, nil
}

// Visit is the latest time that a device may have received a question.
type Visit struct {
	Tag      string
	Question string
	Kind     string
	At       time.Time
	State    string
	Run      string
	Item     int
}

// Visits returns the latest visits to one device, or to all where tag is empty, newest first.
func (s *Store) Visits(ctx context.Context, tag string) ([]Visit, error) {
	out, err := all(ctx, s.r, func(scan func(...any) error) (v Visit, err error) {
		err = scan(&v.Tag, &v.Question, &v.Kind, timeColumn{&v.At}, &v.State, &v.Run, &v.Item)
		return v, err
	}, `SELECT tag, question, kind, at, state, run, item FROM visit WHERE ? = '' OR tag = ? ORDER BY at DESC, tag`, tag, tag)
	if err != nil {
		return nil, fmt.Errorf("list visits: %w", err)
	}
	return out, nil
}
