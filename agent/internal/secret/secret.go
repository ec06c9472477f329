// Package secret opens credentials that were sealed to this agent, one for one permit. The agent keeps
// nothing but its own key: what is sealed comes with the work that needs it, stays sealed in memory until the
// conversation begins, and is overwritten after it. Nothing here is ever logged, and no plugin sees it
// (H-026, S8, S11).
package secret

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	keyFile      = "sealing.key"
	encapsulated = 32 // DHKEM(X25519) encapsulated key, octets (RFC 9180 7.1)
	maxPlain     = 1024
)

// Kind says what a credential is. The zero value is none.
type Kind string

// The kinds, each sealed under its own name so that one cannot be given out for the other.
const (
	Community Kind = "community" // of SNMPv1 and v2c
	USM       Kind = "usm"       // a user of SNMPv3
)

// info is what HPKE binds the ciphertext to (RFC 9180 5.1), beside the device.
func (k Kind) info() (string, error) {
	switch k {
	case Community:
		return "primum secret 1", nil
	case USM:
		return "primum usm 1", nil
	default:
		return "", fmt.Errorf("credential of unknown kind %q", string(k))
	}
}

// Sealed is a credential that only this agent can open.
type Sealed struct {
	Device  string // asset tag, or * for every device without one of its own
	Kind    Kind
	Version uint64
	Box     []byte
}

// Name names the credential in a record, without its content: the device, the kind, and the beginning of the
// SHA-256 of what was sealed. The version is not in it: it is the controller's word, and one that is counted up
// must not have a refused credential tried once more (S4, H-027).
func (s Sealed) Name() string {
	sum := sha256.Sum256(s.Box)
	return fmt.Sprintf("%s %s %x", s.Device, s.Kind, sum[:8])
}

// Credential is what a device asks for. Clear it after use.
type Credential struct {
	Community []byte
	User      User
}

// User is a user of SNMPv3 (RFC 3414 2.1).
type User struct {
	Name    []byte
	Auth    []byte // pass phrase, at least 8 octets (RFC 3414 11.2)
	Privacy []byte // pass phrase; empty: the user does not encrypt
}

// Clear overwrites it; none is cleared already.
func (c *Credential) Clear() {
	if c == nil {
		return
	}
	for _, b := range [][]byte{c.Community, c.User.Name, c.User.Auth, c.User.Privacy} {
		clear(b)
	}
}

// Key is the agent's sealing key. It is safe for concurrent use.
type Key struct{ key hpke.PrivateKey }

// Open reads the key in dir, and makes one at the first start.
func Open(dir string) (*Key, error) {
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
	clear(raw)
	if err != nil {
		return nil, fmt.Errorf("open sealing key: %w", err)
	}
	return &Key{key}, nil
}

// PublicKey returns the key that credentials are sealed to, 32 octets.
func (k *Key) PublicKey() []byte { return k.key.PublicKey().Bytes() }

// Open opens a credential. The error names the device and says nothing of the content.
func (k *Key) Open(s Sealed) (*Credential, error) {
	plain, err := k.open(s)
	if err != nil {
		return nil, fmt.Errorf("the secret for %s was not sealed to this agent as a %s", s.Device, s.Kind)
	}
	if s.Kind == Community {
		if len(plain) == 0 || len(plain) > 32 { // WIRE-RULES 2.2; RFC 3584 leaves it open
			return nil, fmt.Errorf("the secret for %s has %d octets; 1 to 32 are allowed", s.Device, len(plain))
		}
		return &Credential{Community: plain}, nil
	}
	defer clear(plain)
	u, err := readUser(plain)
	if err != nil {
		return nil, fmt.Errorf("the secret for %s: %w", s.Device, err)
	}
	return &Credential{User: u}, nil
}

func (k *Key) open(s Sealed) ([]byte, error) {
	info, err := s.Kind.info()
	if err != nil {
		return nil, err
	}
	if len(s.Box) < encapsulated || len(s.Box) > maxPlain {
		return nil, fmt.Errorf("%d octets are no sealed secret", len(s.Box))
	}
	r, err := hpke.NewRecipient(s.Box[:encapsulated], k.key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(info))
	if err != nil {
		return nil, err
	}
	return r.Open([]byte(s.Device), s.Box[encapsulated:])
}

// readUser reads the sealed form of a user: JSON with user, auth and privacy.
func readUser(plain []byte) (User, error) {
	var u struct {
		User    string `json:"user"`
		Auth    string `json:"auth"`
		Privacy string `json:"privacy"`
	}
	d := json.NewDecoder(bytes.NewReader(plain))
	d.DisallowUnknownFields()
	switch err := d.Decode(&u); {
	case err != nil: // the decoder's words may hold a piece of the text
		return User{}, errors.New("it is not a user with user, auth and privacy")
	case u.User == "" || len(u.User) > 32:
		return User{}, errors.New("a user name has 1 to 32 octets")
	case len(u.Auth) < 8 || u.Privacy != "" && len(u.Privacy) < 8:
		return User{}, errors.New("a pass phrase has at least 8 octets (RFC 3414 11.2)")
	}
	return User{[]byte(u.User), []byte(u.Auth), []byte(u.Privacy)}, nil
}
