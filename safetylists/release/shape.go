package release

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// The shapes are what may stand in metadata, and nothing else. Each file is held to its shape before
// go-tuf reads it: its decoder takes null, unknown and repeated fields and keys of any length, and some
// of these make it panic (as in CVE-2026-23991).
type signed[T any] struct {
	Signed     T              `json:"signed"`
	Signatures []oneSignature `json:"signatures"`
}

type oneSignature struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

type header struct {
	Type    string    `json:"_type"`
	Spec    string    `json:"spec_version"`
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
}

type rootShape struct {
	header
	Consistent bool                 `json:"consistent_snapshot"`
	Keys       map[string]keyShape  `json:"keys"`
	Roles      map[string]roleShape `json:"roles"`
	Offline    int                  `json:"x-primum-offline-days"`
}

type keyShape struct {
	Type   string `json:"keytype"`
	Scheme string `json:"scheme"`
	Value  struct {
		Public string `json:"public"`
	} `json:"keyval"`
}

type roleShape struct {
	KeyIDs    []string `json:"keyids"`
	Threshold int      `json:"threshold"`
}

type metaShape struct {
	Length  int64      `json:"length"`
	Hashes  hashesOnly `json:"hashes"`
	Version int64      `json:"version"`
}

type hashesOnly struct {
	SHA256 hexDigest `json:"sha256"`
}

// hexDigest is a SHA-256 in its one form, small hex digits.
type hexDigest string

func (d *hexDigest) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if raw, err := hex.DecodeString(s); err != nil || len(raw) != sha256.Size || hex.EncodeToString(raw) != s {
		return fmt.Errorf("sha256: %q is not %d small hex digits", s, 2*sha256.Size)
	}
	*d = hexDigest(s)
	return nil
}

type timestampShape struct {
	header
	Meta   map[string]metaShape `json:"meta"`
	Issued time.Time            `json:"x-primum-issued"`
}

type snapshotShape struct {
	header
	Meta map[string]metaShape `json:"meta"`
}

type targetsShape struct {
	header
	Targets     map[string]targetShape `json:"targets"`
	Delegations *delegationsShape      `json:"delegations,omitempty"`
	Next        *Authority             `json:"x-primum-next,omitempty"`
}

type targetShape struct {
	Length int64      `json:"length"`
	Hashes hashesOnly `json:"hashes"`
}

type delegationsShape struct {
	Keys  map[string]keyShape `json:"keys"`
	Roles []delegatedShape    `json:"roles"`
}

type delegatedShape struct {
	Name string `json:"name"`
	roleShape
	Terminating bool     `json:"terminating"`
	Paths       []string `json:"paths"`
}

const maxRoles = 1000

// read decodes text into its shape and requires that the shape tells all of it.
func read[T any](kind string, text []byte) (signed[T], error) {
	var s signed[T]
	if len(text) > maxMetadata {
		return s, fmt.Errorf("%d octets; it has at most %d", len(text), maxMetadata)
	}
	if err := noDoubles(json.NewDecoder(bytes.NewReader(text)), 0); err != nil {
		return s, err
	}
	if err := strict(text, &s); err != nil {
		return s, err
	}
	again, err := json.Marshal(s)
	if err != nil {
		return s, err
	}
	var wrote, told any
	if err := generic(text, &wrote); err != nil {
		return s, err
	}
	if err := generic(again, &told); err != nil {
		return s, err
	}
	if !reflect.DeepEqual(wrote, told) {
		return s, fmt.Errorf("a field is missing, written otherwise than its name, or not in its one form")
	}
	var h header
	switch v := any(s.Signed).(type) {
	case rootShape:
		h = v.header
	case timestampShape:
		h = v.header
	case snapshotShape:
		h = v.header
	case targetsShape:
		h = v.header
	}
	if h.Type != kind || h.Spec != metadata.SPECIFICATION_VERSION || h.Version < 1 || h.Version > 1<<40 {
		return s, fmt.Errorf("it is %s of specification %q, version %d; wanted is %s of %s, version 1 or more", h.Type, h.Spec, h.Version, kind, metadata.SPECIFICATION_VERSION)
	}
	if len(s.Signatures) > maxRoles {
		return s, fmt.Errorf("%d signatures", len(s.Signatures))
	}
	for _, one := range s.Signatures {
		if b, err := hex.DecodeString(one.Sig); err != nil || len(b) != ed25519.SignatureSize {
			return s, fmt.Errorf("a signature is not %d octets in hex", ed25519.SignatureSize)
		}
	}
	return s, nil
}

func generic(text []byte, into *any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(into)
}

// noDoubles refuses a field that stands twice, null and deep nesting. Of two fields of one name a decoder takes the
// last, and another one the first: a key or a threshold could be read in two ways.
func noDoubles(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t == nil {
		return fmt.Errorf("null is not allowed")
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth > 16 {
		return fmt.Errorf("nested too deep")
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return err
			}
			key, _ := name.(string)
			if seen[key] {
				return fmt.Errorf("field %q stands twice", key)
			}
			seen[key] = true
		}
		if err := noDoubles(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

func strict(b []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("more after the end of the document")
	}
	return nil
}

// checkKeys requires that each key is ed25519 and stands under the one id that follows from it, so that
// no key can be counted twice under two ids.
func checkKeys(keys map[string]keyShape) error {
	if len(keys) > maxRoles {
		return fmt.Errorf("%d keys", len(keys))
	}
	for id, k := range keys {
		raw, err := hex.DecodeString(k.Value.Public)
		if err != nil || len(raw) != ed25519.PublicKeySize || k.Type != metadata.KeyTypeEd25519 || k.Scheme != metadata.KeySchemeEd25519 {
			return fmt.Errorf("key %.8s is not an ed25519 key", id)
		}
		want, err := KeyID(raw)
		if err != nil || want != id || hex.EncodeToString(raw) != k.Value.Public {
			return fmt.Errorf("key %.8s does not stand under its own id", id)
		}
	}
	return nil
}

// check requires a threshold from 1 to the number of distinct keys, all of them known.
func (r roleShape) check(name string, keys map[string]keyShape) error {
	if r.Threshold < 1 || r.Threshold > len(r.KeyIDs) {
		return fmt.Errorf("role %s: threshold %d of %d keys; it is from 1 to the number of keys", name, r.Threshold, len(r.KeyIDs))
	}
	for i, id := range r.KeyIDs {
		if slices.Contains(r.KeyIDs[:i], id) {
			return fmt.Errorf("role %s: key %.8s stands twice", name, id)
		}
		if _, ok := keys[id]; !ok {
			return fmt.Errorf("role %s: key %.8s is not there", name, id)
		}
	}
	return nil
}

// readRoot reads a root file and checks what stands in it; the signatures are go-tuf's.
func readRoot(text []byte) (rootShape, error) {
	s, err := read[rootShape](metadata.ROOT, text)
	if err != nil {
		return rootShape{}, err
	}
	r := s.Signed
	if err := checkKeys(r.Keys); err != nil {
		return r, err
	}
	names := []string{metadata.ROOT, metadata.SNAPSHOT, metadata.TARGETS, metadata.TIMESTAMP}
	if got := slices.Sorted(maps.Keys(r.Roles)); !slices.Equal(got, names) {
		return r, fmt.Errorf("roles are %v; they are %v", got, names)
	}
	used := map[string]bool{}
	for _, name := range names {
		if err := r.Roles[name].check(name, r.Keys); err != nil {
			return r, err
		}
		for _, id := range r.Roles[name].KeyIDs {
			if name != metadata.TIMESTAMP {
				used[id] = true
			}
		}
	}
	// The publisher's key lies on a machine that runs by itself (DESIGN 6.18).
	for _, id := range r.Roles[metadata.TIMESTAMP].KeyIDs {
		if used[id] {
			return r, fmt.Errorf("the timestamp's key %.8s signs for another role too; it may sign nothing else", id)
		}
	}
	if r.Consistent || r.Offline < 1 || r.Offline > MaxOfflineDays {
		return r, fmt.Errorf("consistent_snapshot is false, and x-primum-offline-days from 1 to %d", MaxOfflineDays)
	}
	return r, nil
}

// KeyID is the name that TUF gives to an ed25519 key.
func KeyID(key ed25519.PublicKey) (string, error) {
	k, err := metadata.KeyFromPublicKey(key)
	if err != nil {
		return "", err
	}
	return k.ID()
}
