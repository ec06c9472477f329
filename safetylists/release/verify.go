package release

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

const (
	timestampFile = "timestamp.json"
	snapshotFile  = "snapshot.json"
	targetsFile   = "targets.json"
)

func rootFile(version int64) string { return fmt.Sprintf("%d.root.json", version) }

// walk is one verification of a bundle, from root to targets.
type walk struct {
	bundle  Bundle
	memory  Memory // the next one
	at      time.Time
	trusted *trustedmetadata.TrustedMetadata
	expires time.Time

	issued     time.Time
	delegation delegationsShape
	shapes     map[string]targetsShape // by role, delegated ones
	accepted   map[string][]byte       // targets by path
	findings   []string
}

func fail(name string, err error) error {
	var expired *metadata.ErrExpiredMetadata
	if errors.As(err, &expired) {
		return fmt.Errorf("%s: %w", name, ErrExpired)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// trusted begins the walk at the newest root that was seen.
func (m Memory) trusted() (*trustedmetadata.TrustedMetadata, error) {
	if _, err := readRoot(m.Root); err != nil {
		return nil, err
	}
	t, err := trustedmetadata.New(m.Root)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Open is [Open] of a bundle that was decoded.
func (b Bundle) Open(m Memory, at time.Time) (*Release, Memory, error) {
	w := &walk{bundle: b, memory: m.copy(), at: at, shapes: map[string]targetsShape{}, accepted: map[string][]byte{}}
	kept := m.copy()
	if err := b.check(); err != nil {
		return nil, kept, err
	}
	if err := w.roots(); err != nil {
		kept.Root = w.memory.Root
		return nil, kept, err
	}
	kept.Root = w.memory.Root
	r := &Release{}
	for _, step := range []func(*Release) error{w.top, w.delegated, w.files, w.compile} {
		if err := step(r); err != nil {
			return nil, kept, err
		}
	}
	r.Findings = w.findings
	return r, w.memory, nil
}

// roots goes from the newest known root to the newest one of the bundle, one version at a time.
func (w *walk) roots() error {
	var err error
	if w.trusted, err = w.memory.trusted(); err != nil {
		return fmt.Errorf("the root that is believed: %w", err)
	}
	w.trusted.RefTime = w.at
	last := w.trusted.Root.Signed.Version
	if again, ok := w.bundle.Metadata[rootFile(last)]; ok && sum(again) != sum(w.memory.Root) {
		return fmt.Errorf("%s: it is another one than the root that is believed", rootFile(last))
	}
	for {
		name := rootFile(last + 1)
		text, ok := w.bundle.Metadata[name]
		if !ok {
			break
		}
		if _, err := readRoot(text); err != nil {
			return fail(name, err)
		}
		if _, err := w.trusted.UpdateRoot(text); err != nil {
			return fail(name, err)
		}
		w.memory.Root = text
		last++
	}
	for name := range w.bundle.Metadata {
		number, ok := strings.CutSuffix(name, ".root.json")
		if v, err := strconv.ParseInt(number, 10, 64); ok && (err != nil || v > last) {
			return fmt.Errorf("%s: there is no root of version %d before it", name, last+1)
		}
	}
	return nil
}

// top verifies timestamp, snapshot and the top-level targets.
func (w *walk) top(r *Release) error {
	root, err := readRoot(w.memory.Root)
	if err != nil {
		return err
	}
	ts, err := read[timestampShape](metadata.TIMESTAMP, w.bundle.Metadata[timestampFile])
	if err != nil {
		return fail(timestampFile, err)
	}
	if got := slices.Collect(maps.Keys(ts.Signed.Meta)); !slices.Equal(got, []string{snapshotFile}) {
		return fmt.Errorf("%s: it names %v and not %s alone", timestampFile, got, snapshotFile)
	}
	if _, err := w.trusted.UpdateTimestamp(w.bundle.Metadata[timestampFile]); err != nil {
		return fail(timestampFile, err)
	}
	if err := w.memory.see(metadata.TIMESTAMP, ts.Signed.Version, w.bundle.Metadata[timestampFile]); err != nil {
		return err
	}
	w.issued = ts.Signed.Issued
	if w.issued.After(w.at.Add(skew)) {
		return fmt.Errorf("%s: issued at %s, which is still to come; check the clock", timestampFile, w.issued.Format(time.RFC3339))
	}
	sn, err := read[snapshotShape](metadata.SNAPSHOT, w.bundle.Metadata[snapshotFile])
	if err != nil {
		return fail(snapshotFile, err)
	}
	if _, err := w.trusted.UpdateSnapshot(w.bundle.Metadata[snapshotFile], false); err != nil {
		return fail(snapshotFile, err)
	}
	if err := w.memory.see(metadata.SNAPSHOT, sn.Signed.Version, w.bundle.Metadata[snapshotFile]); err != nil {
		return err
	}
	tg, err := w.readTargets(metadata.TARGETS)
	if err != nil {
		return err
	}
	if _, ok := sn.Signed.Meta[targetsFile]; !ok {
		return fmt.Errorf("%s: it does not name %s", snapshotFile, targetsFile)
	}
	if _, err := w.trusted.UpdateTargets(w.bundle.Metadata[targetsFile]); err != nil {
		return fail(targetsFile, err)
	}
	if err := w.memory.see(metadata.TARGETS, tg.Version, w.bundle.Metadata[targetsFile]); err != nil {
		return err
	}
	if got := slices.Collect(maps.Keys(tg.Targets)); !slices.Equal(got, []string{MakersPath}) {
		return fmt.Errorf("%s: it signs %v and not %s alone", targetsFile, got, MakersPath)
	}
	if tg.Delegations == nil {
		return fmt.Errorf("%s: it delegates to nobody", targetsFile)
	}
	if err := tg.Delegations.check(root); err != nil {
		return fail(targetsFile, err)
	}
	w.delegation = *tg.Delegations
	want := []string{targetsFile}
	for _, d := range w.delegation.Roles {
		want = append(want, d.Name+".json")
	}
	if got := slices.Sorted(maps.Keys(sn.Signed.Meta)); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		return fmt.Errorf("%s: it names %v; the delegations are %v", snapshotFile, got, want)
	}
	for name := range w.bundle.Metadata {
		if !slices.Contains(want, name) && name != timestampFile && name != snapshotFile && !strings.HasSuffix(name, ".root.json") {
			return fmt.Errorf("metadata %s: no role is delegated to it", name)
		}
	}
	w.expires = w.issued.Add(time.Duration(min(root.Offline, MaxOfflineDays)) * 24 * time.Hour)
	for _, t := range []time.Time{root.Expires, ts.Signed.Expires, sn.Signed.Expires, tg.Expires} {
		w.end(t)
	}
	r.Number, r.Timestamp, r.Issued = uint64(sn.Signed.Version), uint64(ts.Signed.Version), w.issued
	r.Roles = append(r.Roles, describe(metadata.ROOT, root.header, root.Roles[metadata.ROOT], nil),
		describe(metadata.TARGETS, tg.header, root.Roles[metadata.TARGETS], []string{MakersPath}),
		describe(metadata.SNAPSHOT, sn.Signed.header, root.Roles[metadata.SNAPSHOT], nil),
		describe(metadata.TIMESTAMP, ts.Signed.header, root.Roles[metadata.TIMESTAMP], nil))
	return nil
}

func describe(name string, h header, of roleShape, files []string) Role {
	return Role{Name: name, Version: h.Version, Expires: h.Expires, Keys: of.KeyIDs, Threshold: of.Threshold, Files: files}
}

func (w *walk) end(t time.Time) {
	if t.Before(w.expires) {
		w.expires = t
	}
}

func (w *walk) readTargets(role string) (targetsShape, error) {
	text, ok := w.bundle.Metadata[role+".json"]
	if !ok {
		return targetsShape{}, fmt.Errorf("%s.json is missing", role)
	}
	s, err := read[targetsShape](metadata.TARGETS, text)
	if err != nil {
		return targetsShape{}, fail(role+".json", err)
	}
	return s.Signed, nil
}

// check requires the delegations in their one order: the board before every maker, the site last, each
// over its own folder alone and terminating. So no order of them can serve one role's file as another's
// (as in CVE-2024-47534).
func (d delegationsShape) check(root rootShape) error {
	if err := checkKeys(d.Keys); err != nil {
		return err
	}
	if len(d.Roles) < 2 || len(d.Roles) > maxRoles || d.Roles[0].Name != Board || d.Roles[len(d.Roles)-1].Name != Site {
		return fmt.Errorf("delegations: the first is %s and the last %s", Board, Site)
	}
	for i, r := range d.Roles {
		switch {
		case r.Name == Board, r.Name == Site:
		case !makerForm.MatchString(r.Name):
			return fmt.Errorf("delegations: %q is not a name of a maker", r.Name)
		}
		if i > 1 && i < len(d.Roles)-1 && d.Roles[i-1].Name >= r.Name || i > 0 && r.Name == Board || i < len(d.Roles)-1 && r.Name == Site {
			return fmt.Errorf("delegations: role %s is not in its place, or stands twice", r.Name)
		}
		if !r.Terminating || !slices.Equal(r.Paths, []string{pattern(r.Name)}) {
			return fmt.Errorf("delegations: role %s has paths %v; it has %s alone, terminating", r.Name, r.Paths, pattern(r.Name))
		}
		if err := r.check(r.Name, d.Keys); err != nil {
			return err
		}
		for _, id := range r.KeyIDs {
			if slices.Contains(root.Roles[metadata.TIMESTAMP].KeyIDs, id) {
				return fmt.Errorf("role %s: the timestamp's key may sign nothing else", r.Name)
			}
		}
	}
	return nil
}

func folder(role string) string {
	if role == Board || role == Site {
		return role + "/"
	}
	return "manufacturers/" + role + "/"
}

func pattern(role string) string { return folder(role) + "*" }

// own reports whether a path lies in the role's own folder, where * does not cross a slash.
func own(role, path string) bool {
	rest, ok := strings.CutPrefix(path, folder(role))
	return ok && rest != "" && !strings.Contains(rest, "/")
}

// delegated verifies each role below targets. One that has ended counts all the same: what it allows
// ends with it, and what it denies does not.
func (w *walk) delegated(r *Release) error {
	w.trusted.RefTime = time.Time{}
	for _, d := range w.delegation.Roles {
		s, err := w.readTargets(d.Name)
		if err != nil {
			return err
		}
		if s.Delegations != nil {
			return fmt.Errorf("%s.json: it delegates further", d.Name)
		}
		text := w.bundle.Metadata[d.Name+".json"]
		if _, err := w.trusted.UpdateDelegatedTargets(text, d.Name, metadata.TARGETS); err != nil {
			return fail(d.Name+".json", err)
		}
		if err := w.memory.see(d.Name, s.Version, text); err != nil {
			return err
		}
		if s.Next != nil {
			if err := s.Next.check(); err != nil {
				return fmt.Errorf("%s.json: x-primum-next: %w", d.Name, err)
			}
		}
		if d.Name == Board || d.Name == Site {
			w.end(s.Expires)
		}
		w.shapes[d.Name] = s
		r.Roles = append(r.Roles, describe(d.Name, s.header, d.roleShape, slices.Sorted(maps.Keys(s.Targets))))
	}
	if !w.at.Before(w.expires) {
		return fmt.Errorf("%w on %s", ErrExpired, w.expires.Format(time.DateTime))
	}
	return nil
}

// files takes each target that a role signed in its own folder. One in a folder of another role is left
// out, and said.
func (w *walk) files(r *Release) error {
	named := map[string]bool{}
	take := func(role, path string, of *metadata.TargetFiles) error {
		text, ok := w.bundle.Targets[path]
		if !ok {
			return fmt.Errorf("target %s of %s is missing", path, role)
		}
		if err := of.VerifyLengthHashes(text); err != nil {
			return fmt.Errorf("target %s of %s: %w", path, role, err)
		}
		w.accepted[path] = text
		return nil
	}
	named[MakersPath] = true
	if err := take(metadata.TARGETS, MakersPath, w.trusted.Targets[metadata.TARGETS].Signed.Targets[MakersPath]); err != nil {
		return err
	}
	for _, d := range w.delegation.Roles {
		signed := w.trusted.Targets[d.Name].Signed.Targets
		for _, path := range slices.Sorted(maps.Keys(signed)) {
			named[path] = true
			if err := checkPath(path); err != nil || !own(d.Name, path) || d.Name == Site && path != SitePath {
				w.find("%s signed %q, which is not in its own folder %s; it counts for nothing", d.Name, path, folder(d.Name))
				continue
			}
			if err := take(d.Name, path, signed[path]); err != nil {
				return err
			}
		}
	}
	for path := range w.bundle.Targets {
		if !named[path] {
			return fmt.Errorf("target %s: nobody signed it", path)
		}
	}
	h := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(w.accepted)) {
		fmt.Fprintf(h, "%s %s\n", sum(w.accepted[path]), path)
	}
	h.Sum(r.Digest[:0])
	r.Expires = w.expires
	return nil
}

func (w *walk) find(format string, args ...any) {
	w.findings = append(w.findings, fmt.Sprintf(format, args...))
}

func (d delegatedShape) authority(keys map[string]keyShape) Authority {
	a := Authority{Threshold: d.Threshold}
	for _, id := range d.KeyIDs {
		a.Keys = append(a.Keys, keys[id].Value.Public)
	}
	slices.Sort(a.Keys)
	return a
}

func digestOf(d [32]byte) string { return hex.EncodeToString(d[:]) }
