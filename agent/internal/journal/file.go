package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"sync"

	"primum/safetylists/evidence"
)

const (
	header    = "primum journal 1\n"
	trimmed   = "primum journal 2\n" // a checkpoint stands before the records
	frameHead = 12                   // length, CRC-32C of the length, CRC-32C of the record; all big endian
)

// ErrDamaged says that a record inside the journal is not what was written.
var ErrDamaged = errors.New("the journal is damaged")

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// appendFrame adds one frame to b. The length has a checksum of its own: a changed length must not
// pass for a torn tail and take what follows with it.
func appendFrame(b, payload []byte) []byte {
	length := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	b = append(b, length...)
	b = binary.BigEndian.AppendUint32(b, checksum(length))
	b = binary.BigEndian.AppendUint32(b, checksum(payload))
	return append(b, payload...)
}

// scan reads the frames of records from a place to the end, following the chain. It returns the place after
// the last whole frame; a torn tail is what stands after it. Checksum and chain show that a record is what Append wrote; to
// read it is most of the time that an agent takes to start, so that all processors do it.
func scan(r io.ReaderAt, place, size int64, head evidence.Head, each func(place int64, raw []byte, r evidence.Record)) (end int64, last evidence.Head, err error) {
	r = &ahead{r: r}
	for {
		var part []frame
		var ends error
		for len(part) < scanPart && ends == nil {
			payload, next, err := readFrame(r, place, size, evidence.MaxRecord)
			if ends = err; err == nil {
				part = append(part, frame{place: place, raw: payload})
				place = next
			}
		}
		decode(part)
		for _, f := range part {
			if f.err == nil {
				head, f.err = head.Link(f.record, f.hash)
			}
			if f.err != nil {
				return f.place, head, fmt.Errorf("record at octet %d: %w: %w", f.place, ErrDamaged, f.err)
			}
			each(f.place, f.raw, f.record)
		}
		switch {
		case errors.Is(ends, errTorn):
			return place, head, nil
		case ends != nil:
			return place, head, ends
		}
	}
}

// scanPart is how many frames are read at a time: a few MiB at most of what an agent writes.
const scanPart = 2048

// frame is one record on its way from the file.
type frame struct {
	place  int64
	raw    []byte
	record evidence.Record
	hash   evidence.Hash
	err    error
}

func decode(part []frame) {
	var workers sync.WaitGroup
	defer workers.Wait()
	n := runtime.GOMAXPROCS(0)
	for w := range n {
		workers.Go(func() {
			for i := w; i < len(part); i += n {
				f := &part[i]
				f.record, f.hash, f.err = evidence.Reread(f.raw)
			}
		})
	}
}

var errTorn = errors.New("torn frame")

// readFrame reads the frame at place. A frame that reaches beyond the end, or the last one with a
// wrong checksum, is torn; a wrong checksum before the end is damage.
func readFrame(r io.ReaderAt, place, size, most int64) (payload []byte, next int64, err error) {
	if size-place < frameHead {
		return nil, 0, errTorn
	}
	var head [frameHead]byte
	if _, err := r.ReadAt(head[:], place); err != nil {
		return nil, 0, fmt.Errorf("read journal: %w", err)
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	next = place + frameHead + n
	if binary.BigEndian.Uint32(head[4:]) != checksum(head[:4]) || n == 0 || n > most {
		if allZeroFrom(r, place+frameHead, size) {
			return nil, 0, errTorn // a crash can leave a head cut short, and zeros
		}
		return nil, 0, fmt.Errorf("head of the frame at octet %d: %w", place, ErrDamaged)
	}
	if next > size {
		return nil, 0, errTorn
	}
	payload = make([]byte, n)
	if _, err := r.ReadAt(payload, place+frameHead); err != nil {
		return nil, 0, fmt.Errorf("read journal: %w", err)
	}
	if binary.BigEndian.Uint32(head[8:]) != checksum(payload) {
		if next == size || allZeroFrom(r, next, size) {
			return nil, 0, errTorn
		}
		return nil, 0, fmt.Errorf("checksum at octet %d: %w", place, ErrDamaged)
	}
	return payload, next, nil
}

func allZeroFrom(r io.ReaderAt, place, size int64) bool {
	buf := make([]byte, 4096)
	for place < size {
		n := min(int64(len(buf)), size-place)
		if _, err := r.ReadAt(buf[:n], place); err != nil {
			return false
		}
		for _, c := range buf[:n] {
			if c != 0 {
				return false
			}
		}
		place += n
	}
	return true
}

// ahead reads a file from front to back in large parts.
type ahead struct {
	r    io.ReaderAt
	at   int64
	have []byte
}

const readAhead = 1 << 20

// ReadAt implements io.ReaderAt.
func (a *ahead) ReadAt(b []byte, at int64) (int, error) {
	if len(b) > readAhead {
		return a.r.ReadAt(b, at)
	}
	if at < a.at || at+int64(len(b)) > a.at+int64(len(a.have)) {
		if a.have == nil {
			a.have = make([]byte, readAhead)
		}
		n, err := a.r.ReadAt(a.have[:readAhead], at)
		if err != nil && err != io.EOF {
			a.have = a.have[:0]
			return 0, err
		}
		a.at, a.have = at, a.have[:n]
	}
	n := copy(b, a.have[at-a.at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}
