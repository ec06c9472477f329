package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"primum/safetylists/evidence"
)

// evidenceKeyFile holds the key that signs heads. It never leaves this machine: what it has signed, nobody who
// writes the record anew can sign again (H-029).
const evidenceKeyFile = "evidence.key"

// mostBetweenHeads is how long records may stand without a signed head over them.
const mostBetweenHeads = time.Minute

// witnessAgain is after how long the witness file gets a head that covers no more than the one before: it shows that nothing has grown, and
// is to stay a file that a person can keep.
const witnessAgain = 10 * time.Minute

// signedHead is the newest one; the zero value is none.
type signedHead struct {
	note []byte
	size uint64
	at   time.Time
}

// openSigner reads the key of an agent, or makes it at the first start.
func openSigner(data, agent string) (evidence.Signer, error) {
	path := filepath.Join(data, evidenceKeyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, _, makeErr := evidence.NewEvidenceKey(rand.Reader, agent)
		if makeErr != nil {
			return evidence.Signer{}, makeErr
		}
		text, err = []byte(key+"\n"), appendSynced(path+".new", []byte(key+"\n"), os.O_TRUNC)
		if err == nil {
			err = os.Rename(path+".new", path)
		}
	}
	if err != nil {
		return evidence.Signer{}, fmt.Errorf("open %s: %w", evidenceKeyFile, err)
	}
	signer, err := evidence.NewSigner(strings.TrimSuffix(string(text), "\n"))
	if err != nil {
		return evidence.Signer{}, fmt.Errorf("open %s: %w", path, err)
	}
	return signer, evidence.CheckVerifier(signer.Verifier(), agent)
}

// appendSynced writes to the end of a file and returns when it is on disk.
func appendSynced(path string, b []byte, how int) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND|how, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(b); err != nil {
		return err
	}
	return f.Sync()
}

// keepHeads signs a head at once, at each step of the clock while records grow, and each minute in any case, until ctx ends: a newer head
// over the same records shows that nothing was sent meanwhile.
func (a *Agent) keepHeads(ctx context.Context) {
	every := a.cfg.Heads
	if every <= 0 || every > mostBetweenHeads {
		every = mostBetweenHeads
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		a.signHead()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// signHead is for the one keeper of heads. It signs a head over what the journal holds, unless the newest head covers it already and is
// not old. A head is for who looks later: that one cannot be made or kept ends no work, and is said.
func (a *Agent) signHead() {
	a.mu.Lock()
	j := a.journal
	tree, last := j.Tree(), a.head
	a.mu.Unlock()
	now := time.Now()
	if tree.Size() == last.size && now.Sub(last.at) < mostBetweenHeads-time.Second {
		return
	}
	root, err := tree.Root()
	if err != nil {
		a.log.Error("make head", "error", err)
		return
	}
	note, err := a.signer.Sign(evidence.TreeHead{Agent: a.id.Name, Incarnation: j.Incarnation(), Size: tree.Size(), Root: root, At: now})
	if err != nil {
		a.log.Error("make head", "error", err)
		return
	}
	a.mu.Lock()
	if a.journal == j {
		a.head = signedHead{note, tree.Size(), now}
		close(a.headed)
		a.headed = make(chan struct{})
	}
	a.mu.Unlock()
	if a.cfg.Witness == "" || tree.Size() == a.witnessed.size && now.Sub(a.witnessed.at) < witnessAgain {
		return
	}
	a.witnessed = signedHead{note, tree.Size(), now}
	if err := appendSynced(a.cfg.Witness, append(note, '\n'), 0); err != nil {
		a.log.Error("write head to witness file", "file", a.cfg.Witness, "error", err)
	}
}
