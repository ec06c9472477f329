package approve

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"primum/safetylists/permit"
)

// Minter holds the controller's permit key. It is safe for concurrent use.
type Minter struct{ key ed25519.PrivateKey }

// LoadMinter reads the permit key of a data directory, and makes one at the first start.
func LoadMinter(dir string) (*Minter, error) {
	path := filepath.Join(dir, "permit.key")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read permit key: %w", err)
	}
	key, err := permit.ParsePrivate(string(b))
	if err != nil {
		return nil, fmt.Errorf("read permit key %s: %w", path, err)
	}
	return &Minter{key}, nil
}

func makeKey(path string) (*Minter, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make permit key: %w", err)
	}
	// A crash in the middle must not leave half a key under its name: the controller would never start again.
	// What one left under the other name is nobody's key.
	unfinished := path + ".new"
	f, err := os.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make permit key: %w", err)
	}
	_, err = f.WriteString(permit.FormatPrivate(key) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(unfinished, path)
	}
	if err != nil {
		return nil, fmt.Errorf("write permit key: %w", err)
	}
	return &Minter{key}, nil
}

// Public returns the key that agents verify permits with.
func (m *Minter) Public() ed25519.PublicKey {
	return m.key.Public().(ed25519.PublicKey) //nolint:forcetypeassert // an ed25519 private key has no other
}

// Order is the work order that permits are minted for.
type Order struct {
	ID     string
	Agent  string
	Epoch  uint64
	Plan   permit.Plan
	Digest permit.Digest
}

// skew is how far the clock of an agent may be behind without a permit being not valid yet: as much as the
// agent itself bears (H-018). The approved time bounds it on both sides.
const skew = 30 * time.Second

// Mint signs one permit for each item, good for at most Life, from 30 s before now, and never outside
// the approved time. It returns their bytes and their names in the order of the items.
func (m *Minter) Mint(o Order, items []int, at time.Time) (papers [][]byte, ids []permit.ID, err error) {
	now := at.UTC().Truncate(time.Millisecond)
	if now.Before(o.Plan.Opens) || !now.Before(o.Plan.Closes) {
		return nil, nil, fmt.Errorf("mint permits: it is outside the approved time")
	}
	from := now.Add(-skew)
	if from.Before(o.Plan.Opens) {
		from = o.Plan.Opens
	}
	until := from.Add(Life)
	if o.Plan.Closes.Before(until) {
		until = o.Plan.Closes
	}
	for ordinal, n := range items {
		if n < 0 || n >= len(o.Plan.Items) {
			return nil, nil, fmt.Errorf("mint permits: plan %s has no item %d", o.Plan.ID, n)
		}
		item := o.Plan.Items[n]
		p := permit.Permit{
			Plan: o.Digest, Item: uint32(n), Order: o.ID, Ordinal: uint32(ordinal), Agent: o.Agent, Device: item.Device.ID,
			Address: netip.AddrPortFrom(item.Device.Address, item.Query.Port()), Epoch: o.Epoch, From: from, Until: until, Closes: o.Plan.Closes,
		}
		if _, err := rand.Read(p.ID[:]); err != nil {
			return nil, nil, fmt.Errorf("mint permits: %w", err)
		}
		b, err := p.Sign(m.key)
		if err != nil {
			return nil, nil, err
		}
		papers, ids = append(papers, b), append(ids, p.ID)
	}
	return papers, ids, nil
}
