// Package safety keeps the safety list release that is in force. It believes nothing but the list key
// that a person gave to the controller, and never goes back to an earlier release.
package safety

import (
	"context"
	"crypto/ed25519"
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
	db  *store.Store
	key ed25519.PublicKey

	mu      sync.Mutex
	release *release.Release // nil: none
	bundle  []byte
}

// Open reads the release that was in force when the controller ended. One that does not verify with
// the list key is an error: somebody has to look.
func Open(ctx context.Context, db *store.Store, key ed25519.PublicKey) (*Keeper, error) {
	k := &Keeper{db: db, key: key}
	kept, err := db.NewestRelease(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return k, nil
	}
	if err != nil {
		return nil, err
	}
	if k.release, err = release.Open(kept.Bundle, key); err != nil {
		return nil, fmt.Errorf("the safety list release %d in the database: %w; was the controller started with another list key?", kept.Number, err)
	}
	k.bundle = kept.Bundle
	return k, nil
}

// Key is the public key that releases are signed with.
func (k *Keeper) Key() ed25519.PublicKey { return k.key }

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

// Publish takes a release with a larger number than the one in force. It returns a refusal for a bundle
// that does not verify, is expired, or is not newer.
func (k *Keeper) Publish(ctx context.Context, bundle []byte, a store.Audit) (*release.Release, *list.Refusal, error) {
	r, err := release.Open(bundle, k.key)
	if err != nil {
		return nil, list.Refuse(list.ListUntrusted, err.Error()), nil
	}
	if r.ExpiredAt(a.At) {
		return nil, list.Refuse(list.ListExpired, "it ended on "+r.Expires.Format(time.DateOnly)), nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	err = k.db.PutRelease(ctx, store.Release{Number: r.Number, Digest: r.Digest[:], Bundle: bundle}, a)
	if errors.Is(err, store.ErrState) {
		return nil, list.Refuse(list.ListOther, fmt.Sprintf("release %d is not newer than the one in force", r.Number)), nil
	}
	if err != nil {
		return nil, nil, err
	}
	k.release, k.bundle = r, bundle
	return r, nil, nil
}
