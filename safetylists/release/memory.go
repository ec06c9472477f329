package release

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Memory is what a holder of releases has seen: the newest root, the newest version of every role, and
// the denials that nobody but their own signers may lift. It begins with [NewMemory], and [Open]
// returns the next one, which has to be on disk before the release is used.
type Memory struct {
	Root        []byte               `json:"root"`
	Seen        map[string]Seen      `json:"seen"`        // by role
	Authorities map[string]Authority `json:"authorities"` // by role: whose word lifts its denials
	Holds       []Hold               `json:"holds"`
	Files       map[string]string    `json:"files"` // list files that holds are from, by SHA-256
}

// Seen is the newest metadata of one role that was ever accepted.
type Seen struct {
	Version int64  `json:"version"`
	SHA256  string `json:"sha256"`
}

// Authority is a set of keys and how many of them have to sign.
type Authority struct {
	Keys      []string `json:"keys"` // ed25519 public keys, hex, ordered
	Threshold int      `json:"threshold"`
}

// Hold is one refusing statement that was accepted, and under whose signatures.
type Hold struct {
	Role      string    `json:"role"`
	Path      string    `json:"path"`
	Statement string    `json:"statement"`
	Digest    string    `json:"digest"` // of the statement
	File      string    `json:"file"`   // key into Files
	Authority Authority `json:"authority"`
}

const maxHolds = 50000

// NewMemory begins with a root that a person handed over. It has to be signed by its own threshold.
func NewMemory(root []byte) (Memory, error) {
	m := Memory{Root: root, Seen: map[string]Seen{}, Authorities: map[string]Authority{}, Holds: []Hold{}, Files: map[string]string{}}
	if _, err := m.trusted(); err != nil {
		return Memory{}, fmt.Errorf("list root: %w", err)
	}
	return m, nil
}

// ReadMemory reads what [Memory.Encode] wrote.
func ReadMemory(b []byte) (Memory, error) {
	var m Memory
	if err := strict(b, &m); err != nil {
		return Memory{}, fmt.Errorf("memory of releases: %w", err)
	}
	if m.Seen == nil || m.Authorities == nil || m.Files == nil {
		return Memory{}, fmt.Errorf("memory of releases: it is not whole")
	}
	if _, err := m.trusted(); err != nil {
		return Memory{}, fmt.Errorf("memory of releases: %w", err)
	}
	for _, h := range m.Holds {
		if sum(m.Files[h.File]) != h.File {
			return Memory{}, fmt.Errorf("memory of releases: the file of %s is not there", h.Statement)
		}
	}
	return m, nil
}

// Encode writes the memory.
func (m Memory) Encode() ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write memory of releases: %w", err)
	}
	return b, nil
}

// RootVersion is the version of the newest root.
func (m Memory) RootVersion() int64 {
	r, err := readRoot(m.Root)
	if err != nil {
		return 0
	}
	return r.Version
}

func (m Memory) copy() Memory {
	m.Seen, m.Authorities, m.Files = maps.Clone(m.Seen), maps.Clone(m.Authorities), maps.Clone(m.Files)
	m.Holds = slices.Clone(m.Holds)
	return m
}

func sum[T string | []byte](b T) string {
	s := sha256.Sum256([]byte(b))
	return hex.EncodeToString(s[:])
}

// see refuses metadata of a role that is older than one seen before, or another one of the same version.
func (m Memory) see(role string, version int64, text []byte) error {
	before := m.Seen[role]
	switch now := (Seen{version, sum(text)}); {
	case version < before.Version:
		return fmt.Errorf("%s version %d is older than %d, which was seen before", role, version, before.Version)
	case version == before.Version && now.SHA256 != before.SHA256:
		return fmt.Errorf("two different %s have version %d", role, version)
	default:
		m.Seen[role] = now
	}
	return nil
}

// signed reports whether the threshold of the authority's keys has signed the metadata. The check is
// go-tuf's, of a delegation made for it.
func (a Authority) signed(role string, md *metadata.Metadata[metadata.TargetsType]) bool {
	if md == nil || a.check() != nil {
		return false
	}
	d := &metadata.Delegations{Keys: map[string]*metadata.Key{}}
	of := metadata.DelegatedRole{Name: role, Threshold: a.Threshold, Terminating: true}
	for _, text := range a.Keys {
		raw, _ := hex.DecodeString(text)
		id, err := KeyID(raw)
		if err != nil {
			return false
		}
		d.Keys[id] = &metadata.Key{Type: metadata.KeyTypeEd25519, Scheme: metadata.KeySchemeEd25519, Value: metadata.KeyVal{PublicKey: text}}
		of.KeyIDs = append(of.KeyIDs, id)
	}
	d.Roles = []metadata.DelegatedRole{of}
	delegator := metadata.Targets(md.Signed.Expires)
	delegator.Signed.Delegations = d
	return delegator.VerifyDelegate(role, md) == nil
}

func (a Authority) check() error {
	if a.Threshold < 1 || a.Threshold > len(a.Keys) || !slices.IsSorted(a.Keys) {
		return fmt.Errorf("threshold %d of %d keys, in order", a.Threshold, len(a.Keys))
	}
	for i, text := range a.Keys {
		if raw, err := hex.DecodeString(text); err != nil || len(raw) != 32 || i > 0 && a.Keys[i-1] == text {
			return fmt.Errorf("%q is not a key, or stands twice", text)
		}
	}
	return nil
}
