package agent

import (
	"context"
	"time"
)

// journalMost is the size above which acknowledged records are trimmed. It holds some hundred thousand records, which are
// weeks of a hospital's questions: half of them stay, so that a controller that was restored from last night's backup
// finds here what it has lost. A trim then needs some 100 MiB on the disk for a moment: 32 of records, 64 of reserve, and
// the checkpoint.
const journalMost = 64 << 20

// trimAgain is after how long a trim that failed is tried again.
const trimAgain = time.Minute

// acknowledged takes the controller's word that it has stored the records up to a number.
func (a *Agent) acknowledged(seq uint64) {
	a.mu.Lock()
	a.acked = max(a.acked, min(seq, a.journal.Head().Seq))
	a.mu.Unlock()
	select {
	case a.trims <- struct{}{}:
	default:
	}
}

// keepTrimmed bounds the journal until ctx ends. What no controller has acknowledged stays. A trim that fails, as on a full
// disk, is said once and tried each minute.
func (a *Agent) keepTrimmed(ctx context.Context) {
	failed := false
	for {
		err := a.trim()
		if err != nil && !failed {
			a.log.Error("the journal is not trimmed and stays whole", "error", err)
		}
		failed = err != nil
		wake := a.trims
		if failed {
			wake = nil
		}
		again := time.NewTimer(trimAgain)
		select {
		case <-ctx.Done():
			again.Stop()
			return
		case <-wake:
		case <-again.C:
		}
		again.Stop()
	}
}

// trim takes acknowledged records out of the journal if it is large enough. What the guard needs of them it is told
// anew, by the journals themselves and not by what runs, so that a checkpoint is what a restart would remember (H-042).
func (a *Agent) trim() error {
	a.mu.Lock()
	j, acked := a.journal, a.acked
	a.mu.Unlock()
	limit := a.cfg.Journal
	if limit <= 0 {
		limit = journalMost
	}
	upTo := j.Due(acked, limit)
	if upTo == 0 {
		return nil
	}
	began, before := time.Now(), j.Size()
	g, err := a.past()
	if err != nil {
		return err
	}
	if err := j.Trim(upTo, g); err != nil {
		return err
	}
	a.log.Info("the journal was trimmed; the controller has what went", "up_to", upTo, "octets_before", before, "octets", j.Size(), "took", time.Since(began).Round(time.Millisecond))
	return nil
}
