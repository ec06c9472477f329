package installed

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"primum/plugins/manifest"
	list "primum/safetylists"
)

// Admit lets a maker's plugins be installed. A maker that has a key here keeps it: another key is a decision
// of its own, Dismiss first.
func (s Store) Admit(maker string, key ed25519.PublicKey) error {
	if !manifest.ValidMaker(maker) {
		return fmt.Errorf("admit maker: %q is not 2 to 32 of a-z, 0-9 and -", maker)
	}
	if manifest.Protocol(maker) {
		return fmt.Errorf("admit maker: %q is a protocol, and no maker of its own", maker)
	}
	switch have, err := s.key(maker); {
	case err == nil && have.Equal(key):
		return nil
	case err == nil:
		return fmt.Errorf("admit maker: %s is admitted here with another key; dismiss it first", maker)
	case !errors.Is(err, ErrNotAdmitted):
		return fmt.Errorf("admit maker: %w; dismiss %s first", err, maker)
	}
	all, err := s.Makers()
	if err != nil {
		return fmt.Errorf("admit maker: %w", err)
	}
	for _, m := range all {
		if m.Why == nil && m.Key.Equal(key) {
			return fmt.Errorf("admit maker: this key is that of %s, which is admitted; a maker has a key of its own", m.Name)
		}
	}
	line, err := manifest.FormatKey(key, maker)
	if err != nil {
		return fmt.Errorf("admit maker: %w", err)
	}
	return s.place(filepath.Join(makersDir, maker+".pub"), func(path string) error { return writeFile(path, strings.NewReader(line)) })
}

// Dismiss takes a maker's key away. Its plugins do not start again.
func (s Store) Dismiss(maker string) error {
	if !manifest.ValidMaker(maker) {
		return fmt.Errorf("dismiss maker: %q is no maker's name", maker)
	}
	if _, err := s.key(maker); errors.Is(err, ErrNotAdmitted) {
		return fmt.Errorf("dismiss maker: %w: %q", ErrNotAdmitted, maker)
	}
	return os.Remove(filepath.Join(s.dir, makersDir, maker+".pub"))
}

// Maker is one admitted maker.
type Maker struct {
	Name string
	Key  ed25519.PublicKey
	Why  error // the key cannot be read; nothing of the maker starts
}

// Makers returns the admitted makers, in the order of their names.
func (s Store) Makers() ([]Maker, error) {
	paths, err := filepath.Glob(filepath.Join(s.dir, makersDir, "*.pub"))
	if err != nil {
		return nil, fmt.Errorf("read makers: %w", err)
	}
	var out []Maker
	for _, path := range paths { // Glob sorts
		m := Maker{Name: strings.TrimSuffix(filepath.Base(path), ".pub")}
		m.Key, m.Why = s.key(m.Name)
		out = append(out, m)
	}
	return out, nil
}

// Install copies a binary and its manifest under the hash of the binary, when an admitted maker has signed for
// that binary. The version before of the same maker's plugin goes; one that may be newer, that is another binary of the same
// version, or that is certified where this one is not, stays. What speaks a question that another plugin speaks already is refused: nobody could tell which of the two is asked.
func (s Store) Install(binary, manifestPath string) (manifest.Manifest, error) {
	m, err := s.verified(manifestPath)
	if err != nil {
		return manifest.Manifest{}, fmt.Errorf("install plugin: %w", err)
	}
	have, err := s.All()
	if err != nil {
		return manifest.Manifest{}, err
	}
	var older []Plugin
	for _, p := range have {
		switch {
		case certified(p) && m.Report == ([sha256.Size]byte{}) && p.Manifest.Maker == m.Maker && p.Manifest.Name == m.Name:
			return manifest.Manifest{}, fmt.Errorf("install plugin: %s %s is installed and certified, and this %s is certified by nobody; remove that first if it is meant", m.Name, p.Manifest.Version, m.Version)
		case p.SHA256 == m.SHA256:
		case p.Manifest.Maker == m.Maker && p.Manifest.Name == m.Name:
			if p.Why == nil && m.Version == p.Manifest.Version {
				return manifest.Manifest{}, fmt.Errorf("install plugin: another binary of %s %s is installed; remove that first if it is meant, and ask the maker why one version has two", m.Name, m.Version)
			}
			if p.Why == nil && !follows(m.Version, p.Manifest.Version) {
				return manifest.Manifest{}, fmt.Errorf("install plugin: %s %s is not certainly newer than %s, which is installed; remove that first if it is meant", m.Name, m.Version, p.Manifest.Version)
			}
			older = append(older, p)
		case slices.ContainsFunc(p.Manifest.Kinds, func(k string) bool { return slices.Contains(m.Kinds, k) }):
			return manifest.Manifest{}, fmt.Errorf("install plugin: %s %s speaks the same question; remove it first", p.Manifest.Name, p.Manifest.Version)
		}
	}
	err = s.place(hex.EncodeToString(m.SHA256[:]), func(path string) error {
		if err := os.Mkdir(path, 0o700); err != nil {
			return err
		}
		if err := copyFile(filepath.Join(path, binaryPrefix+m.Name), binary, m.SHA256); err != nil {
			return err
		}
		return copyManifest(filepath.Join(path, manifestFile), manifestPath)
	})
	if err != nil {
		return manifest.Manifest{}, fmt.Errorf("install plugin: %w", err)
	}
	for _, p := range older {
		if err := s.remove(p); err != nil {
			return manifest.Manifest{}, err
		}
	}
	return m, nil
}

// certified reports whether a maker has signed a report with a plugin. What was not verified says nothing.
func certified(p Plugin) bool { return p.Why == nil && p.Manifest.Report != ([sha256.Size]byte{}) }

// follows reports whether a version is certainly newer than another one. A signature does not age: who
// brings an older version back may want what was mended since (H-033).
func follows(version, before string) bool {
	from, err := list.ParseVersions(list.VersionsSpec{Compare: list.Dotted, From: before})
	return err == nil && from.Contains(version) == list.Yes
}

// Remove takes the plugins of a name away, or the one whose hash begins so, with at least 8 digits. It returns how many.
func (s Store) Remove(nameOrHash string) (int, error) {
	all, err := s.All()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, p := range all {
		if nameOrHash != "" && p.Manifest.Name == nameOrHash || len(nameOrHash) >= 8 && strings.HasPrefix(hex.EncodeToString(p.SHA256[:]), nameOrHash) {
			if err := s.remove(p); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

func (s Store) remove(p Plugin) error {
	// Out of sight first: half of a plugin is none.
	gone := filepath.Join(s.dir, ".old-"+hex.EncodeToString(p.SHA256[:8]))
	if err := errors.Join(os.RemoveAll(gone), os.Rename(filepath.Dir(p.Path), gone)); err != nil {
		return fmt.Errorf("remove plugin %s: %w", p.Manifest.Name, err)
	}
	return os.RemoveAll(gone)
}

// place makes something under another name and moves it to its place whole, and to the disk. What is there
// already is replaced.
func (s Store) place(name string, makeAt func(path string) error) error {
	path := filepath.Join(s.dir, name)
	fresh := filepath.Join(s.dir, ".new-"+filepath.Base(name))
	err := os.RemoveAll(fresh) // of a copy that was broken off
	if err == nil {
		err = makeAt(fresh)
	}
	if info, statErr := os.Lstat(path); err == nil && statErr == nil && info.IsDir() {
		err = os.RemoveAll(path) // a directory is not replaced by rename(2)
	}
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(fresh))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func writeFile(path string, from io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Sync(), f.Close())
}

// copyFile copies a binary, and fails when what was copied has another hash.
func copyFile(to, from string, want [sha256.Size]byte) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() > maxBinary {
		return errors.Join(err, fmt.Errorf("%s is no file of at most %d octets", from, maxBinary))
	}
	h := sha256.New()
	if err := writeFile(to, io.TeeReader(io.LimitReader(f, maxBinary), h)); err != nil {
		return err
	}
	if got := h.Sum(nil); [sha256.Size]byte(got) != want {
		return fmt.Errorf("%s is not the binary that was signed: its SHA-256 is %x", from, got)
	}
	return nil
}

func copyManifest(to, from string) error {
	text, err := readSmall(from)
	if err != nil {
		return err
	}
	return writeFile(to, strings.NewReader(string(text)))
}
