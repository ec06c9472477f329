package release

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Accept takes what a role has signed in a copy of the repository, as a manufacturer sends it back: its
// metadata and its files, and nothing else of the copy. It fails, and changes nothing, unless the keys to
// which this repository has delegated the role have signed it, the files are those that were signed, and
// each of them is within what the role may say.
func (b Bundle) Accept(role string, from Bundle, at time.Time) error {
	name := role + ".json"
	targets, err := read[targetsShape](metadata.TARGETS, b.Metadata[targetsFile])
	if err != nil {
		return fail(targetsFile, err)
	}
	var to *delegatedShape
	if d := targets.Signed.Delegations; d != nil {
		if i := slices.IndexFunc(d.Roles, func(r delegatedShape) bool { return r.Name == role }); i >= 0 {
			to = &d.Roles[i]
		}
	}
	text := from.Metadata[name]
	switch {
	case to == nil:
		return fmt.Errorf("accept %s: nobody has delegated this role", role)
	case text == nil:
		return fmt.Errorf("accept %s: %s is not in what came back", role, name)
	}
	answer, err := read[targetsShape](metadata.TARGETS, text)
	if err != nil {
		return fail(name, err)
	}
	if have := b.Metadata[name]; have != nil {
		before, err := read[targetsShape](metadata.TARGETS, have)
		if err != nil {
			return fail(name, err)
		}
		if answer.Signed.Version <= before.Signed.Version && sum(have) != sum(text) || sum(have) == sum(text) {
			return fmt.Errorf("accept %s: version %d is not newer than the one that is here", role, answer.Signed.Version)
		}
	}
	if !at.Before(answer.Signed.Expires) {
		return fmt.Errorf("accept %s: what was signed ended on %s", role, answer.Signed.Expires.Format(time.DateOnly))
	}
	md, err := metadata.Targets().FromBytes(text)
	if err != nil {
		return fail(name, err)
	}
	if a := to.authority(targets.Signed.Delegations.Keys); !a.signed(role, md) {
		return fmt.Errorf("accept %s: it is not signed by %d of the keys that the role was delegated to", role, to.Threshold)
	}
	staged := Bundle{Metadata: b.Metadata, Targets: maps.Clone(b.Targets)}
	maps.DeleteFunc(staged.Targets, func(path string, _ []byte) bool { return own(role, path) })
	paths := slices.Sorted(maps.Keys(answer.Signed.Targets))
	for _, path := range paths {
		t, file := answer.Signed.Targets[path], from.Targets[path]
		switch {
		case checkPath(path) != nil || !own(role, path):
			return fmt.Errorf("accept %s: it signs %s, which is not its own", role, path)
		case int64(len(file)) != t.Length || hexSum(file) != t.Hashes.SHA256:
			return fmt.Errorf("accept %s: %s is not the file that was signed", role, path)
		}
		staged.Targets[path] = file
	}
	if err := staged.lint(role, paths); err != nil {
		return fmt.Errorf("accept %s: %w", role, err)
	}
	maps.DeleteFunc(b.Targets, func(path string, _ []byte) bool { return own(role, path) })
	maps.Copy(b.Targets, staged.Targets)
	b.Metadata[name] = text
	return nil
}
