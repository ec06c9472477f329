package inventory

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The bounds of a file.
const (
	MaxSize = 3 << 20
	maxRows = 20_000
	maxCell = 2048
	// maxProblems ends the reading of a file that is not what it should be.
	maxProblems = 1000
)

// Parse reads a file that somebody gives now. When there is a problem, there are no rows. Fields are separated by commas, or
// by semicolons where the header line has no comma.
func Parse(text []byte, now time.Time) ([]Row, []Problem) {
	if len(text) > MaxSize {
		return nil, []Problem{{Words: fmt.Sprintf("the file has %d octets; at most %d are taken", len(text), MaxSize)}}
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(text) {
		return nil, []Problem{{Row: badLine(text), Words: "this line is not UTF-8; export the file as UTF-8"}}
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1
	if head, _, _ := bytes.Cut(text, []byte("\n")); !bytes.Contains(head, []byte(",")) && bytes.Contains(head, []byte(";")) {
		r.Comma = ';'
	}
	header, err := r.Read()
	if err != nil {
		return nil, []Problem{{Row: 1, Words: "there is no header line with the names of the columns"}}
	}
	header, problems := parseHeader(header)
	if len(problems) > 0 {
		return nil, problems
	}
	f := &file{header: header, now: now, tags: map[string]int{}, addresses: map[string]int{}}
	for row := 2; ; row++ {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			f.add(row, "", "the quotation marks of this line do not match; nothing after it was read")
			break
		}
		if row > maxRows+1 {
			f.add(row, "", fmt.Sprintf("the file has more than %d devices", maxRows))
			break
		}
		f.read(row, fields)
		if len(f.problems) >= maxProblems {
			f.add(row, "", "nothing after this line was read, for there are too many problems")
			break
		}
	}
	if len(f.rows) == 0 && len(f.problems) == 0 {
		f.add(1, "", "there is no device after the header line")
	}
	if len(f.problems) > 0 {
		return nil, f.problems
	}
	return f.rows, nil
}

func badLine(text []byte) int {
	line := 1
	for l := range bytes.Lines(text) {
		if !utf8.Valid(l) {
			break
		}
		line++
	}
	return line
}

func parseHeader(header []string) ([]string, []Problem) {
	var problems []Problem
	names := make([]string, len(header))
	for i, h := range header {
		name := strings.ToLower(strings.TrimSpace(h))
		switch {
		case !slices.Contains(Columns(), name):
			problems = append(problems, Problem{1, shown(h), fmt.Sprintf("there is no column %q; the columns are %s", shown(h), strings.Join(Columns(), ", "))})
		case slices.Contains(names[:i], name):
			problems = append(problems, Problem{1, name, "this column stands twice"})
		}
		names[i] = name
	}
	for _, name := range required() {
		if !slices.Contains(names, name) {
			problems = append(problems, Problem{1, name, "this column is required"})
		}
	}
	return names, problems
}

type file struct {
	header    []string
	now       time.Time
	rows      []Row
	problems  []Problem
	tags      map[string]int
	addresses map[string]int
}

func (f *file) add(row int, column, words string) {
	f.problems = append(f.problems, Problem{row, column, words})
}

func (f *file) read(row int, fields []string) {
	if len(fields) != len(f.header) {
		f.add(row, "", fmt.Sprintf("this line has %d cells, and the header line %d", len(fields), len(f.header)))
		return
	}
	cells := map[string]string{}
	for i, text := range fields {
		if text = unguard(strings.TrimSpace(text)); text != "" {
			cells[f.header[i]] = text
		}
	}
	problems := check(cells)
	if len(problems) == 0 {
		problems = checkDays(cells, f.now)
	}
	for _, p := range problems {
		f.add(row, p.Column, p.Words)
	}
	f.unique(row, "asset_tag", cells["asset_tag"], f.tags)
	f.unique(row, "ip", cells["ip"], f.addresses)
	if len(problems) == 0 {
		f.rows = append(f.rows, Row{cells})
	}
}

func (f *file) unique(row int, column, value string, seen map[string]int) {
	if value == "" {
		return
	}
	if first, ok := seen[value]; ok {
		f.add(row, column, fmt.Sprintf("%s stands in line %d too", shown(value), first))
		return
	}
	seen[value] = row
}

// shown makes text of a file safe to show again.
func shown(s string) string {
	s = strings.Map(func(r rune) rune {
		if printableRune(r) {
			return r
		}
		return '?'
	}, s)
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "..."
	}
	return s
}
