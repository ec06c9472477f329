package inventory

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
)

// Write writes rows as a file that [Parse] reads back to the same rows.
func Write(w io.Writer, rows []Row) error {
	out := csv.NewWriter(w)
	columns := Columns()
	if err := out.Write(columns); err != nil {
		return fmt.Errorf("write inventory: %w", err)
	}
	fields := make([]string, len(columns))
	for _, r := range rows {
		for i, c := range columns {
			fields[i] = Guard(r.cells[c])
		}
		if err := out.Write(fields); err != nil {
			return fmt.Errorf("write inventory: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write inventory: %w", err)
	}
	return nil
}

const formula = "=+-@"

// Guard keeps a spreadsheet from taking a cell for a formula: it puts a ' before one that begins like
// it, and before one that a guard could be mistaken in.
func Guard(cell string) string {
	if rest := strings.TrimLeft(cell, "'"); rest != "" && strings.IndexByte(formula, rest[0]) >= 0 {
		return "'" + cell
	}
	return cell
}

// unguard takes back what Guard did.
func unguard(cell string) string {
	rest := strings.TrimLeft(cell, "'")
	if len(rest) < len(cell) && rest != "" && strings.IndexByte(formula, rest[0]) >= 0 {
		return cell[1:]
	}
	return cell
}
