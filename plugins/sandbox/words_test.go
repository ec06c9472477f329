package sandbox

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWordsAreCappedEachSecondAndTheCutIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		ended := 0
		w := &words{log: slog.New(slog.NewTextHandler(&out, nil)), flooded: func() { ended++ }}
		line := []byte(strings.Repeat("x", 99) + "\n")
		for range 2000 { // 200 kB in no time
			if n, err := w.Write(line); n != len(line) || err != nil {
				t.Fatalf("write took %d, %v", n, err)
			}
		}
		if n := strings.Count(out.String(), "plugin says\""); n > maxWordsPerSecond/100+1 {
			t.Errorf("%d lines within a second", n)
		}
		time.Sleep(time.Second)
		_, _ = w.Write([]byte("later\n"))
		if !strings.Contains(out.String(), "words dropped") || !strings.Contains(out.String(), "later") {
			t.Error("the cut is not told, or the words after it are lost")
		}
		if ended != 0 {
			t.Error("200 kB ended the plugin")
		}
		for range 3 * maxFlood / len(line) {
			_, _ = w.Write(line)
		}
		if ended != 1 {
			t.Errorf("a flood ended the plugin %d times", ended)
		}
	})
}

// B9, H-024: what a plugin says is its word, on one line, and no structure of ours.
func TestWordsForgeNoRecord(t *testing.T) {
	var out bytes.Buffer
	w := &words{log: slog.New(slog.NewTextHandler(&out, nil))}
	_, _ = w.Write([]byte("a\x1b[2J\rlevel=ERROR msg=forged\n{\"@level\":\"error\"}\n" + strings.Repeat("y", 5000)))
	last := w.close()
	if got := strings.Count(out.String(), "\n"); got != 2+5 {
		t.Errorf("%d records:\n%s", got, out.String())
	}
	for _, s := range []string{out.String(), last} {
		if strings.ContainsAny(s, "\x1b\r") || strings.Contains(s, "\nlevel=ERROR") {
			t.Errorf("escapes in %q", s)
		}
	}
	if len(last) > maxLastWords+2 {
		t.Errorf("last words have %d octets", len(last))
	}
}

// bare hands on what it is given, as a handler might that trusts its callers.
type bare struct {
	slog.Handler
	texts *[]string
}

func (bare) Enabled(context.Context, slog.Level) bool { return true }
func (b bare) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool { *b.texts = append(*b.texts, a.Value.String()); return true })
	return nil
}

func TestWordsAreHarmlessWhateverTheLogDoesWithThem(t *testing.T) {
	var texts []string
	w := &words{log: slog.New(bare{texts: &texts})}
	_, _ = w.Write([]byte("\x1b[31m\u202ered\x00\x85\xff\"\r\n"))
	w.close()
	if len(texts) != 1 || texts[0] != `"\x1b[31m\u202ered\x00\x85\xff\"\r"` {
		t.Errorf("%q", texts)
	}
}

func FuzzStdio(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if data := stdioData(b); len(data) > len(b) || !bytes.Contains(b, data) {
			t.Errorf("% x gives % x", b, data)
		}
	})
}
