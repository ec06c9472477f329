// Package installed keeps the plugins of other makers that a person has installed on this machine, and the
// public keys of the makers that the site admits. Nothing here comes from the controller: a stolen controller
// can bring no program to an agent (H-009, H-033).
//
//	plugins/makers/NAME.pub            an admitted maker's public key
//	plugins/SHA256/manifest            what the maker signed
//	plugins/SHA256/primum-probe-NAME   the binary
package installed

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"primum/plugins/manifest"
)

const (
	makersDir    = "makers"
	manifestFile = "manifest"
	binaryPrefix = "primum-probe-"
	maxBinary    = 128 << 20
)

// ErrNotAdmitted says that the site has not admitted the maker.
var ErrNotAdmitted = errors.New("the maker is not admitted here")

// Store is the folder of installed plugins.
type Store struct{ dir string }

// Open returns the store below the data directory of an agent, making it on first use. It refuses a folder in
// which somebody else can write.
func Open(data string) (Store, error) {
	s := Store{filepath.Join(data, "plugins")}
	if info, err := os.Stat(data); err != nil || !info.IsDir() { // a mistyped one is not made: somebody would believe the agent to have it
		return Store{}, fmt.Errorf("open installed plugins: there is no directory %s; name the data directory of the agent", data)
	}
	if err := os.MkdirAll(filepath.Join(s.dir, makersDir), 0o700); err != nil {
		return Store{}, fmt.Errorf("open installed plugins: %w", err)
	}
	for _, path := range []string{s.dir, filepath.Join(s.dir, makersDir)} {
		info, err := os.Lstat(path)
		if err != nil {
			return Store{}, fmt.Errorf("open installed plugins: %w", err)
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !ok || int(stat.Uid) != os.Geteuid() {
			return Store{}, fmt.Errorf("open installed plugins: %s is open to others, or somebody else's; chown and chmod 700 it, and look at what lies there first", path)
		}
	}
	return s, nil
}

// Plugin is one installed plugin, or what is left of one.
type Plugin struct {
	SHA256   [sha256.Size]byte
	Path     string // of the binary
	Manifest manifest.Manifest
	// Why it may not start: nil when the manifest is signed by an admitted maker. The binary itself is held
	// against its hash when it starts, of the very copy that runs (B6).
	Why error
}

// All returns what is installed, in the order of names.
func (s Store) All() ([]Plugin, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("read installed plugins: %w", err)
	}
	var out []Plugin
	for _, e := range entries {
		sum, err := hex.DecodeString(e.Name())
		if err != nil || len(sum) != sha256.Size {
			continue // the makers, or a copy that was broken off
		}
		p := Plugin{SHA256: [sha256.Size]byte(sum)}
		p.Manifest, p.Why = s.verified(filepath.Join(s.dir, e.Name(), manifestFile))
		p.Path = filepath.Join(s.dir, e.Name(), binaryPrefix+p.Manifest.Name) // a name without a slash, or none
		if p.Why == nil && p.Manifest.SHA256 != p.SHA256 {
			p.Why = errors.New("its manifest is for another binary")
		}
		if p.Why == nil {
			p.Why = intact(p.Path, p.SHA256)
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Plugin) int {
		return strings.Compare(a.Manifest.Name+hex.EncodeToString(a.SHA256[:]), b.Manifest.Name+hex.EncodeToString(b.SHA256[:]))
	})
	return out, nil
}

// intact tells a person before the start what the start itself holds against the hash once more.
func intact(path string, want [sha256.Size]byte) error {
	f, err := os.Open(path)
	if err != nil {
		return errors.New("its binary is gone or cannot be read; install it again")
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("its binary cannot be read: %w", err)
	}
	if [sha256.Size]byte(h.Sum(nil)) != want {
		return errors.New("its binary was changed since it was installed; find out by whom, then install it again")
	}
	return nil
}

// verified reads a manifest and holds it against the key of the maker that it names. What cannot be verified is
// returned all the same, to be named to a person.
func (s Store) verified(path string) (manifest.Manifest, error) {
	text, err := readSmall(path)
	if err != nil {
		return manifest.Manifest{}, fmt.Errorf("read manifest: %w", err)
	}
	signed, err := manifest.Parse(text)
	if err != nil {
		return manifest.Manifest{}, err
	}
	claimed := signed.Unverified()
	key, err := s.key(claimed.Maker)
	if err != nil {
		return claimed, err
	}
	m, err := signed.Verify(key)
	if err != nil {
		return claimed, fmt.Errorf("%w of %s (%s)", err, claimed.Maker, manifest.Fingerprint(key))
	}
	return m, nil
}

func (s Store) key(maker string) (ed25519.PublicKey, error) {
	text, err := readSmall(filepath.Join(s.dir, makersDir, maker+".pub"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNotAdmitted, maker)
	}
	if err != nil {
		return nil, fmt.Errorf("read key of maker %s: %w", maker, err)
	}
	return manifest.ParseKey(text)
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, manifest.MaxSize+1))
}
