// Package mds2 reads a Manufacturer Disclosure Statement for Medical Device Security (ANSI/NEMA HN
// 1-2019) as a spreadsheet or CSV: what a manufacturer has answered about one model. The answers stand
// beside a decision; they decide nothing. The package opens no file.
package mds2

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

// Bounds of what is read.
const (
	MaxSize  = 8 << 20 // octets of a file
	maxRows  = 5000
	maxSheet = 20
	maxText  = 2000 // octets of an answer
)

// Form is one filled-in form.
type Form struct {
	Maker   string            `json:"maker"`   // DOC-1
	Model   string            `json:"model"`   // DOC-3
	Version string            `json:"version"` // of the document: DOC-4
	Date    string            `json:"date"`    // DOC-7, as it stands
	Answers map[string]string `json:"answers"` // question id, as SAHD-13, to Yes, No, N/A, See Note or text
}

// Answer is one answer that concerns whether a device may be asked.
type Answer struct{ ID, Question, Text string }

// concerns are the questions that stand beside a decision, with what they ask in our words.
func concerns() []Answer {
	return []Answer{
		{"SAHD-13", "documentation tells of network security checks by users", ""},
		{"CONN-2", "list of ports and protocols is provided", ""},
		{"SAHD-8", "ports that are not needed are closed", ""},
		{"NAUT-1", "nodes are authenticated", ""},
		{"NAUT-2", "network access is controlled by a firewall or white list", ""},
	}
}

// Beside returns the answers that stand beside a decision; a question without an answer says so.
func (f Form) Beside() []Answer {
	all := concerns()
	for i := range all {
		all[i].Text = f.Answers[all[i].ID]
		if all[i].Text == "" {
			all[i].Text = "not answered"
		}
	}
	return all
}

var questionID = regexp.MustCompile(`^[A-Z]{3,4}-[0-9]{1,2}(\.[0-9]{1,2})*$`)

// Read reads a form: an XLSX file (by its first octets) or CSV in UTF-8. It fails when the text is no
// form, names no maker or model, or has a question twice with two answers.
func Read(name string, text []byte) (Form, error) {
	if len(text) > MaxSize {
		return Form{}, fmt.Errorf("MDS2 %s: %d octets; at most %d are read", name, len(text), MaxSize)
	}
	var rows [][]string
	var err error
	if bytes.HasPrefix(text, []byte("PK\x03\x04")) {
		rows, err = spreadsheet(text)
	} else {
		rows, err = plain(text)
	}
	if err != nil {
		return Form{}, fmt.Errorf("MDS2 %s: %w", name, err)
	}
	f := Form{Answers: map[string]string{}}
	for n, row := range rows {
		k := slices.IndexFunc(row, func(cell string) bool { return questionID.MatchString(strings.TrimSpace(cell)) })
		if k < 0 {
			continue
		}
		id := strings.TrimSpace(row[k])
		answer := ""
		for _, cell := range row[min(k+2, len(row)):] { // after the question's own words
			if cell = strings.TrimSpace(cell); cell != "" {
				answer = cell
				break
			}
		}
		if len(answer) > maxText {
			return Form{}, fmt.Errorf("MDS2 %s: row %d: %s: the answer has %d octets; at most %d", name, n+1, id, len(answer), maxText)
		}
		if had, twice := f.Answers[id]; twice && had != answer {
			return Form{}, fmt.Errorf("MDS2 %s: row %d: %s is answered twice, %q and %q", name, n+1, id, had, answer)
		}
		f.Answers[id] = answer
	}
	f.Maker, f.Model, f.Version, f.Date = f.Answers["DOC-1"], f.Answers["DOC-3"], f.Answers["DOC-4"], f.Answers["DOC-7"]
	switch {
	case len(f.Answers) < 10:
		return Form{}, fmt.Errorf("MDS2 %s: %d questions were found; a form of HN 1-2019 has far more: is it one?", name, len(f.Answers))
	case f.Maker == "" || f.Model == "":
		return Form{}, fmt.Errorf("MDS2 %s: the maker (DOC-1) or the model (DOC-3) is not filled in", name)
	}
	return f, nil
}

func plain(text []byte) ([][]string, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("it is not UTF-8 text, and no XLSX file")
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1
	if first, _, _ := bytes.Cut(text, []byte("\n")); bytes.Count(first, []byte(";")) > bytes.Count(first, []byte(",")) {
		r.Comma = ';'
	}
	var rows [][]string
	for {
		row, err := r.Read()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		if len(rows) == maxRows {
			return nil, fmt.Errorf("more than %d rows", maxRows)
		}
		rows = append(rows, row)
	}
}

// spreadsheet reads every sheet. The library bounds what an archive may unpack to.
func spreadsheet(text []byte) (rows [][]string, err error) {
	f, err := excelize.OpenReader(bytes.NewReader(text), excelize.Options{UnzipSizeLimit: 64 << 20, UnzipXMLSizeLimit: 32 << 20, RawCellValue: false})
	if err != nil {
		return nil, fmt.Errorf("read spreadsheet: %w", err)
	}
	defer func() {
		if closing := f.Close(); err == nil && closing != nil {
			err = fmt.Errorf("read spreadsheet: %w", closing)
		}
	}()
	sheets := f.GetSheetList()
	if len(sheets) > maxSheet {
		return nil, fmt.Errorf("%d sheets; at most %d are read", len(sheets), maxSheet)
	}
	for _, sheet := range sheets {
		it, err := f.Rows(sheet)
		if err != nil {
			return nil, fmt.Errorf("read sheet %s: %w", sheet, err)
		}
		for it.Next() {
			if len(rows) == maxRows {
				return nil, fmt.Errorf("more than %d rows", maxRows)
			}
			row, err := it.Columns()
			if err != nil {
				return nil, fmt.Errorf("read sheet %s: %w", sheet, err)
			}
			rows = append(rows, row)
		}
		if err := it.Close(); err != nil {
			return nil, fmt.Errorf("read sheet %s: %w", sheet, err)
		}
	}
	return rows, nil
}
