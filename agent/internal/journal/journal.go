package journal

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"primum/safetylists/evidence"
)

// ErrFailed says that an earlier write failed: the journal takes nothing more until it is opened anew.
var ErrFailed = errors.New("the journal failed at an earlier write")

// ErrTrimmed says that a record was trimmed: the controller had acknowledged it.
var ErrTrimmed = errors.New("the record was trimmed after the controller had acknowledged it")

// ErrInUse says that another agent has the journal open.
var ErrInUse = errors.New("the journal is in use by another agent")

// Journal is an open journal. It is safe for concurrent use.
type Journal struct {
	dir         string
	incarnation string

	files    sync.RWMutex // held to read while a file may be closed
	trimming sync.Mutex
	step     func(string) // told before each step of a trim; for tests

	mu     sync.Mutex
	f      *os.File // guarded by mu, as is all below
	base   base     // what stands before the first record
	head   evidence.Head
	tree   evidence.Tree
	places []int64 // of the records in the file
	end    int64
	room   int64 // place up to which the disk has given blocks
	spare  int64 // blocks beyond the end before any new work is taken
	failed error
	closed bool
	grown  chan struct{} // closed and replaced when records are added
}

// Memory is what a journal is replayed to: first the checkpoint of one that was trimmed, which stands for every
// record before, then the records in order.
type Memory interface {
	Restore(checkpoint []byte) error
	Replay(evidence.Record)
}

const (
	fileName = "journal.log"
	newName  = "journal.new" // of a trim that is under way, or that a crash has ended
)

// Open opens the journal in dir, or begins one, and replays it. It fails with ErrDamaged, ErrInUse, or what the
// memory or the system says.
func Open(dir string, now time.Time, m Memory) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	path := filepath.Join(dir, fileName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j := &Journal{dir: dir, f: f, grown: make(chan struct{}), spare: reserve, step: func(string) {}}
	if err := j.load(path, now, m); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal %s: %w", path, err), f.Close())
	}
	return j, nil
}

func (j *Journal) load(path string, now time.Time, m Memory) error {
	if err := lock(j.f, path); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(j.dir, newName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	st, err := j.f.Stat()
	if err != nil {
		return err
	}
	if st.Size() < int64(len(header)) {
		if err := j.start(st.Size()); err != nil {
			return err
		}
	}
	size := max(st.Size(), int64(len(header)))
	if j.base, err = readBase(j.f, size, m); err != nil {
		return err
	}
	j.incarnation, j.tree = j.base.Incarnation, j.base.tree
	end, head, err := scan(j.f, j.base.end, size, j.base.Head, func(place int64, raw []byte, r evidence.Record) {
		j.places = append(j.places, place)
		j.tree.Add(raw)
		if r.Kind == evidence.Begun {
			j.incarnation = r.Incarnation
		}
		m.Replay(r)
	})
	if err != nil {
		return err
	}
	if end < size {
		if err := j.f.Truncate(end); err != nil {
			return err
		}
		if err := j.f.Sync(); err != nil {
			return err
		}
	}
	j.head, j.end = head, end
	if j.incarnation != "" {
		return nil
	}
	if head.Seq != 0 {
		return fmt.Errorf("the first record names no incarnation: %w", ErrDamaged)
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return err
	}
	begun := evidence.Record{At: now, Kind: evidence.Begun, Incarnation: hex.EncodeToString(id[:])}
	if _, err := j.Append(begun); err != nil {
		return err
	}
	j.incarnation = begun.Incarnation
	m.Replay(j.head.Next(begun))
	return nil
}

// start writes the header of a new journal, also over one that a crash left shorter than that.
func (j *Journal) start(size int64) error {
	if size != 0 {
		if err := j.f.Truncate(0); err != nil {
			return err
		}
	}
	if _, err := j.f.WriteAt([]byte(header), 0); err != nil {
		return err
	}
	if err := j.f.Sync(); err != nil {
		return err
	}
	return syncDir(j.dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Append adds records to the chain and returns when they are on disk. Number, predecessor and the
// truncation of the time are filled in. New work is refused with ErrFull while the disk has no room for its end
// as well; nothing is written then, and everything else still fits. After a failure nothing more is taken: what the kernel did
// with the pages of a failed fsync is not known.
func (j *Journal) Append(records ...evidence.Record) (last uint64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil {
		return 0, j.failed
	}
	if slices.ContainsFunc(records, func(r evidence.Record) bool { return r.Kind == evidence.Received || r.Kind == evidence.Started }) {
		if err := j.makeRoom(); err != nil {
			return 0, err
		}
	}
	var frames []byte
	head, places, tree := j.head, []int64(nil), j.tree
	for _, r := range records {
		b, hash, err := head.Next(r).Encode()
		if err != nil {
			return 0, err
		}
		places = append(places, j.end+int64(len(frames)))
		frames = appendFrame(frames, b)
		tree.Add(b)
		head = evidence.Head{Seq: head.Seq + 1, Hash: hash}
	}
	if _, err := j.f.WriteAt(frames, j.end); err != nil {
		j.failed = fmt.Errorf("%w: %w", ErrFailed, err)
		return 0, j.failed
	}
	if err := unix.Fdatasync(int(j.f.Fd())); err != nil {
		j.failed = fmt.Errorf("%w: %w", ErrFailed, err)
		return 0, j.failed
	}
	j.head, j.tree, j.end, j.places = head, tree, j.end+int64(len(frames)), append(j.places, places...)
	close(j.grown)
	j.grown = make(chan struct{})
	return head.Seq, nil
}

// Close closes the file. It may be called more than once.
func (j *Journal) Close() error {
	j.trimming.Lock()
	defer j.trimming.Unlock()
	return j.close()
}

func (j *Journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil
	}
	j.closed, j.failed = true, ErrFailed
	return j.f.Close()
}
