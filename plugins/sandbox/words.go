package sandbox

import (
	"bytes"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

const (
	maxWordsPerSecond = 64 << 10
	maxLine           = 1 << 10
	maxLastWords      = 512
	// maxFlood is what may be dropped within a second: reading is work too, and it is the agent's.
	maxFlood = 4 << 20
)

// words takes what a plugin prints. Each line becomes one record, quoted, marked as the plugin's
// word; a flood is cut and the cut is told (B9, H-008, H-024). It never parses: a level or a key in the
// text stays text.
type words struct {
	log     *slog.Logger
	flooded func() // ends the plugin; called once a second at most

	mu      sync.Mutex // guards what follows
	partial []byte
	last    []byte
	second  time.Time
	spent   int
	dropped int
}

// Write takes a piece of output. It never fails, so that the plugin never blocks on its own noise.
func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(p)
	if now := time.Now(); now.Sub(w.second) >= time.Second {
		w.tellDropped()
		w.second, w.spent = now, 0
	}
	if room := maxWordsPerSecond - w.spent; len(p) > room {
		before := w.dropped
		w.dropped += len(p) - room
		if before < maxFlood && w.dropped >= maxFlood {
			w.flooded()
		}
		p = p[:room]
	}
	w.spent += len(p)
	for len(p) > 0 {
		line, rest, whole := bytes.Cut(p, []byte{'\n'})
		if room := maxLine - len(w.partial); len(line) > room {
			w.partial = append(w.partial, line[:room]...)
			p = p[room:]
			w.flush()
			continue
		}
		w.partial = append(w.partial, line...)
		p = rest
		if whole {
			w.flush()
		}
	}
	return n, nil
}

// close tells what is left, and returns the last words as a quoted text.
func (w *words) close() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flush()
	w.tellDropped()
	return strconv.QuoteToASCII(string(bytes.TrimSpace(w.last)))
}

func (w *words) flush() {
	if len(bytes.TrimSpace(w.partial)) > 0 {
		w.log.Info("plugin says", "words", strconv.QuoteToASCII(string(w.partial)))
		w.last = append(w.last, w.partial...)
		w.last = append(w.last, ' ')
		if cut := len(w.last) - maxLastWords; cut > 0 {
			w.last = append(w.last[:0], w.last[cut:]...)
		}
	}
	w.partial = w.partial[:0]
}

func (w *words) tellDropped() {
	if w.dropped > 0 {
		w.log.Warn("plugin says too much, words dropped", "octets", w.dropped)
		w.dropped = 0
	}
}
