package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// Case is one distress, as it counts for the models of its device.
type Case struct {
	Permit string
	Device string
	Models []string // "maker/model" of each source
	At     time.Time
}

// Unweighed is a distress that has not been weighed for its model yet.
type Unweighed struct {
	Permit, Device, Plan, Detail string
	Item                         int
	At                           time.Time
}

// UnweighedDistresses returns what PutCase has not been called for, oldest first.
func (s *Store) UnweighedDistresses(ctx context.Context) ([]Unweighed, error) {
	out, err := all(ctx, s.r, func(scan func(...any) error) (u Unweighed, err error) {
		err = scan(&u.Permit, &u.Device, &u.Plan, &u.Item, &u.Detail, timeColumn{&u.At})
		return u, err
	}, `SELECT x.permit, t.device, r.plan, t.item, t.detail, t.finished FROM task t JOIN run r ON r.name = t.run
		JOIN sending x ON x.work_order = t.work_order AND x.ordinal = t.ordinal
		WHERE t.state = 'DISTRESS' AND t.reason <> 'CREDENTIAL_REFUSED' AND NOT EXISTS (SELECT 1 FROM distress_case c WHERE c.permit = x.permit)
		ORDER BY t.finished, x.permit`)
	if err != nil {
		return nil, fmt.Errorf("list distresses: %w", err)
	}
	return out, nil
}

// PutCase writes one case together with the holds that follow from it. Weigh gets all earlier cases and every
// hold of a model, in force or lifted. A case that was written before changes nothing.
func (s *Store) PutCase(ctx context.Context, c Case, weigh func(earlier []Case, holds []Hold) []Hold, a Audit) ([]Hold, error) {
	var placed []Hold
	err := s.tx(ctx, "weigh distress", func(tx *sql.Tx) error {
		models, err := text(append([]string{}, c.Models...))
		if err != nil {
			return err
		}
		earlier, err := all(ctx, tx, scanCase, `SELECT permit, device, models, at FROM distress_case ORDER BY at, permit`)
		if err != nil {
			return err
		}
		n, err := change(ctx, tx, `INSERT INTO distress_case (permit, device, models, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			c.Permit, c.Device, models, micros(c.At))
		if err != nil || n == 0 {
			return err
		}
		holds, err := all(ctx, tx, scanHold, `SELECT `+holdColumns+` FROM hold WHERE scope = 'model' ORDER BY id`)
		if err != nil {
			return err
		}
		placed = weigh(earlier, holds)
		for i := range placed {
			act := a
			act.Detail = placed[i].Scope + " " + placed[i].Value + ": " + placed[i].Reason
			if err := placeHold(ctx, tx, &placed[i], nil, act); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return placed, nil
}

func scanCase(scan func(...any) error) (c Case, err error) {
	var models string
	if err := scan(&c.Permit, &c.Device, &models, timeColumn{&c.At}); err != nil {
		return c, err
	}
	if err := json.Unmarshal([]byte(models), &c.Models); err != nil {
		return c, fmt.Errorf("models of case %s: %w", c.Permit, err)
	}
	return c, nil
}
