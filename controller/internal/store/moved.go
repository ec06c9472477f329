package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Moved is a device that an agent found to be no longer at the inventory's address.
type Moved struct {
	Tag    string
	IP     string // the inventory's
	Seen   string // where its own network card was seen, empty: nowhere
	Detail string
	Run    string
	At     time.Time
}

// movedReason is the reason code of a refusal that tells of it.
const movedReason = "ADDRESS_MOVED"

// moved keeps what an outcome tells of the place of a device: that it moved, or, where it was asked, that it is there.
func (b Batch) moved(ctx context.Context, tx *sql.Tx, x sent, o Outcome) error {
	if o.Reason == movedReason {
		_, err := change(ctx, tx, `INSERT INTO moved (tag, ip, seen, detail, run, at)
			SELECT tag, coalesce(json_extract(cells, '$.ip'), ''), ?, ?, ?, ? FROM device WHERE tag = ?
			ON CONFLICT (tag) DO UPDATE SET ip = excluded.ip, seen = excluded.seen, detail = excluded.detail, run = excluded.run, at = excluded.at`,
			o.Seen, o.Detail, x.Run, micros(b.At), x.Device)
		return err
	}
	if !o.Touched {
		return nil
	}
	_, err := change(ctx, tx, `DELETE FROM moved WHERE tag = ?`, x.Device)
	return err
}

// Moved returns the devices that are not where the inventory still has them, or one of them.
func (s *Store) Moved(ctx context.Context, tag string) ([]Moved, error) {
	out, err := all(ctx, s.r, func(scan func(...any) error) (m Moved, err error) {
		err = scan(&m.Tag, &m.IP, &m.Seen, &m.Detail, &m.Run, timeColumn{&m.At})
		return m, err
	}, `SELECT m.tag, m.ip, m.seen, m.detail, m.run, m.at FROM moved m JOIN device d ON d.tag = m.tag
		WHERE (? = '' OR m.tag = ?) AND m.ip = coalesce(json_extract(d.cells, '$.ip'), '') ORDER BY m.tag`, tag, tag)
	if err != nil {
		return nil, fmt.Errorf("list moved devices: %w", err)
	}
	return out, nil
}
