// Package secret keeps credentials that were sealed to this agent, and opens one for one permit. What
// is on disk is ciphertext and the agent's own key; nothing here is ever logged, and no plugin sees it
// (H-026, S11).
package secret

import (
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

const (
	keyFile   = "sealing.key"
	storeFile = "secrets.json"
	info      = "primum secret 1"
	anyDevice = "*"
)

type entry struct {
	Version uint64 `json:"version"`
	Sealed  []byte `json:"sealed"`
}

// Store is the agent's sealed credentials. It is safe for concurrent use.
type Store struct {
	path string
	key  hpke.PrivateKey

	mu      sync.Mutex
	entries map[string]entry // guarded by mu
}

// Open reads the key and the credentials in dir, and makes a key at the first start.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open secrets: %w", err)
	}
	kem := hpke.DHKEM(ecdh.X25519())
	path := filepath.Join(dir, keyFile)
	raw, err := os.ReadFile(path)
	var key hpke.PrivateKey
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if key, err = kem.GenerateKey(); err != nil {
			return nil, fmt.Errorf("make sealing key: %w", err)
		}
		if raw, err = key.Bytes(); err == nil {
			err = os.WriteFile(path, raw, 0o600)
		}
	case err == nil:
		key, err = kem.NewPrivateKey(raw)
	}
	if err != nil {
		return nil, fmt.Errorf("open sealing key: %w", err)
	}
	s := &Store{path: filepath.Join(dir, storeFile), key: key, entries: map[string]entry{}}
	b, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s.entries)
	}
	if err != nil {
		return nil, fmt.Errorf("open secrets: %w", err)
	}
	return s, nil
}

// PublicKey returns the key that credentials are sealed to, 32 octets.
func (s *Store) PublicKey() []byte { return s.key.PublicKey().Bytes() }

// Set takes one sealed credential. It fails when it does not open, and then keeps the one before.
func (s *Store) Set(device string, sealed []byte, version uint64) error {
	if _, err := s.open(device, sealed); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.entries[device]; ok && have.Version > version {
		return nil
	}
	before, had := s.entries[device]
	s.entries[device] = entry{version, sealed}
	b, err := json.Marshal(s.entries)
	if err == nil {
		tmp := s.path + ".new"
		if err = os.WriteFile(tmp, b, 0o600); err == nil {
			err = os.Rename(tmp, s.path)
		}
	}
	if err != nil {
		delete(s.entries, device)
		if had {
			s.entries[device] = before
		}
		return fmt.Errorf("keep secret: %w", err)
	}
	return nil
}

// Community opens the credential of a device: its own, or the one for every device. The caller
// overwrites it after use. ok is false when there is none.
func (s *Store) Community(device string) (community []byte, ok bool) {
	s.mu.Lock()
	name := device
	e, found := s.entries[device]
	if !found {
		name = anyDevice
		e, found = s.entries[anyDevice]
	}
	s.mu.Unlock()
	if !found {
		return nil, false
	}
	plain, err := s.open(name, e.Sealed)
	return plain, err == nil
}

// open checks the size of a community too (RFC 3584 leaves it open; WIRE-RULES 2.2 has 1 to 32).
func (s *Store) open(device string, sealed []byte) ([]byte, error) {
	plain, err := openSealed(s.key, device, sealed)
	if err != nil {
		return nil, fmt.Errorf("the secret for %s was not sealed to this agent", device)
	}
	if len(plain) == 0 || len(plain) > 32 {
		return nil, fmt.Errorf("the secret for %s has %d octets; 1 to 32 are allowed", device, len(plain))
	}
	return plain, nil
}

const encapsulated = 32 // DHKEM(X25519) encapsulated key, octets (RFC 9180 7.1)

func openSealed(key hpke.PrivateKey, device string, sealed []byte) ([]byte, error) {
	if len(sealed) < encapsulated {
		return nil, fmt.Errorf("cut short")
	}
	r, err := hpke.NewRecipient(sealed[:encapsulated], key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(info))
	if err != nil {
		return nil, err
	}
	return r.Open([]byte(device), sealed[encapsulated:])
}
