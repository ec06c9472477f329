package evidence

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Fault says what is wrong in a file of evidence, and where.
type Fault struct {
	Record uint64 // number; 0: before the first record
	Octet  int64  // of the file, from 0
	What   string
}

// Error implements error.
func (f *Fault) Error() string {
	if f.Record == 0 {
		return fmt.Sprintf("octet %d: %s", f.Octet, f.What)
	}
	return fmt.Sprintf("record %d, octet %d: %s", f.Record, f.Octet, f.What)
}

const maxLine = 512

// lines reads a file of evidence and knows at which octet it is.
type lines struct {
	r      *bufio.Reader
	place  int64
	record uint64 // that is read
}

func newLines(r io.Reader) *lines { return &lines{r: bufio.NewReaderSize(r, 64<<10)} }

func (l *lines) fault(at int64, format string, args ...any) *Fault {
	return &Fault{Record: l.record, Octet: at, What: fmt.Sprintf(format, args...)}
}

// line reads to the next line end, and returns the text without it and its place.
func (l *lines) line() (text string, at int64, err error) {
	at = l.place
	var b []byte
	for {
		c, err := l.r.ReadByte()
		if errors.Is(err, io.EOF) {
			return "", at, l.fault(l.place, "the file ends here, in the middle")
		}
		if err != nil {
			return "", at, err
		}
		l.place++
		if c == '\n' {
			return string(b), at, nil
		}
		if len(b) == maxLine {
			return "", at, l.fault(at, "no line of a file of evidence is so long")
		}
		b = append(b, c)
	}
}

// named reads a line that has to begin with a name.
func (l *lines) named(name string) (value string, at int64, err error) {
	text, at, err := l.line()
	if err != nil {
		return "", at, err
	}
	value, ok := strings.CutPrefix(text, name+" ")
	if !ok {
		return "", at, l.fault(at+differ(text, name+" "), "the line %q should begin with %q", text, name)
	}
	return value, at, nil
}

// differ is the first place where two texts are not the same.
func differ(a, b string) int64 {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return int64(n)
}

// numbers reads as many numbers as a line has to have, each in its one way of writing.
func (l *lines) numbers(value string, at int64, n int) ([]uint64, error) {
	words := strings.Split(value, " ")
	if len(words) != n {
		return nil, l.fault(at, "the line has %d numbers, not %d", len(words), n)
	}
	out := make([]uint64, n)
	for i, w := range words {
		v, err := strconv.ParseUint(w, 10, 62)
		if err != nil || strconv.FormatUint(v, 10) != w {
			return nil, l.fault(at, "%q is not a number", w)
		}
		out[i] = v
	}
	return out, nil
}

// take reads as many octets as a line has said.
func (l *lines) take(n, most uint64, at int64) (b []byte, place int64, err error) {
	if n > most {
		return nil, 0, l.fault(at, "it says %d octets; at most %d", n, most)
	}
	place, b = l.place, make([]byte, n)
	got, err := io.ReadFull(l.r, b)
	l.place += int64(got)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, 0, l.fault(l.place, "the file ends here, in the middle")
	}
	return b, place, err
}

// end holds that nothing follows.
func (l *lines) end() error {
	if _, err := l.r.ReadByte(); err == nil {
		return l.fault(l.place, "something stands after the end")
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
