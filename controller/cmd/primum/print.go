package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// plain makes text of devices and servers safe on a terminal: no control character, no change of the
// writing direction.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unsafe(r) {
			return '?'
		}
		return r
	}, s)
}

func unsafe(r rune) bool {
	return r == unicode.ReplacementChar || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}

// paper is text in lines, made safe line by line.
func paper(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = plain(lines[i])
	}
	return strings.Join(lines, "\n")
}

// escapedLines is JSON in lines, with the same meaning, made safe line by line.
func escapedLines(doc string) string {
	lines := strings.Split(doc, "\n")
	for i := range lines {
		lines[i] = escaped(lines[i])
	}
	return strings.Join(lines, "\n")
}

// say prints one line; every text in it is made safe. Where JSON was asked for, the lines of a command that
// has no document of its own are kept for one (flush).
func (e *env) say(format string, args ...any) {
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = plain(s)
		}
	}
	if e.json {
		e.said = append(e.said, fmt.Sprintf(format, args...))
		return
	}
	fmt.Fprintf(e.out, format+"\n", args...)
}

// flush prints what was said, where JSON was asked for.
func (e *env) flush() {
	if len(e.said) > 0 {
		_ = e.data(map[string][]string{"said": e.said}, nil) // standard output is gone: nothing more to say
		e.said = nil
	}
}

// data is show for a document that is no message of the controller.
func (e *env) data(v any, text func()) error {
	if !e.json {
		text()
		return nil
	}
	b, err := json.Marshal(v)
	if err == nil {
		_, err = fmt.Fprintln(e.out, escaped(string(b)))
	}
	return err
}

// show prints an answer as JSON where that was asked for, else by the function.
func (e *env) show(m proto.Message, text func()) error {
	if !e.json {
		text()
		return nil
	}
	b, err := protojson.Marshal(m)
	if err == nil {
		_, err = fmt.Fprintln(e.out, escaped(string(b)))
	}
	return err
}

// escaped keeps JSON the same document and makes it safe on a terminal: what plain takes away can stand
// in strings alone, where an escape means the same.
func escaped(doc string) string {
	var b strings.Builder
	for _, r := range doc {
		if !unsafe(r) {
			b.WriteRune(r)
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, "\\u%04x", u)
		}
	}
	return b.String()
}

// table prints rows in columns.
func (e *env) table(header []string, rows [][]string) {
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	line := func(cells []string) {
		for i := range cells {
			cells[i] = plain(cells[i])
		}
		_, _ = io.WriteString(w, strings.Join(cells, "\t")+"\n") // to memory; Flush tells
	}
	line(header)
	for _, r := range rows {
		line(r)
	}
	_ = w.Flush() // standard output is gone: nothing more to say
}

func when(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().UTC().Format(time.DateTime) + " UTC"
}

// tag takes the collection off a device's name, where an asset tag is asked for.
func tag(name string) string { return strings.TrimPrefix(name, "devices/") }

func tags(names []string) []string {
	var out []string
	for _, n := range names {
		out = append(out, tag(n))
	}
	return out
}

// within puts the collection before a bare name.
func within(collection, name string) string {
	if strings.HasPrefix(name, collection+"/") {
		return name
	}
	return collection + "/" + name
}

func short(name string) string {
	_, after, ok := strings.Cut(name, "/")
	if !ok {
		return name
	}
	return after
}
