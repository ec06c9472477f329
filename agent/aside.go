package agent

import (
	"errors"
	"fmt"
	"os/user"
	"time"

	"primum/agent/internal/journal"
	"primum/safetylists/evidence"
)

type beginJournalCommand struct {
	dataFlag
	Reason string `required:"" help:"Why; it is the first word in the new journal and goes to the controller."`
}

// Run puts the journal aside, on the word of a person at the site: the way out when the controller has lost records that were
// trimmed here, and no newer backup of it is left. What the old journal forbids the new one forbids too.
func (c *beginJournalCommand) Run(e *env) error {
	reason, err := reasonOf(c.Data, c.Reason)
	if err != nil {
		return err
	}
	who, err := user.Current()
	if err != nil {
		return fmt.Errorf("find out who you are: %w", err)
	}
	a := &Agent{cfg: Config{Data: c.Data}}
	if err := a.openJournal(); errors.Is(err, journal.ErrInUse) {
		return errors.New("the agent is running; end it first")
	} else if err != nil {
		return err
	}
	last := a.journal.Head().Seq
	if err := a.journal.Retire(time.Now()); err != nil {
		return err
	}
	if err := a.openJournal(); err != nil {
		return err
	}
	_, err = a.note(evidence.Record{At: time.Now(), Kind: evidence.PutAside, Caller: who.Username, Words: reason})
	if err := errors.Join(err, a.journal.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "A new journal was begun. The old one, up to record %d, was put aside in %s: keep it, for the controller may not have all of it.\n", last, a.journalDir())
	return err
}
