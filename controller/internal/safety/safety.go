// Package safety keeps the safety list release that is in force. It believes nothing but the root that
// a person gave to the controller, and never goes back to an earlier release.
package safety

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"primum/controller/internal/store"
	list "primum/safetylists"
	"primum/safetylists/release"
)

// Keeper holds the release in force. It is safe for concurrent use.
type Keeper struct {
	db *store.Store

	mu      sync.Mutex
	memory  release.Memory   // guarded by mu, as is all below
	release *release.Release // nil: none
	bundle  []byte
}

// Open reads the releases that were published, the oldest first, as an agent has seen them. A newest one
// that does not verify is an error: somebody has to look.
func Open(ctx context.Context, db *store.Store, root []byte) (*Keeper, error) {
	memory, err := release.NewMemory(root)
	if err != nil {
		return nil, err
	}
	k := &Keeper{db: db, memory: memory}
	all, err := db.Releases(ctx)
	if err != nil {
		return nil, err
	}
	for i, kept := range all {
		r, m, err := release.Reopen(kept.Bundle, k.memory)
		if err != nil && i == len(all)-1 {
			return nil, fmt.Errorf("the safety list release %d in the database: %w; was the controller started with another list root?", kept.Number, err)
		}
		if err == nil { // one under keys that a newer root took away teaches nothing
			k.release, k.bundle, k.memory = r, kept.Bundle, m
		}
	}
	return k, nil
}

// Current returns the release in force and the bundle that it came in. Without one, or when it has
// expired, it returns the refusal instead.
func (k *Keeper) Current(at time.Time) (*release.Release, []byte, *list.Refusal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.release == nil:
		return nil, nil, list.Refuse(list.NoList, "no safety list release was published to the controller")
	case k.release.ExpiredAt(at):
		return nil, nil, list.Refuse(list.ListExpired, "it ended on "+k.release.Expires.Format(time.DateOnly))
	}
	return k.release, k.bundle, nil
}

// Publish takes a release that is newer than the one in force, or the same with a newer timestamp. It
// returns a refusal for a bundle that does not verify, is expired, or is not newer.
func (k *Keeper) Publish(ctx context.Context, bundle []byte, a store.Audit) (*release.Release, *list.Refusal, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, memory, err := release.Open(bundle, k.memory, a.At)
	if err != nil {
		if errors.Is(err, release.ErrExpired) {
			return nil, list.Refuse(list.ListExpired, err.Error()), nil
		}
		return nil, list.Refuse(list.ListUntrusted, err.Error()), nil
	}
	put := k.db.PutRelease
	if k.release != nil && r.Number == k.release.Number {
		if r.Timestamp == k.release.Timestamp {
			return nil, list.Refuse(list.ListOther, fmt.Sprintf("release %d with timestamp %d is in force already", r.Number, r.Timestamp)), nil
		}
		put = k.db.RenewRelease
	}
	err = put(ctx, store.Release{Number: r.Number, Digest: r.Digest[:], Bundle: bundle}, a)
	if errors.Is(err, store.ErrState) {
		return nil, list.Refuse(list.ListOther, fmt.Sprintf("release %d is not newer than the one in force", r.Number)), nil
	}
	if err != nil {
		return nil, nil, err
	}
	k.release, k.bundle, k.memory = r, bundle, memory
	return r, nil, nil
}
