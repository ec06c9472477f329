package mds2

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"primum/safetylists/alloctest"
)

// form is a small form of a fictional product, laid out as HN 1-2019 lays its sheet out: id, question,
// answer, note.
func form() [][]string {
	rows := [][]string{{"Question ID", "Question", "", "See note"},
		{"DOC-1", "Manufacturer Name", "Ostrava Instruments"}, {"DOC-2", "Device Description", "Bedside flow meter"}, {"DOC-3", "Device Model", "Hummingbird"},
		{"DOC-4", "Document ID", "MDS2-HB-3"}, {"DOC-7", "Document Release Date", "2026-03-20"}, {"", "CONNECTIVITY CAPABILITIES (CONN)"},
		{"CONN-2", "Does the manufacturer provide a list of network ports and protocols?", "Yes", "see 4.1"}, {"CONN-2.1", "Are they configurable?", "", "Note 3"},
		{"SAHD-8", "Are unneeded ports disabled?", "Yes"}, {"SAHD-13", "Is information on security scanning by users included?", "No"}, {"NAUT-1", "Node authentication?", "N/A"}}
	return rows
}

func asCSV(rows [][]string, comma string) []byte {
	var b strings.Builder
	for _, r := range rows {
		for i, c := range r {
			if i > 0 {
				b.WriteString(comma)
			}
			fmt.Fprintf(&b, "%q", c)
		}
		b.WriteString("\r\n")
	}
	return []byte(b.String())
}

func asXLSX(t *testing.T, rows [][]string) []byte {
	t.Helper()
	f := excelize.NewFile()
	if _, err := f.NewSheet("MDS2"); err != nil {
		t.Fatal(err)
	}
	for i, r := range rows {
		for k, c := range r {
			cell, err := excelize.CoordinatesToCellName(k+2, i+3)
			if err == nil {
				err = f.SetCellStr("MDS2", cell, c)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAFormIsReadFromCSVAndSpreadsheetAlike(t *testing.T) {
	want := Form{Maker: "Ostrava Instruments", Model: "Hummingbird", Version: "MDS2-HB-3", Date: "2026-03-20", Answers: map[string]string{
		"DOC-1": "Ostrava Instruments", "DOC-2": "Bedside flow meter", "DOC-3": "Hummingbird", "DOC-4": "MDS2-HB-3", "DOC-7": "2026-03-20", "CONN-2": "Yes",
		"CONN-2.1": "Note 3", "SAHD-8": "Yes", "SAHD-13": "No", "NAUT-1": "N/A"}}
	for name, text := range map[string][]byte{"csv": asCSV(form(), ","), "csv with semicolons": asCSV(form(), ";"),
		"csv with a mark": append([]byte("\xef\xbb\xbf"), asCSV(form(), ",")...), "xlsx": asXLSX(t, form())} {
		got, err := Read(name, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	beside := want.Beside()
	if len(beside) != 5 || beside[0].ID != "SAHD-13" || beside[0].Text != "No" || beside[4].Text != "not answered" {
		t.Errorf("beside a decision: %+v", beside)
	}
}

func TestWhatIsNoFormIsRefused(t *testing.T) {
	with := func(change func([][]string) [][]string) []byte { return asCSV(change(form()), ",") }
	for name, c := range map[string]struct {
		text []byte
		says string
	}{
		"nothing":            {nil, "0 questions"},
		"another table":      {[]byte("a,b\n1,2\n"), "0 questions"},
		"no maker":           {with(func(r [][]string) [][]string { r[1][2] = " "; return r }), "DOC-1"},
		"no model":           {with(func(r [][]string) [][]string { r[3][2] = ""; return r }), "DOC-3"},
		"two answers":        {with(func(r [][]string) [][]string { return append(r, []string{"SAHD-13", "again", "Yes"}) }), "row 13: SAHD-13 is answered twice"},
		"Latin-1":            {[]byte("DOC-1,Maker,Dr\xe4ger\n"), "not UTF-8"},
		"half a spreadsheet": {asXLSX(t, form())[:200], "spreadsheet"},
		"an open quote":      {[]byte("DOC-1,\"Maker\n"), "MDS2 an open quote"},
		"a long answer":      {with(func(r [][]string) [][]string { r[2][2] = strings.Repeat("x", maxText+1); return r }), "row 3: DOC-2"},
		"too much":           {make([]byte, MaxSize+1), "at most"},
	} {
		if _, err := Read(name, c.text); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(asCSV(form(), ","))
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var form Form
		var err error
		alloctest.Bounded(t, text, 500, 80<<20, func() { form, err = Read("fuzz", text) })
		if err == nil && (form.Maker == "" || form.Model == "") {
			t.Error("a form of nobody")
		}
	})
}
