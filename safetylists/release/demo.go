package release

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	list "primum/safetylists"
)

// Staff is every key of a release in one hand: for demonstrations and tests. In earnest each person
// makes a key of their own, and no machine has two.
type Staff struct{ seed [32]byte }

// NewStaff makes the keys that follow from a secret.
func NewStaff(secret []byte) Staff { return Staff{sha256.Sum256(secret)} }

// Key is a key of a role; roles that need several have those from 0 on.
func (s Staff) Key(role string, n int) ed25519.PrivateKey {
	seed := sha256.Sum256(fmt.Appendf(s.seed[:], " %s %d", role, n))
	return ed25519.NewKeyFromSeed(seed[:])
}

func (s Staff) signers(role string, keys, threshold int) Signers {
	out := Signers{Threshold: threshold}
	for n := range keys {
		out.Keys = append(out.Keys, s.Key(role, n).Public().(ed25519.PublicKey))
	}
	return out
}

// roles are the four of a root, 2 of 3 for root itself.
func (s Staff) roles() map[string]Signers {
	return map[string]Signers{metadata.ROOT: s.signers(metadata.ROOT, 3, 2), metadata.TARGETS: s.signers(metadata.TARGETS, 1, 1),
		metadata.SNAPSHOT: s.signers(metadata.SNAPSHOT, 1, 1), metadata.TIMESTAMP: s.signers(metadata.TIMESTAMP, 1, 1)}
}

// rootUntil is when a root of Staff ends, far enough that it does not depend on the day.
func rootUntil() time.Time { return time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC) }

// Root is the root of the staff's releases.
func (s Staff) Root() ([]byte, error) {
	b := Bundle{Metadata: map[string][]byte{}}
	if err := b.StageRoot(s.roles(), rootUntil()); err != nil {
		return nil, err
	}
	for n := range 2 {
		if _, _, err := b.Sign(metadata.ROOT, s.Key(metadata.ROOT, n), false); err != nil {
			return nil, err
		}
	}
	return b.Root(), nil
}

// Source is what goes into a release that one Staff makes at one go.
type Source struct {
	Number    uint64
	Timestamp uint64 // version; 0: Number
	Issued    time.Time
	Expires   time.Time         // of the timestamp
	Files     map[string][]byte // list files by name
	Site      []byte            // site file
}

// Documents is the role of those who read what manufacturers publish: its files allow what a document names,
// and a site signs off each. It is delegated like a manufacturer, for the names that makers.yaml gives it;
// a manufacturer who gets a role of its own takes its name over.
const Documents = "documents"

// Make makes a whole repository of new metadata, every version Number: what fictional makers state goes to
// manufacturers of these names, what public documents allow to Documents, everything else to the safety
// board.
func (s Source) Make(staff Staff) (Bundle, error) {
	if s.Number == 0 || !s.Issued.Before(s.Expires) {
		return Bundle{}, fmt.Errorf("make release: it needs a number above 0 and an end after its issue")
	}
	root, err := staff.Root()
	if err != nil {
		return Bundle{}, fmt.Errorf("make release: %w", err)
	}
	b := Bundle{Metadata: map[string][]byte{rootFile(1): root}, Targets: map[string][]byte{SitePath: s.Site}}
	makers := map[string]*Maker{}
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		if err := b.place(name, s.Files[name], makers); err != nil {
			return Bundle{}, fmt.Errorf("make release: %w", err)
		}
	}
	if err := s.sign(b, staff, makers); err != nil {
		return Bundle{}, fmt.Errorf("make release: %w", err)
	}
	m, err := NewMemory(root)
	if err != nil {
		return Bundle{}, fmt.Errorf("make release: %w", err)
	}
	if _, _, err := b.Open(m, s.Issued); err != nil {
		return Bundle{}, fmt.Errorf("make release: %w", err)
	}
	return b, nil
}

// place puts a list file into the folder of its role.
func (b Bundle) place(name string, text []byte, makers map[string]*Maker) error {
	f, err := list.Load(name, text)
	if err != nil {
		return err
	}
	if !f.Lab && !slices.ContainsFunc(f.Statements, func(st *list.Statement) bool { return st.Type == list.Allow }) {
		b.Targets[folder(Board)+name] = text
		return nil
	}
	slug := MakerName(f.Maker)
	if !f.Lab {
		slug = Documents
	}
	m := makers[slug]
	if m == nil {
		m = &Maker{Name: slug, Spellings: []string{f.Maker}}
		makers[slug] = m
	}
	for _, st := range f.Statements {
		for _, n := range st.Manufacturers() {
			if !m.speaksFor(n) {
				m.Spellings = append(m.Spellings, n)
			}
		}
		for _, oid := range st.ObjectIDs() {
			parts := strings.SplitN(oid.String(), ".", 8)
			if arc := strings.Join(parts[:min(7, len(parts))], "."); !slices.Contains(m.Arcs, arc) {
				m.Arcs = append(m.Arcs, arc)
			}
		}
	}
	b.Targets[folder(slug)+name] = text
	return nil
}

// MakerName makes the name of a role from that of a manufacturer.
func MakerName(maker string) string {
	var out strings.Builder
	for _, r := range strings.ToLower(maker) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			out.WriteRune(r)
		} else if n := out.Len(); n > 0 && out.String()[n-1] != '-' {
			out.WriteByte('-')
		}
	}
	return strings.Trim(out.String(), "-")
}

func (s Source) sign(b Bundle, staff Staff, makers map[string]*Maker) error {
	until := s.Issued.AddDate(1, 0, 0)
	who := []Maker{}
	roles := []string{Board, Site}
	for _, slug := range slices.Sorted(maps.Keys(makers)) {
		who = append(who, *makers[slug])
		roles = append(roles, slug)
	}
	var err error
	if b.Targets[MakersPath], err = WriteMakers(who); err != nil {
		return err
	}
	for _, role := range roles {
		if err := b.Delegate(role, staff.signers(role, 1, 1), until); err != nil {
			return err
		}
	}
	for _, role := range append(roles, metadata.TARGETS) {
		if _, err := b.Stage(role, until, true, nil); err != nil {
			return err
		}
		if err := b.number(role, int64(s.Number)); err != nil {
			return err
		}
		if _, _, err := b.Sign(role, staff.Key(role, 0), false); err != nil {
			return err
		}
	}
	if _, err := b.StageSnapshot(until, true); err != nil {
		return err
	}
	if err := b.number(metadata.SNAPSHOT, int64(s.Number)); err != nil {
		return err
	}
	if _, _, err := b.Sign(metadata.SNAPSHOT, staff.Key(metadata.SNAPSHOT, 0), false); err != nil {
		return err
	}
	if err := b.StageTimestamp(s.Issued, s.Expires); err != nil {
		return err
	}
	version := s.Timestamp
	if version == 0 {
		version = s.Number
	}
	if err := b.number(metadata.TIMESTAMP, int64(version)); err != nil {
		return err
	}
	_, _, err = b.Sign(metadata.TIMESTAMP, staff.Key(metadata.TIMESTAMP, 0), false)
	return err
}

// number gives unsigned metadata a version of one's choice.
func (b Bundle) number(role string, version int64) error {
	name := role + ".json"
	switch role {
	case metadata.SNAPSHOT:
		s, err := read[snapshotShape](role, b.Metadata[name])
		if err != nil {
			return err
		}
		s.Signed.Version = version
		return write(b, name, s.Signed)
	case metadata.TIMESTAMP:
		s, err := read[timestampShape](role, b.Metadata[name])
		if err != nil {
			return err
		}
		s.Signed.Version = version
		return write(b, name, s.Signed)
	default:
		s, err := read[targetsShape](metadata.TARGETS, b.Metadata[name])
		if err != nil {
			return err
		}
		s.Signed.Version = version
		return write(b, name, s.Signed)
	}
}

// Make is [Source.Make] and [Bundle.Encode].
func Make(s Source, staff Staff) ([]byte, error) {
	b, err := s.Make(staff)
	if err != nil {
		return nil, err
	}
	return b.Encode()
}
