package release

import (
	"crypto"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	list "primum/safetylists"
)

// Signers are the keys of a role, and how many of them have to sign.
type Signers struct {
	Keys      []ed25519.PublicKey
	Threshold int
}

// Authority is the same as it is remembered, and as a maker names who decides next.
func (s Signers) Authority() Authority {
	a := Authority{Threshold: s.Threshold}
	for _, k := range s.Keys {
		a.Keys = append(a.Keys, hex.EncodeToString(k))
	}
	slices.Sort(a.Keys)
	return a
}

func (s Signers) shape(into map[string]keyShape) (roleShape, error) {
	r := roleShape{Threshold: s.Threshold}
	for _, k := range s.Keys {
		if len(k) != ed25519.PublicKeySize {
			return r, fmt.Errorf("a key is not ed25519")
		}
		id, err := KeyID(k)
		if err != nil {
			return r, err
		}
		var one keyShape
		one.Type, one.Scheme, one.Value.Public = metadata.KeyTypeEd25519, metadata.KeySchemeEd25519, hex.EncodeToString(k)
		into[id] = one
		r.KeyIDs = append(r.KeyIDs, id)
	}
	return r, nil
}

func hexSum(b []byte) hexDigest { return hexDigest(sum(b)) }

func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// write puts unsigned metadata into the bundle.
func write[T any](b Bundle, name string, of T) error {
	text, err := json.MarshalIndent(signed[T]{of, []oneSignature{}}, "", "\t")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	b.Metadata[name] = append(text, '\n')
	return nil
}

func head(kind string, version int64, expires time.Time) header {
	return header{kind, metadata.SPECIFICATION_VERSION, version, second(expires)}
}

// StageRoot writes a root of the next version, unsigned. Roles are root, targets, snapshot and timestamp.
func (b Bundle) StageRoot(roles map[string]Signers, expires time.Time) error {
	version := b.newestRoot() + 1
	r := rootShape{header: head(metadata.ROOT, version, expires), Keys: map[string]keyShape{}, Roles: map[string]roleShape{}, Offline: MaxOfflineDays}
	for name, s := range roles {
		one, err := s.shape(r.Keys)
		if err != nil {
			return fmt.Errorf("role %s: %w", name, err)
		}
		r.Roles[name] = one
	}
	name := rootFile(version)
	if err := write(b, name, r); err != nil {
		return err
	}
	if _, err := readRoot(b.Metadata[name]); err != nil {
		delete(b.Metadata, name)
		return err
	}
	return nil
}

func (b Bundle) newestRoot() int64 {
	last := int64(0)
	for b.Metadata[rootFile(last+1)] != nil {
		last++
	}
	return last
}

// Root returns the newest root of the bundle, nil if there is none. Nobody has verified it.
func (b Bundle) Root() []byte { return b.Metadata[rootFile(b.newestRoot())] }

// next is the version of a role after the one that the snapshot names.
func (b Bundle) next(role string) int64 {
	s, err := read[snapshotShape](metadata.SNAPSHOT, b.Metadata[snapshotFile])
	if err != nil {
		return 1
	}
	return s.Signed.Meta[role+".json"].Version + 1
}

// Delegate gives a role of the top-level targets to signers, and writes targets.json unsigned. Who has
// the role already is replaced.
func (b Bundle) Delegate(role string, to Signers, expires time.Time) error {
	t, err := b.stagedTargets(expires)
	if err != nil {
		return err
	}
	d := t.Delegations
	shape, err := to.shape(d.Keys)
	if err != nil {
		return fmt.Errorf("role %s: %w", role, err)
	}
	if err := shape.check(role, d.Keys); err != nil {
		return err
	}
	d.Roles = slices.DeleteFunc(d.Roles, func(r delegatedShape) bool { return r.Name == role })
	d.Roles = append(d.Roles, delegatedShape{Name: role, roleShape: shape, Terminating: true, Paths: []string{pattern(role)}})
	return b.putTargets(t)
}

// Undelegate takes a role from the top-level targets.
func (b Bundle) Undelegate(role string, expires time.Time) error {
	t, err := b.stagedTargets(expires)
	if err != nil {
		return err
	}
	t.Delegations.Roles = slices.DeleteFunc(t.Delegations.Roles, func(r delegatedShape) bool { return r.Name == role })
	delete(b.Metadata, role+".json")
	return b.putTargets(t)
}

func (b Bundle) stagedTargets(expires time.Time) (targetsShape, error) {
	t := targetsShape{header: head(metadata.TARGETS, b.next(metadata.TARGETS), expires), Targets: map[string]targetShape{}}
	if text := b.Metadata[targetsFile]; text != nil {
		s, err := read[targetsShape](metadata.TARGETS, text)
		if err != nil {
			return t, fail(targetsFile, err)
		}
		t.Targets, t.Delegations = s.Signed.Targets, s.Signed.Delegations
	}
	if t.Delegations == nil {
		t.Delegations = &delegationsShape{Keys: map[string]keyShape{}, Roles: []delegatedShape{}}
	}
	return t, nil
}

// putTargets writes targets.json with its delegations in their one order, and no key that nobody has.
func (b Bundle) putTargets(t targetsShape) error {
	rank := func(name string) string {
		return map[string]string{Board: "0", Site: "2"}[name] + map[bool]string{true: "1"}[name != Board && name != Site] + name
	}
	slices.SortFunc(t.Delegations.Roles, func(x, y delegatedShape) int { return strings.Compare(rank(x.Name), rank(y.Name)) })
	used := map[string]bool{}
	for _, r := range t.Delegations.Roles {
		for _, id := range r.KeyIDs {
			used[id] = true
		}
	}
	maps.DeleteFunc(t.Delegations.Keys, func(id string, _ keyShape) bool { return !used[id] })
	return write(b, targetsFile, t)
}

// Stage writes the metadata of targets or of a delegated role anew if its files are others than those
// that it names, or if renew is set. What was signed before is unsigned then.
func (b Bundle) Stage(role string, expires time.Time, renew bool, next *Authority) (changed bool, err error) {
	want := map[string]targetShape{}
	for path, text := range b.Targets {
		if role == metadata.TARGETS && path == MakersPath || own(role, path) {
			want[path] = targetShape{Length: int64(len(text)), Hashes: hashesOnly{hexSum(text)}}
		}
	}
	if err := b.lint(role, slices.Sorted(maps.Keys(want))); err != nil {
		return false, err
	}
	t := targetsShape{header: head(metadata.TARGETS, b.next(role), expires)}
	if text := b.Metadata[role+".json"]; text != nil {
		s, err := read[targetsShape](metadata.TARGETS, text)
		if err != nil {
			return false, fail(role+".json", err)
		}
		if !renew && next == nil && maps.Equal(s.Signed.Targets, want) {
			return false, nil
		}
		t.Delegations, t.Next = s.Signed.Delegations, s.Signed.Next
	}
	t.Targets = want
	if next != nil {
		t.Next = next
	}
	if role == metadata.TARGETS {
		if t.Delegations == nil {
			return false, fmt.Errorf("%s: it delegates to nobody yet", targetsFile)
		}
		return true, b.putTargets(t)
	}
	return true, write(b, role+".json", t)
}

// lint refuses to stage what would count for nothing.
func (b Bundle) lint(role string, paths []string) error {
	if role == metadata.TARGETS {
		_, err := ReadMakers(b.Targets[MakersPath])
		return err
	}
	all, err := ReadMakers(b.Targets[MakersPath])
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(m Maker) bool { return m.Name == role })
	switch {
	case role == Site:
		if !slices.Equal(paths, []string{SitePath}) {
			return fmt.Errorf("role %s signs %s alone, not %v", Site, SitePath, paths)
		}
		return nil
	case role != Board && i < 0:
		return fmt.Errorf("%s names no maker %s", MakersPath, role)
	}
	for _, path := range paths {
		f, err := list.Load(path, b.Targets[path])
		if err != nil {
			return err
		}
		for _, s := range f.Statements {
			why := ""
			if role != Board {
				why = all[i].outside(f, s)
			} else if s.Type == list.Allow {
				why = "the safety board never allows"
			}
			if why != "" {
				return fmt.Errorf("list %s: statement %s: %s", path, s.ID, why)
			}
		}
	}
	return nil
}

// Silent returns the delegated roles that have said nothing yet, in their order. A release has a word of each.
func (b Bundle) Silent() ([]string, error) {
	t, err := read[targetsShape](metadata.TARGETS, b.Metadata[targetsFile])
	if err != nil {
		return nil, fail(targetsFile, err)
	}
	var out []string
	if t.Signed.Delegations != nil {
		for _, d := range t.Signed.Delegations.Roles {
			if b.Metadata[d.Name+".json"] == nil {
				out = append(out, d.Name)
			}
		}
	}
	return out, nil
}

// StageSnapshot writes snapshot.json anew if a role's metadata is another one than it names.
func (b Bundle) StageSnapshot(expires time.Time, renew bool) (changed bool, err error) {
	s, version := snapshotShape{}, int64(0)
	if text := b.Metadata[snapshotFile]; text != nil {
		before, err := read[snapshotShape](metadata.SNAPSHOT, text)
		if err != nil {
			return false, fail(snapshotFile, err)
		}
		s, version = before.Signed, before.Signed.Version
	}
	want := map[string]metaShape{}
	for name, text := range b.Metadata {
		if name == snapshotFile || name == timestampFile || strings.HasSuffix(name, ".root.json") {
			continue
		}
		t, err := read[targetsShape](metadata.TARGETS, text)
		if err != nil {
			return false, fail(name, err)
		}
		want[name] = metaShape{int64(len(text)), hashesOnly{hexSum(text)}, t.Signed.Version}
	}
	if !renew && maps.Equal(s.Meta, want) {
		return false, nil
	}
	return true, write(b, snapshotFile, snapshotShape{head(metadata.SNAPSHOT, version+1, expires), want})
}

// StageTimestamp writes timestamp.json of the next version, issued now.
func (b Bundle) StageTimestamp(issued, expires time.Time) error {
	s, err := read[snapshotShape](metadata.SNAPSHOT, b.Metadata[snapshotFile])
	if err != nil {
		return fail(snapshotFile, err)
	}
	version := int64(1)
	if text := b.Metadata[timestampFile]; text != nil {
		before, err := read[timestampShape](metadata.TIMESTAMP, text)
		if err != nil {
			return fail(timestampFile, err)
		}
		version = before.Signed.Version + 1
	}
	text := b.Metadata[snapshotFile]
	return write(b, timestampFile, timestampShape{head(metadata.TIMESTAMP, version, expires),
		map[string]metaShape{snapshotFile: {int64(len(text)), hashesOnly{hexSum(text)}, s.Signed.Version}}, second(issued)})
}

// Sign adds one signature to the staged metadata of a role. It returns how many of the role's own keys
// have signed, and how many have to. A key that is not the role's is refused; with former set it is
// taken, as that of somebody who had the role before and agrees.
func (b Bundle) Sign(role string, key ed25519.PrivateKey, former bool) (have, need int, err error) {
	name := role + ".json"
	if role == metadata.ROOT {
		name = rootFile(b.newestRoot())
	}
	text := b.Metadata[name]
	if text == nil {
		return 0, 0, fmt.Errorf("sign %s: %s is not there", role, name)
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return 0, 0, fmt.Errorf("sign %s: the key is not ed25519", role)
	}
	id, err := KeyID(public)
	if err != nil {
		return 0, 0, fmt.Errorf("sign %s: %w", role, err)
	}
	of, err := b.signersOf(role)
	if err != nil {
		return 0, 0, fmt.Errorf("sign %s: %w", role, err)
	}
	if !former && !slices.Contains(of.KeyIDs, id) {
		return 0, 0, fmt.Errorf("sign %s: key %.8s is not one of its keys", role, id)
	}
	if at, ok := released(b, role); ok && at == sum(text) {
		return 0, 0, fmt.Errorf("sign %s: this version was released; another signature would make another file of the same version, so sign a new one (--renew)", role)
	}
	var out []byte
	var by []string
	switch role {
	case metadata.ROOT:
		out, by, err = addSignature(metadata.Root(), text, id, key)
	case metadata.SNAPSHOT:
		out, by, err = addSignature(metadata.Snapshot(), text, id, key)
	case metadata.TIMESTAMP:
		out, by, err = addSignature(metadata.Timestamp(), text, id, key)
	default:
		out, by, err = addSignature(metadata.Targets(), text, id, key)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("sign %s: %w", role, err)
	}
	b.Metadata[name] = out
	for _, k := range by {
		if slices.Contains(of.KeyIDs, k) {
			have++
		}
	}
	return have, of.Threshold, nil
}

// released is the digest of a role's metadata in the snapshot.
func released(b Bundle, role string) (string, bool) {
	s, err := read[snapshotShape](metadata.SNAPSHOT, b.Metadata[snapshotFile])
	if err != nil {
		return "", false
	}
	m, ok := s.Signed.Meta[role+".json"]
	return string(m.Hashes.SHA256), ok
}

// signersOf is who has a role as it is staged.
func (b Bundle) signersOf(role string) (roleShape, error) {
	root, err := readRoot(b.Root())
	if err != nil {
		return roleShape{}, fail("root", err)
	}
	if of, ok := root.Roles[role]; ok {
		return of, nil
	}
	t, err := read[targetsShape](metadata.TARGETS, b.Metadata[targetsFile])
	if err != nil {
		return roleShape{}, fail(targetsFile, err)
	}
	if d := t.Signed.Delegations; d != nil {
		for _, r := range d.Roles {
			if r.Name == role {
				return r.roleShape, nil
			}
		}
	}
	return roleShape{}, fmt.Errorf("nobody has this role")
}

func addSignature[T metadata.Roles](md *metadata.Metadata[T], text []byte, id string, key ed25519.PrivateKey) ([]byte, []string, error) {
	if _, err := md.FromBytes(text); err != nil {
		return nil, nil, err
	}
	md.Signatures = slices.DeleteFunc(md.Signatures, func(s metadata.Signature) bool { return s.KeyID == id })
	signer, err := signature.LoadSigner(key, crypto.Hash(0))
	if err != nil {
		return nil, nil, err
	}
	if _, err := md.Sign(signer); err != nil {
		return nil, nil, err
	}
	var by []string
	for _, s := range md.Signatures {
		by = append(by, s.KeyID)
	}
	out, err := md.ToBytes(true)
	return append(out, '\n'), by, err
}
