// Package inventory reads and writes the devices of a hospital as its maintenance system (CMMS) knows
// them, and makes of each row what a decision needs. It takes a file whole or not at all, says of
// every bad row where and why, and never changes a key. It opens no connection.
//
// Start at [Parse] and [Row.Device].
package inventory

// Columns are the columns of the file, in order.
func Columns() []string {
	return []string{
		"asset_tag", "manufacturer", "model", "serial", "firmware", "department", "location",
		"clinical_use", "risk_class", "owner", "mac", "ip", "ae_title", "dicom_port", "hl7_port",
		"hl7_application", "hl7_facility", "snmp_version", "snmp_port", "cmms_status", "cmms_status_at",
		"firmware_attested_by", "firmware_attested_on",
		"address_attested", "address_attested_by", "address_attested_on", "address_attested_until", "out_of_use_confirmed_by",
		"out_of_use_confirmed_until", "licensed_options", "tls_pin", "hl7_connections", "notes",
	}
}

// required are the columns that a file has to have, and the cells that a row has to fill.
func required() []string { return []string{"asset_tag", "manufacturer", "model"} }

// Row is one device as the file has it. The zero value is no device.
type Row struct {
	cells map[string]string // checked; empty cells are left out
}

// Cell returns a cell, empty where the file has none.
func (r Row) Cell(column string) string { return r.cells[column] }

// Tag is the asset tag, the key.
func (r Row) Tag() string { return r.cells["asset_tag"] }

// Cells returns the filled cells by column. The caller must not change them.
func (r Row) Cells() map[string]string { return r.cells }

// Restore makes a row of cells that were checked when they were imported, and checks them again.
func Restore(cells map[string]string) (Row, error) {
	kept := map[string]string{}
	for _, c := range Columns() {
		if cells[c] != "" {
			kept[c] = cells[c]
		}
	}
	if p := check(kept); len(p) > 0 {
		return Row{}, &p[0]
	}
	return Row{kept}, nil
}

// Problem is one fault of a file. It is an error too, where one is enough.
type Problem struct {
	Row    int // line of the spreadsheet, the header being 1
	Column string
	Words  string
}

// Error returns the words with their column.
func (p *Problem) Error() string { return p.Column + ": " + p.Words }
