package guard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"primum/safetylists/budget"
)

// checkpointForm is raised with every change of what a checkpoint holds, so that no agent takes one for less or more
// than it is.
const checkpointForm = 1

// checkpoint is the memory as it stands in a trimmed journal.
type checkpoint struct {
	Form   int
	Memory memory
}

// Checkpoint returns what this guard remembers: what Restore needs in place of the records that it was told (H-042).
func (g *Guard) Checkpoint() ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b, err := json.Marshal(checkpoint{checkpointForm, g.mem})
	if err != nil {
		return nil, fmt.Errorf("write checkpoint: %w", err)
	}
	return b, nil
}

// Restore takes a checkpoint in place of everything that was told before: it holds that too. Each device that was ever
// asked has its whole gap once more and has spent its budgets, as after Replay.
func (g *Guard) Restore(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	c := checkpoint{Memory: newMemory()}
	if err := d.Decode(&c); err != nil {
		return fmt.Errorf("read checkpoint: %w", err)
	}
	if c.Form != checkpointForm || d.More() {
		return errors.New("read checkpoint: it was written by another version of the agent")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.boot()
	for k, gap := range c.Memory.Gaps {
		c.Memory.hushed[k] = now + gap
	}
	g.mem, g.budgets = c.Memory, budget.New(g.cfg.Policy)
	if len(g.mem.Gaps) > 0 {
		g.budgets.SpendNames(slices.Collect(maps.Keys(g.mem.Gaps)), now)
	}
	return nil
}
