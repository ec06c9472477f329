package release

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const (
	schema = "primum-bundle/1"
	// MaxSize bounds a bundle, in octets.
	MaxSize = 32 << 20
	// maxMetadata bounds one metadata file, in octets: a bomb is refused before it is parsed.
	maxMetadata = 4 << 20
	maxFiles    = 20000
)

// Bundle is a TUF repository as it travels: every metadata file by its name and every target by its
// path. In a folder they lie under metadata/ and targets/. Nothing in it is believed before [Open].
type Bundle struct {
	Metadata map[string][]byte
	Targets  map[string][]byte
}

type carrier struct {
	Schema   string    `json:"schema"`
	Metadata []carried `json:"metadata"` // ordered by name, as are the targets
	Targets  []carried `json:"targets"`
}

type carried struct {
	Name  string `json:"name"`
	Bytes []byte `json:"bytes"`
}

var (
	metadataForm = regexp.MustCompile(`^([1-9][0-9]{0,9}\.root|[a-z0-9][a-z0-9-]{0,79})\.json$`)
	// No segment begins with a dot, so that none is "." or "..", and none is empty.
	pathForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$`)
)

// Encode writes the bundle in its one form.
func (b Bundle) Encode() ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("encode bundle: %w", err)
	}
	out, err := json.Marshal(carrier{schema, ordered(b.Metadata), ordered(b.Targets)})
	if err != nil {
		return nil, fmt.Errorf("encode bundle: %w", err)
	}
	if len(out) > MaxSize {
		return nil, fmt.Errorf("encode bundle: %d octets; it has at most %d", len(out), MaxSize)
	}
	return out, nil
}

func ordered(files map[string][]byte) []carried {
	out := []carried{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		out = append(out, carried{name, files[name]})
	}
	return out
}

// Decode reads a bundle. There is one way to write each bundle, and anything else is refused: an
// unknown or repeated field, a name twice or out of order, a path that leaves its folder.
func Decode(b []byte) (Bundle, error) {
	if len(b) > MaxSize {
		return Bundle{}, fmt.Errorf("bundle: %d octets; it has at most %d", len(b), MaxSize)
	}
	var c carrier
	if err := strict(b, &c); err != nil {
		return Bundle{}, fmt.Errorf("bundle: %w", err)
	}
	if c.Schema != schema {
		return Bundle{}, fmt.Errorf("bundle: schema is %q; this program reads %s", c.Schema, schema)
	}
	out := Bundle{Metadata: map[string][]byte{}, Targets: map[string][]byte{}}
	for _, kind := range []struct {
		from []carried
		into map[string][]byte
	}{{c.Metadata, out.Metadata}, {c.Targets, out.Targets}} {
		for _, f := range kind.from {
			if _, twice := kind.into[f.Name]; twice {
				return Bundle{}, fmt.Errorf("bundle: %s stands twice", f.Name)
			}
			kind.into[f.Name] = f.Bytes
		}
	}
	if err := out.check(); err != nil {
		return Bundle{}, fmt.Errorf("bundle: %w", err)
	}
	again, err := json.Marshal(carrier{schema, ordered(out.Metadata), ordered(out.Targets)})
	if err != nil || !bytes.Equal(again, b) {
		return Bundle{}, fmt.Errorf("bundle: it is not in its canonical form")
	}
	return out, nil
}

func (b Bundle) check() error {
	if len(b.Metadata)+len(b.Targets) > maxFiles {
		return fmt.Errorf("%d files; it has at most %d", len(b.Metadata)+len(b.Targets), maxFiles)
	}
	for name, text := range b.Metadata {
		if !metadataForm.MatchString(name) {
			return fmt.Errorf("metadata name %q is not of the form role.json or 1.root.json", name)
		}
		if len(text) > maxMetadata {
			return fmt.Errorf("metadata %s: %d octets; it has at most %d", name, len(text), maxMetadata)
		}
	}
	for path := range b.Targets {
		if err := checkPath(path); err != nil {
			return err
		}
	}
	return nil
}

func checkPath(path string) error {
	if len(path) > 200 || !pathForm.MatchString(path) {
		return fmt.Errorf("path %q: small letters, digits, dots, hyphens and underscores between slashes, at most 200", path)
	}
	return nil
}

// FromFolder reads a repository folder, with metadata/ and targets/ in it.
func FromFolder(folder fs.FS) (Bundle, error) {
	out := Bundle{Metadata: map[string][]byte{}, Targets: map[string][]byte{}}
	total := 0
	for dir, into := range map[string]map[string][]byte{"metadata": out.Metadata, "targets": out.Targets} {
		err := fs.WalkDir(folder, dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if !info.Mode().IsRegular() {
				return fmt.Errorf("%s is not a plain file", path)
			}
			if total += int(min(info.Size(), MaxSize+1)); total > MaxSize {
				return fmt.Errorf("the folder has more than %d octets", MaxSize)
			}
			text, err := fs.ReadFile(folder, path)
			into[strings.TrimPrefix(path, dir+"/")] = text
			return err
		})
		if err != nil {
			return Bundle{}, fmt.Errorf("read repository folder: %w", err)
		}
	}
	if err := out.check(); err != nil {
		return Bundle{}, fmt.Errorf("read repository folder: %w", err)
	}
	return out, nil
}
