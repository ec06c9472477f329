package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"primum/agent/internal/journal"
	"primum/safetylists/evidence"
)

// A stop at the site works without a controller: a file in the data directory says that this agent asks nothing.
// The agent writes it into its journal, and believes the journal when the file is gone: only a later word, with a
// name and a reason, ends the stop (H-035).
const (
	stopFile = "site-stop.json"
	seenFile = "site-stop.seen"
	stopTick = 100 * time.Millisecond // with breakOff's look and grace well within a second
)

// siteWord is the newest word of a person at the site.
type siteWord struct {
	Stopped bool      `json:"stopped"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Reason  string    `json:"reason"`
}

// readWord reads the file; nil when there is none.
func readWord(data string) (*siteWord, error) {
	b, err := os.ReadFile(filepath.Join(data, stopFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var w siteWord
	if err := d.Decode(&w); err != nil {
		return nil, fmt.Errorf("read %s: %w", stopFile, err)
	}
	if w.By == "" || w.Reason == "" || w.At.IsZero() {
		return nil, fmt.Errorf("read %s: it lacks a name, a time or a reason", stopFile)
	}
	return &w, nil
}

// lookStop takes the word in the file if it is newer than the one in force. What cannot be read stops. It is for the
// agent's one watcher.
func (a *Agent) lookStop() {
	w, err := readWord(a.cfg.Data)
	if err == nil && (w == nil || w.At.UnixNano() == a.word.Load()) {
		return // a watcher that waits for a lock sees no stop
	}
	switch {
	case err != nil:
		a.brake.Stop("its word cannot be read")
	case w.Stopped:
		a.brake.Stop(w.Reason)
	}
	defer a.brake.Stop("") // by then the guard knows
	a.mu.Lock()
	defer a.mu.Unlock()
	stopped, since := a.guard.SiteStop()
	switch {
	case err != nil:
		if !stopped {
			a.log.Error("the stop of this site cannot be read; nothing is asked", "error", err)
			a.guard.StopHere("the stop of this site cannot be read; give the word again with primum-agent stop or primum-agent resume", time.Now())
		}
		return
	case !w.At.After(since):
		a.word.Store(w.At.UnixNano())
		return
	}
	kind := evidence.SiteGo
	if w.Stopped {
		kind = evidence.SiteStop
		a.guard.StopHere(w.Reason, w.At) // in force even if the record cannot be written
	}
	if _, err := a.note(evidence.Record{At: w.At, Kind: kind, Caller: w.By, Words: w.Reason}); err != nil {
		if !w.At.Equal(a.unwritten) { // it is looked at ten times a second
			a.log.Error("write the word of the site to journal", "error", err)
		}
		a.unwritten = w.At
		return
	}
	a.word.Store(w.At.UnixNano())
	a.log.Warn("the site has spoken", "stopped", w.Stopped, "by", w.By, "reason", w.Reason)
	if err := putFile(a.cfg.Data, seenFile, []byte(w.At.Format(time.RFC3339Nano))); err != nil {
		a.log.Error("say that the word of the site was taken", "error", err)
	}
	a.poke()
}

// watchStop looks at the file until ctx ends.
func (a *Agent) watchStop(ctx context.Context) {
	t := time.NewTicker(stopTick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			a.lookStop()
		}
	}
}

// putFile replaces a file in one step, and has it on disk when it returns.
func putFile(dir, name string, b []byte) error {
	f, err := os.CreateTemp(dir, "."+name+"-")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

type stopCommand struct {
	dataFlag
	Reason string `required:"" help:"Why; it goes into the agent's record and to the controller."`
}

type resumeCommand struct {
	dataFlag
	Reason string `required:"" help:"Why it may ask again; it goes into the agent's record and to the controller."`
}

// Run stops this agent, with or without a controller.
func (c *stopCommand) Run(e *env) error {
	return speak(e, c.Data, c.Reason, true)
}

// Run ends the stop of this site. Holds of the controller stay.
func (c *resumeCommand) Run(e *env) error {
	return speak(e, c.Data, c.Reason, false)
}

// reasonOf checks what a person at the site gives with a word: the agent that it is for, and why.
func reasonOf(data, reason string) (string, error) {
	if _, err := os.Stat(filepath.Join(data, identityFile)); errors.Is(err, fs.ErrNotExist) {
		return "", usage("%s is not the data directory of an enrolled agent", data)
	} else if err != nil {
		return "", err
	}
	reason = strings.TrimSpace(reason)
	if reason == "" || len(reason) > 1024 {
		return "", usage("say with --reason why, in at most 1,024 octets")
	}
	return reason, nil
}

func speak(e *env, data, reason string, stop bool) error {
	reason, err := reasonOf(data, reason)
	if err != nil {
		return err
	}
	who, err := user.Current()
	if err != nil {
		return fmt.Errorf("find out who you are: %w", err)
	}
	at := time.Now().UTC().Truncate(time.Microsecond)
	old, err := readWord(data)
	idle := err == nil && !stop && old != nil && !old.Stopped // the word is given all the same: the record may know of a stop that the file does not
	if err == nil && old != nil && !at.After(old.At) {
		at = old.At.Add(time.Microsecond) // the clock was set back: this word is the newer one all the same
	}
	b, err := json.Marshal(siteWord{stop, who.Username, at, reason})
	if err != nil {
		return err
	}
	if err := putFile(data, stopFile, b); err != nil {
		return fmt.Errorf("write the word: %w", err)
	}
	done, later := "This agent asks again, as far as the controller's holds let it.", "No agent is running here. It may ask again from its next start on."
	if stop {
		done, later = "This agent asks nothing, until primum-agent resume.", "No agent is running here. From its next start on it asks nothing, until primum-agent resume."
	}
	if idle {
		done, later = "It was not stopped here. This agent asks, as far as the controller's holds let it.", "It was not stopped here, and no agent is running."
	}
	if !running(data) {
		_, err := fmt.Fprintln(e.out, later)
		return err
	}
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(stopTick / 2) {
		seen, err := os.ReadFile(filepath.Join(data, seenFile))
		if err == nil && string(seen) == at.Format(time.RFC3339Nano) {
			_, err = fmt.Fprintln(e.out, done)
			return err
		}
	}
	return errors.New("the running agent did not confirm within 3 s; its word stands in the data directory. If the agent does not log it, end the process")
}

// running reports whether an agent has the journal of a data directory open.
func running(data string) bool { return journal.InUse(filepath.Join(data, journalDir)) }
