package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Window is a recurring approved time.
type Window struct {
	Name       string // without "windows/"
	Recurrence string
	Zone       string
	Duration   time.Duration
	Devices    []string
	Agent      string
}

// PutWindow writes a new window. It fails with ErrExists.
func (s *Store) PutWindow(ctx context.Context, w Window, r *Request, a Audit) error {
	return s.tx(ctx, "store window", func(tx *sql.Tx) error {
		devices, err := text(w.Devices)
		if err != nil {
			return err
		}
		if err := must(ctx, tx, ErrExists, `INSERT INTO approved_time (name, recurrence, zone, duration, devices, agent, made)
			VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			w.Name, w.Recurrence, w.Zone, w.Duration.Microseconds(), devices, w.Agent, micros(a.At)); err != nil {
			return err
		}
		if err := a.add(ctx, tx); err != nil {
			return err
		}
		return r.keep(ctx, tx, w.Name, a.At)
	})
}

const windowColumns = `name, recurrence, zone, duration, devices, agent`

func scanWindow(scan func(...any) error) (w Window, err error) {
	var us int64
	err = scan(&w.Name, &w.Recurrence, &w.Zone, &us, jsonColumn{&w.Devices}, &w.Agent)
	w.Duration = time.Duration(us) * time.Microsecond
	return w, err
}

// Windows returns windows in order of their names, after a name; limit 0 is all.
func (s *Store) Windows(ctx context.Context, after string, limit int) ([]Window, error) {
	if limit == 0 {
		limit = -1
	}
	out, err := all(ctx, s.r, scanWindow, `SELECT `+windowColumns+` FROM approved_time WHERE name > ? ORDER BY name LIMIT ?`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list windows: %w", err)
	}
	return out, nil
}

// Window returns one window. It fails with ErrNotFound.
func (s *Store) Window(ctx context.Context, name string) (Window, error) {
	w, err := one(ctx, s.r, scanWindow, `SELECT `+windowColumns+` FROM approved_time WHERE name = ?`, name)
	if err != nil {
		return w, fmt.Errorf("look up window %s: %w", name, err)
	}
	return w, nil
}
