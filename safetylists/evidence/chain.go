package evidence

import (
	"errors"
	"fmt"
)

// ErrBroken says that a chain has a changed, dropped, repeated or reordered record.
var ErrBroken = errors.New("the chain of records is broken")

// Head is the end of a chain: what the next record must follow. The zero value is the empty chain.
type Head struct {
	Seq  uint64 `json:"seq"`
	Hash Hash   `json:"hash"`
}

// Next fills in number and predecessor of a record that follows the head.
func (h Head) Next(r Record) Record {
	r.Seq, r.Prev = h.Seq+1, h.Hash
	return r
}

// Follow checks that the bytes are the next record of the chain, and returns it with the new head.
// It fails with ErrForm or ErrBroken, and says at which record.
func (h Head) Follow(b []byte) (Record, Head, error) {
	r, hash, err := Decode(b)
	if err != nil {
		return Record{}, h, fmt.Errorf("record after %d: %w", h.Seq, err)
	}
	next, err := h.Link(r, hash)
	if err != nil {
		return Record{}, h, err
	}
	return r, next, nil
}

// Link is Follow for a record that was read already, with the hash of its bytes.
func (h Head) Link(r Record, hash Hash) (Head, error) {
	if r.Seq != h.Seq+1 || r.Prev != h.Hash {
		return h, fmt.Errorf("record %d after %d: %w", r.Seq, h.Seq, ErrBroken)
	}
	return Head{r.Seq, hash}, nil
}

// Verify follows a whole chain from a head and returns the last head.
func Verify(from Head, records [][]byte) (Head, error) {
	for _, b := range records {
		var err error
		if _, from, err = from.Follow(b); err != nil {
			return from, err
		}
	}
	return from, nil
}
