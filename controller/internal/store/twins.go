package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// Kin knows which asset tags are one physical device: those that share its address or its network card, and those that share one with such a
// tag (G9). It is read once for many tags: a network card that is wrongly that of half a hospital makes one device of thousands.
type Kin struct {
	of    uint64               // changes of addresses and network cards that it knows
	names map[string][2]string // of a tag: its address, and its network card
	tags  map[[2]string][]string
}

// Kin reads the inventory, or returns what was read since it changed: while one device is in distress every look of every session asks for it.
func (s *Store) Kin(ctx context.Context) (k *Kin, err error) {
	tx, err := s.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("look for tags of one device: %w", err)
	}
	defer func() { err = joinRead(err, tx.Rollback()) }()
	of, err := one(ctx, tx, scanNumber, `SELECT inventory FROM fleet`)
	if err != nil {
		return nil, fmt.Errorf("look for tags of one device: %w", err)
	}
	if k = s.kin.Load(); k != nil && k.of == of {
		return k, nil
	}
	type row struct {
		tag   string
		names [2]string
	}
	rows, err := all(ctx, tx, func(scan func(...any) error) (x row, err error) {
		err = scan(&x.tag, &x.names[0], &x.names[1])
		return x, err
	}, `SELECT tag, coalesce(json_extract(cells, '$.ip'), ''), coalesce(json_extract(cells, '$.mac'), '') FROM device`)
	if err != nil {
		return nil, fmt.Errorf("look for tags of one device: %w", err)
	}
	k = &Kin{of: of, names: make(map[string][2]string, len(rows)), tags: map[[2]string][]string{}}
	for _, x := range rows {
		k.names[x.tag] = x.names
		for _, name := range keys(x.names) {
			k.tags[name] = append(k.tags[name], x.tag)
		}
	}
	s.kin.Store(k)
	return k, nil
}

// keys tells an address from a network card that is written alike.
func keys(names [2]string) (out [][2]string) {
	for i, name := range names {
		if name != "" {
			out = append(out, [2]string{[]string{"ip", "mac"}[i], name})
		}
	}
	return out
}

// Twins returns the other asset tags of a device, in order.
func (k *Kin) Twins(tag string) (twins []string) {
	in, looked := map[string]bool{tag: true}, map[[2]string]bool{}
	for next := []string{tag}; len(next) > 0; next = next[1:] {
		for _, name := range keys(k.names[next[0]]) {
			if looked[name] {
				continue
			}
			looked[name] = true
			for _, other := range k.tags[name] {
				if !in[other] {
					in[other] = true
					twins, next = append(twins, other), append(next, other)
				}
			}
		}
	}
	slices.Sort(twins)
	return twins
}

// Twins returns the other asset tags of a device, in order.
func (s *Store) Twins(ctx context.Context, tag string) ([]string, error) {
	k, err := s.Kin(ctx)
	if err != nil {
		return nil, err
	}
	return k.Twins(tag), nil
}
