// Package ingest takes the records of an agent's journal: it follows their chain, and says of each
// outcome which task it ends. A record that is not as it should be is put aside with its reason, and
// never keeps the ones after it waiting (CONTROL-PLANE 4.7).
package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
	"primum/safetylists/evidence"
)

// The bounds of one batch (primum.control.v1.RecordBatch).
const (
	MaxRecords = 500
	MaxOctets  = 512 << 10
)

// ErrForm says that a batch is not one that an agent sends; the session ends.
var ErrForm = errors.New("the batch of records is larger than it may be, or is not of this journal")

// Intake is what one session has taken. It is used by one goroutine.
type Intake struct {
	db          *store.Store
	agent       string
	epoch       uint64
	incarnation []byte
	key         string // verifier of the agent's heads
	head        evidence.Head
	tree        evidence.Tree
	follows     bool // the first new record of the session follows the last one that was stored
	other       bool // it does not
}

// New begins at what the store holds of the agent's journal. The key is the verifier of the agent's heads.
func New(ctx context.Context, db *store.Store, a store.Agent, key string) (*Intake, error) {
	in := &Intake{db: db, agent: a.Name, epoch: a.Epoch, incarnation: a.Incarnation, key: key, head: evidence.Head{Seq: a.RecordHWM}}
	if a.RecordHWM > 0 && copy(in.head.Hash[:], a.RecordHash) != len(in.head.Hash) {
		return nil, fmt.Errorf("the stored hash of record %d of agent %s is damaged", a.RecordHWM, a.Name)
	}
	var err error
	in.tree, err = evidence.TreeAt(in.head.Seq, Subtrees(ctx, db, a.Name, a.Incarnation))
	return in, err
}

// Mark is the newest record that is stored.
func (in *Intake) Mark() uint64 { return in.head.Seq }

// Other reports whether the first record that the session brought does not follow the last one that was stored: the journal is another
// than it was, as on a copy of the agent's disk from a moment before, and does not know all that was begun.
func (in *Intake) Other() bool { return in.other }

// Take stores a batch. Records that are stored already are passed over. It fails with store.ErrGap
// when some are missing before it, with store.ErrFenced when the session is not the newest, and with
// ErrForm.
func (in *Intake) Take(ctx context.Context, m *controlv1.RecordBatch, at time.Time) error {
	octets := 0
	for _, r := range m.GetRecords() {
		octets += len(r)
	}
	if len(m.GetRecords()) == 0 || len(m.GetRecords()) > MaxRecords || octets > MaxOctets || !bytes.Equal(m.GetIncarnation(), in.incarnation) {
		return ErrForm
	}
	if m.GetFirstSeq() == 0 || m.GetFirstSeq() > in.head.Seq+1 {
		return store.ErrGap
	}
	known := in.head.Seq + 1 - m.GetFirstSeq()
	if known >= uint64(len(m.GetRecords())) {
		return nil
	}
	b := store.Batch{Agent: in.agent, Epoch: in.epoch, Incarnation: in.incarnation, From: in.head.Seq, At: at}
	head, tree, follows, other := in.head, in.tree, in.follows, in.other
	for _, raw := range m.GetRecords()[known:] {
		grown := flat(tree.Add(raw))
		r, next, err := head.Follow(raw)
		follows, other = true, other || !follows && err != nil && head.Seq > 0
		if err != nil {
			// the chain goes on from what the agent says, so that one bad record is one bad record
			next = evidence.Head{Seq: head.Seq + 1, Hash: sha256.Sum256(raw)}
			b.Records = append(b.Records, store.Record{Seq: next.Seq, Kind: "unreadable", Raw: raw, Tree: grown, Poison: err.Error()})
			head = next
			continue
		}
		head = next
		b.Records = append(b.Records, store.Record{Seq: r.Seq, Kind: string(r.Kind), Raw: raw, Tree: grown, Device: r.Device, At: r.At})
		switch r.Kind {
		case evidence.SiteStop:
			b.Word = &store.SiteStop{At: r.At, By: r.Caller, Why: r.Words}
		case evidence.SiteGo:
			b.Word = &store.SiteStop{}
		case evidence.Started:
			b.Begun = append(b.Begun, store.Begun{Order: r.Order, Ordinal: r.Ordinal, Device: r.Device, Question: r.Query, At: r.At})
		}
		if r.Kind != evidence.Outcome {
			continue
		}
		if r.Result == nil || !isEnd(r.Result.State) {
			b.Records[len(b.Records)-1].Poison = "it names no end of a task"
			continue
		}
		b.Outcomes = append(b.Outcomes, outcome(r))
	}
	b.To, b.Hash = head.Seq, head.Hash[:]
	if err := in.db.TakeRecords(ctx, b); err != nil {
		return err
	}
	in.head, in.tree, in.follows, in.other = head, tree, follows, other
	return nil
}

func isEnd(s evidence.State) bool {
	switch s {
	case evidence.Answered, evidence.Absent, evidence.Busy, evidence.Declined, evidence.Distress, evidence.Refused, evidence.Incident, evidence.Stopped, evidence.Unknown:
		return true
	}
	return false
}

func outcome(r evidence.Record) store.Outcome {
	o := store.Outcome{Seq: r.Seq, Order: r.Order, Ordinal: r.Ordinal, Permit: r.Permit, Device: r.Device, State: string(r.Result.State),
		Reason: string(r.Result.Reason), Detail: r.Result.Detail, Seen: r.Result.Seen, Asked: r.Result.Asked, TookUS: r.Result.TookUS,
		Messages: r.Result.Messages, Octets: r.Result.Octets, Touched: r.Result.Touched()}
	for _, f := range r.Result.Facts {
		o.Facts = append(o.Facts, store.Fact(f))
	}
	return o
}
