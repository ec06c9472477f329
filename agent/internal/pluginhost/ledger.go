package pluginhost

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// entry is what an agent remembers of one binary. It stands in a file by the binary's hash, so that neither
// a restart nor another name forgets it.
type entry struct {
	Plugin string    `json:"plugin"` // for people
	Faults []past    `json:"faults"` // newest last; only those that still count
	Barred string    `json:"barred"` // why it is put aside; empty if it is not
	Since  time.Time `json:"since,omitzero"`
}

type past struct {
	At     time.Time `json:"at"`
	Kind   Kind      `json:"kind"`
	Detail string    `json:"detail"`
}

// clearance is a person's leave to start a plugin again.
type clearance struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// ledger is a folder of entries. One host writes it.
type ledger struct{ dir string }

const (
	entrySuffix = ".json"
	clearSuffix = ".clear"
)

func (l ledger) path(hash [32]byte, suffix string) string {
	return filepath.Join(l.dir, hex.EncodeToString(hash[:])+suffix)
}

// load reads an entry. One that cannot be read bars: what it knew is not known.
func (l ledger) load(hash [32]byte) entry {
	var e entry
	b, err := os.ReadFile(l.path(hash, entrySuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return entry{}
	}
	if err = errors.Join(err, json.Unmarshal(b, &e)); err != nil {
		return entry{Plugin: e.Plugin, Barred: fmt.Sprintf("its record of faults cannot be read: %v", err)}
	}
	return e
}

// add counts a fault and says whether the binary is put aside now. What cannot be written bars too.
func (e entry) add(name string, f *Fault, now time.Time) (_ entry, bars bool) {
	var counted []past
	for _, p := range e.Faults {
		if now.Sub(p.At) < faultTime {
			counted = append(counted, p)
		}
	}
	if n := len(counted); n > 0 && now.Sub(counted[n-1].At) < burstTime {
		counted = counted[:n-1]
	}
	e.Plugin, e.Faults = name, append(counted, past{now.UTC(), f.Kind, f.Detail})
	switch {
	case e.Barred != "":
		return e, false
	case f.Kind == Breached:
		e.Barred = "it proposed bytes that nobody approved: " + f.Detail
	case len(e.Faults) >= faultsToBar:
		e.Barred = fmt.Sprintf("%d faults within %s, the last one %s: %s", len(e.Faults), faultTime, f.Kind, f.Detail)
	default:
		return e, false
	}
	e.Since = now.UTC()
	return e, true
}

// keep writes an entry so that it survives the end of the machine.
func (l ledger) keep(hash [32]byte, e entry) error {
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fmt.Errorf("keep faults of a plugin: %w", err)
	}
	if err := writeWhole(l.path(hash, entrySuffix), b); err != nil {
		return fmt.Errorf("keep faults of a plugin: %w", err)
	}
	return nil
}

// taken takes a clearance up, if a person left one: the entry and the clearance are gone, and the caller
// writes the record.
func (l ledger) taken(hash [32]byte) (*clearance, error) {
	b, err := os.ReadFile(l.path(hash, clearSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var c clearance
	if err = errors.Join(err, json.Unmarshal(b, &c)); err != nil {
		return nil, fmt.Errorf("read clearance of a plugin: %w", err)
	}
	gone := func(err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return &c, errors.Join(gone(os.Remove(l.path(hash, entrySuffix))), os.Remove(l.path(hash, clearSuffix)))
}

// Barred is one binary that is put aside on an agent.
type Barred struct {
	SHA256 string // hex
	Plugin string
	Why    string
	Since  time.Time
}

// ListBarred reads which binaries are put aside, from the folder that Config.Faults names.
func ListBarred(dir string) ([]Barred, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+entrySuffix))
	if err != nil {
		return nil, fmt.Errorf("list plugins that are put aside: %w", err)
	}
	var out []Barred
	for _, path := range paths {
		hash := strings.TrimSuffix(filepath.Base(path), entrySuffix)
		raw, err := hex.DecodeString(hash)
		if err != nil || len(raw) != 32 {
			continue
		}
		if e := (ledger{dir}).load([32]byte(raw)); e.Barred != "" {
			out = append(out, Barred{hash, e.Plugin, e.Barred, e.Since})
		}
	}
	return out, nil
}

// Clear leaves a person's word that a binary may start again. The agent takes it up within seconds, or when
// it starts, and writes it into its journal.
func Clear(dir, sha256, by, reason string, now time.Time) error {
	raw, err := hex.DecodeString(sha256)
	if err != nil || len(raw) != 32 {
		return fmt.Errorf("clear plugin: %q is no SHA-256", sha256)
	}
	b, err := json.Marshal(clearance{By: clip(by), Reason: clip(reason), At: now.UTC()})
	if err != nil {
		return fmt.Errorf("clear plugin: %w", err)
	}
	if err := writeWhole((ledger{dir}).path([32]byte(raw), clearSuffix), b); err != nil {
		return fmt.Errorf("clear plugin: %w", err)
	}
	return nil
}

// writeWhole puts a file in its place whole and on disk, or not at all.
func writeWhole(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
