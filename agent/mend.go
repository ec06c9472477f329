package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"primum/agent/internal/journal"
	"primum/agent/internal/uplink"
	"primum/safetylists/evidence"
)

// append writes records, and says when the disk has failed: serve then ends the session. The caller holds a.mu, or is
// the guard in a call of such a one.
func (a *Agent) append(records ...evidence.Record) (uint64, error) {
	lsn, err := a.journal.Append(records...)
	if errors.Is(err, journal.ErrFailed) {
		select {
		case a.failed <- struct{}{}:
		default:
		}
	}
	return lsn, err
}

// linked runs the uplink until ctx ends or the journal fails. Without a journal there is nothing that the controller
// could be told, and an agent that seems to be there would leave its questions without an end.
func (a *Agent) linked(ctx context.Context, cfg uplink.Config) error {
	inner, part := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-a.failed:
			part()
		case <-inner.Done():
		}
	})
	defer watch.Wait()
	defer part()
	return uplink.Run(inner, cfg, (*local)(a))
}

// The pace of tries to open a journal that has failed.
const (
	firstTry = time.Second
	mostTry  = 20 * time.Second
)

// mend waits until the record can be written again, or ctx ends. Nothing is asked before, and there is no session.
func (a *Agent) mend(ctx context.Context) {
	a.mu.Lock()
	why := a.journal.Failed()
	a.mu.Unlock()
	a.log.Error("the record cannot be written: nothing is asked, and there is no session, until it can. Check the disk of the data directory", "data", a.cfg.Data, "error", why)
	for wait := firstTry; ; wait = min(2*wait, mostTry) {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		err := a.reopen()
		if err == nil {
			a.log.Warn("the record can be written again; what was under way ends as UNKNOWN and is not asked again by itself")
			return
		}
		a.log.Error("the record still cannot be written", "data", a.cfg.Data, "error", err)
	}
}

// reopen opens the journal anew, once no conversation is under way any more, as a start of the agent would.
func (a *Agent) reopen() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.running > 0 {
		a.mu.Unlock()
		time.Sleep(50 * time.Millisecond)
		a.mu.Lock()
	}
	_ = a.journal.Close() // it has failed, and may have been closed by an earlier try
	if err := journal.Again(a.journalDir()); err != nil {
		return err
	}
	a.queue = nil
	if err := a.openJournal(); err != nil {
		return err
	}
	select {
	case <-a.failed: // of the journal before
	default:
	}
	return nil
}
