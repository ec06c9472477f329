package ingest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"primum/controller/internal/store"
	"primum/safetylists/evidence"
)

// Subtrees reads the Merkle tree of one journal as the store keeps it.
func Subtrees(ctx context.Context, db *store.Store, agent string, incarnation []byte) evidence.TreeReader {
	var read evidence.TreeReader
	read = func(seq uint64) ([]tlog.Hash, error) {
		flat, raw, err := db.Tree(ctx, agent, incarnation, seq)
		if err != nil {
			return nil, err
		}
		if len(flat) == 0 { // stored by a version that kept no tree
			whole := []tlog.Hash{tlog.RecordHash(raw)}
			for level := range bits.TrailingZeros64(seq) {
				left, err := read(seq - 1<<level)
				if err != nil {
					return nil, err
				}
				whole = append(whole, tlog.NodeHash(left[level], whole[level]))
			}
			return whole, nil
		}
		if len(flat)%tlog.HashSize != 0 {
			return nil, fmt.Errorf("the stored tree of record %d of agent %s is damaged", seq, agent)
		}
		whole := make([]tlog.Hash, len(flat)/tlog.HashSize)
		for i := range whole {
			copy(whole[i][:], flat[i*tlog.HashSize:])
		}
		return whole, nil
	}
	return read
}

func flat(whole []tlog.Hash) (b []byte) {
	for _, h := range whole {
		b = append(b, h[:]...)
	}
	return b
}

// Head takes a signed head: it has to be signed by the agent's key, over the root of the records that are
// stored, and every earlier head of the journal has to be a part of it. It fails with evidence.ErrHead (H-029).
func (in *Intake) Head(ctx context.Context, note []byte, at time.Time) error {
	h, err := evidence.OpenHead(note, in.key)
	if err != nil {
		return err
	}
	if h.Agent != in.agent || h.Incarnation != hex.EncodeToString(in.incarnation) {
		return fmt.Errorf("%w: it is of another journal", evidence.ErrHead)
	}
	if h.Size > in.head.Seq {
		return fmt.Errorf("%w: it covers %d records, and %d were handed over", evidence.ErrHead, h.Size, in.head.Seq)
	}
	var earlier evidence.TreeHead
	switch kept, err := in.db.NewestHead(ctx, in.agent, in.incarnation); {
	case err == nil:
		if earlier, err = evidence.OpenHead(kept.Note, in.key); err != nil {
			return fmt.Errorf("the stored head of %d records: %w", kept.Size, err)
		}
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	if err := h.Fits(earlier, Subtrees(ctx, in.db, in.agent, in.incarnation)); err != nil {
		return err
	}
	return in.db.AddHead(ctx, store.Head{Agent: in.agent, Incarnation: in.incarnation, Size: h.Size, Note: note, Key: in.key, At: at})
}
