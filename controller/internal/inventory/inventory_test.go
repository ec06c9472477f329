package inventory

import (
	"bytes"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	list "primum/safetylists"
)

const head = "asset_tag,manufacturer,model,firmware,risk_class,mac,ip,snmp_version,firmware_attested_by,firmware_attested_on\n"

var today = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func TestParseMakesADevice(t *testing.T) {
	rows, problems := Parse([]byte(head+"10-1001,Acme,Monitor 7,2.8.0,Life-Support,00-10-5D-01-02-03,10.0.0.7,2c,M. Lindqvist,2026-11-20\n"), today)
	if len(problems) > 0 || len(rows) != 1 {
		t.Fatalf("rows %v, problems %v", rows, problems)
	}
	d := rows[0].Device(&list.Claim{Source: list.Answer, Version: "2.8.1"})
	if d.ID != "10-1001" || d.Class != list.LifeSupport || d.MAC != "00:10:5d:01:02:03" || d.Address.String() != "10.0.0.7" || d.SNMPPort != 161 {
		t.Errorf("device = %+v", d)
	}
	var sources []list.Source
	for _, c := range d.Claims {
		sources = append(sources, c.Source)
	}
	if diff := cmp.Diff([]list.Source{list.CMMS, list.Attestation, list.Answer}, sources); diff != "" {
		t.Error(diff)
	}
}

// The version that a device is registered with is the only one that it can be asked in; no version, no port.
func TestADeviceIsRegisteredWithTheSNMPVersionOfItsRow(t *testing.T) {
	for cell, want := range map[string]list.Endpoints{
		"":   {},
		"1":  {SNMPPort: 161, SNMPVersion: list.SNMPv1},
		"v1": {SNMPPort: 161, SNMPVersion: list.SNMPv1},
		"2c": {SNMPPort: 161},
		"3":  {SNMPPort: 161, SNMPVersion: list.SNMPv3},
	} {
		rows, problems := Parse([]byte("asset_tag,manufacturer,model,snmp_version\n1,A,B,"+cell+"\n"), today)
		if len(problems) != 0 {
			t.Fatalf("%q: %v", cell, problems)
		}
		if got := rows[0].Device(nil).Endpoints; got != want {
			t.Errorf("%q: %+v", cell, got)
		}
	}
}

func TestACertificatePinIsTakenAsPeopleCopyIt(t *testing.T) {
	const pin = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	for cell, ok := range map[string]bool{pin: true, strings.ToUpper(pin): true, strings.ToUpper(pin[:2] + ":" + pin[2:]): true, pin[1:]: false, "sha256 " + pin: false, strings.Repeat("g", 64): false} {
		rows, problems := Parse([]byte("asset_tag,manufacturer,model,tls_pin\n1,A,B,"+cell+"\n"), today)
		if (len(problems) == 0) != ok {
			t.Errorf("%q: %v", cell, problems)
		}
		if ok && rows[0].Device(nil).TLSPin != pin {
			t.Errorf("%q: %q", cell, rows[0].Device(nil).TLSPin)
		}
	}
}

func TestParseSaysWhereAndWhy(t *testing.T) {
	const all = "asset_tag,manufacturer,model,ip,mac,hl7_port,risk_class,ae_title,hl7_facility,snmp_version,firmware,firmware_attested_by,firmware_attested_on,out_of_use_confirmed_by,out_of_use_confirmed_until\n"
	pad := func(cells string) string {
		return all + cells + strings.Repeat(",", 14-strings.Count(cells, ",")) + "\n"
	}
	for name, c := range map[string]struct {
		text   string
		row    int
		column string
		words  string
	}{
		"empty file":          {"", 1, "", "no header"},
		"only header":         {head, 1, "", "no device"},
		"unknown column":      {"asset_tag,manufacturer,model,colour\n", 1, "colour", `no column "colour"`},
		"column twice":        {"asset_tag,manufacturer,model,model\n", 1, "model", "twice"},
		"column missing":      {"asset_tag,model\n", 1, "manufacturer", "required"},
		"tag missing":         {pad(",A,B"), 2, "asset_tag", "required"},
		"tag too long":        {pad(strings.Repeat("x", 65) + ",A,B"), 2, "asset_tag", "at most 64"},
		"number of cells":     {"asset_tag,manufacturer,model\n1,A\n", 2, "", "has 2 cells"},
		"ip":                  {pad("1,A,B,10.0.0.300"), 2, "ip", "10.0.0.300 is not the address"},
		"multicast":           {pad("1,A,B,224.0.0.1"), 2, "ip", "not the address"},
		"zone":                {pad("1,A,B,fe80::1%eth0"), 2, "ip", "not the address"},
		"mac":                 {pad("1,A,B,,00:10:5d"), 2, "mac", "not a MAC"},
		"port":                {pad("1,A,B,,,70000"), 2, "hl7_port", "not a port"},
		"class":               {pad("1,A,B,,,,very"), 2, "risk_class", "not a class"},
		"ae title":            {pad("1,A,B,,,,,any scp"), 2, "ae_title", "not a registered AE title"},
		"hl7 facility":        {pad("1,A,B,,,,,,A|B"), 2, "hl7_facility", "without |"},
		"snmp version":        {pad("1,A,B,,,,,,,2"), 2, "snmp_version", "not a version"},
		"attested no version": {pad("1,A,B,,,,,,,,,Me,2026-01-01"), 2, "firmware", "none is stated"},
		"attested no date":    {pad("1,A,B,,,,,,,,1,Me"), 2, "firmware_attested_on", "no date"},
		"attested bad date":   {pad("1,A,B,,,,,,,,1,Me,1.1.2026"), 2, "firmware_attested_on", "not a date"},
		"out of use":          {pad("1,A,B,,,,,,,,,,,Me,tomorrow"), 2, "out_of_use_confirmed_until", "not a time"},
		"tag twice":           {pad("1,A,B") + "1,A,C,,,,,,,,,,,,\n", 3, "asset_tag", "1 stands in line 2 too"},
		"ip twice":            {pad("1,A,B,10.0.0.1") + "2,A,C,10.0.0.1,,,,,,,,,,,\n", 3, "ip", "stands in line 2 too"},
		"control character":   {pad("1,A,B\x07"), 2, "model", "control character"},
		"writing direction":   {pad("1,A,B\u202e"), 2, "model", "direction"},
		"not utf-8":           {pad("1,A,B\xff"), 2, "", "not UTF-8"},
		"quotes":              {"asset_tag,manufacturer,model\n1,\"A,B\n", 2, "", "quotation marks"},
	} {
		t.Run(name, func(t *testing.T) {
			rows, problems := Parse([]byte(c.text), today)
			if len(rows) != 0 || len(problems) == 0 {
				t.Fatalf("rows %v, problems %v", rows, problems)
			}
			p := problems[0]
			if p.Row != c.row || p.Column != c.column || !strings.Contains(p.Words, c.words) {
				t.Errorf("problem = %+v; want row %d, column %q, %q", p, c.row, c.column, c.words)
			}
		})
	}
}

// H-045: a word about an address is of one address, one network card and one time; it does not pass on to another.
func TestAWordAboutAnAddressStandsWithWhatItIsOf(t *testing.T) {
	const columns = "asset_tag,manufacturer,model,mac,ip,address_attested,address_attested_by,address_attested_on,address_attested_until\n1,A,B,"
	rows, problems := Parse([]byte(columns+"02:00:00:00:00:01,10.0.0.7,10.0.0.7,M. Lindqvist,2026-11-01,2027-11-01\n"), today)
	if len(problems) != 0 {
		t.Fatal(problems)
	}
	d := rows[0].Device(nil)
	day := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	want := &list.FixedAddress{Address: netip.MustParseAddr("10.0.0.7"), MAC: "02:00:00:00:00:01", By: "M. Lindqvist", On: day, Until: day.AddDate(1, 0, 0)}
	if diff := cmp.Diff(want, d.Fixed, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
	for cells, column := range map[string]string{
		"02:00:00:00:00:01,10.0.0.8,10.0.0.7,M,2026-11-01,2027-01-01": "address_attested",
		"02:00:00:00:00:01,10.0.0.7,here,M,2026-11-01,2027-01-01":     "address_attested",
		"02:00:00:00:00:01,,10.0.0.7,M,2026-11-01,2027-01-01":         "address_attested",
		"02:00:00:00:00:01,10.0.0.7,,M,2026-11-01,2027-01-01":         "address_attested",
		"02:00:00:00:00:01,10.0.0.7,10.0.0.7,,2026-11-01,2027-01-01":  "address_attested_by",
		"02:00:00:00:00:01,10.0.0.7,10.0.0.7,M,,2027-01-01":           "address_attested_on",
		"02:00:00:00:00:01,10.0.0.7,10.0.0.7,M,1.11.2026,2027-01-01":  "address_attested_on",
		"02:00:00:00:00:01,10.0.0.7,10.0.0.7,M,2026-11-01,":           "address_attested_until",
		"02:00:00:00:00:01,10.0.0.7,10.0.0.7,M,2026-11-01,2027-11-03": "address_attested_until",
		"02:00:00:00:00:01,10.0.0.7,10.0.0.7,M,2026-11-01,2026-11-01": "address_attested_until",
		",10.0.0.7,10.0.0.7,M,2026-11-01,2027-01-01":                  "mac",
	} {
		rows, problems := Parse([]byte(columns+cells+"\n"), today)
		if len(rows) != 0 || len(problems) != 1 || problems[0].Column != column {
			t.Errorf("%s: %v", cells, problems)
		}
	}
	if d := (Row{cells: map[string]string{"ip": "10.0.0.7", "mac": "02:00:00:00:00:01"}}).Device(nil); d.Fixed != nil {
		t.Errorf("nobody's word: %+v", d.Fixed)
	}
}

// H-046: a status without the time at which it was true is evidence of nothing.
func TestAStatusOfTheCMMSNeedsItsTime(t *testing.T) {
	const columns = "asset_tag,manufacturer,model,cmms_status,cmms_status_at\n1,A,B,"
	for cells, want := range map[string]*list.CMMSStatus{
		"in storage,2026-11-24T07:00:00+01:00": {Text: "in storage", At: time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)},
		"in storage,":                          nil,
		",":                                    nil,
	} {
		rows, problems := Parse([]byte(columns+cells+"\n"), today)
		if len(problems) != 0 {
			t.Fatal(problems)
		}
		if diff := cmp.Diff(want, rows[0].Device(nil).Status); diff != "" {
			t.Errorf("%s: %s", cells, diff)
		}
	}
	for cells, column := range map[string]string{"in storage,2026-11-24": "cmms_status_at", "in storage,2026-11-24 07:00": "cmms_status_at", ",2026-11-24T07:00:00Z": "cmms_status"} {
		if rows, problems := Parse([]byte(columns+cells+"\n"), today); len(rows) != 0 || len(problems) != 1 || problems[0].Column != column {
			t.Errorf("%s: %v", cells, problems)
		}
	}
}

// A word of another time than the file's would hold for nothing, and whoever imports it would believe the contrary.
func TestWordsThatAreStillToComeOrHaveEndedAreNamed(t *testing.T) {
	const columns = "asset_tag,manufacturer,model,firmware,mac,ip,cmms_status,cmms_status_at,firmware_attested_by,firmware_attested_on," +
		"address_attested,address_attested_by,address_attested_on,address_attested_until,out_of_use_confirmed_by,out_of_use_confirmed_until\n1,A,B,1,02:00:00:00:00:01,10.0.0.7,"
	for cells, column := range map[string]string{
		"in storage,2026-11-28T12:01:00Z,M,2026-11-29,10.0.0.7,M,2026-11-29,2026-11-30,M,2026-11-29T00:01:00Z":      "", // today it is the 29th in Kiribati
		"in storage,2026-11-28T13:00:00+01:00,M,2020-01-01,10.0.0.7,M,2025-11-29,2026-11-29,M,2020-01-01T00:00:00Z": "",
		"in storage,2026-11-28T12:01:01Z,,,,,,,,": "cmms_status_at",
		",,M,2026-11-30,,,,,,":                    "firmware_attested_on",
		",,,,10.0.0.7,M,2026-11-30,2027-01-01,,":  "address_attested_on",
		",,,,10.0.0.7,M,2026-01-01,2026-11-28,,":  "address_attested_until",
		",,,,,,,,M,2026-11-29T00:01:01Z":          "out_of_use_confirmed_until",
		",,,,,,,,M,2028-01-01T00:00:00Z":          "out_of_use_confirmed_until",
	} {
		rows, problems := Parse([]byte(columns+cells+"\n"), today)
		switch {
		case column == "" && (len(rows) != 1 || len(problems) != 0):
			t.Errorf("%s: %v", cells, problems)
		case column != "" && (len(rows) != 0 || len(problems) != 1 || problems[0].Row != 2 || problems[0].Column != column):
			t.Errorf("%s: %v", cells, problems)
		}
	}
}

// What was taken once and has ended since is not refused when it is read again; it is said that it counts for nothing.
func TestWhatHasEndedSinceIsNoFaultOfWhatWasKept(t *testing.T) {
	row, err := Restore(map[string]string{"asset_tag": "1", "manufacturer": "A", "model": "B", "mac": "02:00:00:00:00:01", "ip": "10.0.0.7", "cmms_status": "in storage", "cmms_status_at": "2026-11-24T07:00:00Z",
		"address_attested": "10.0.0.7", "address_attested_by": "M", "address_attested_on": "2025-01-01", "address_attested_until": "2025-06-01", "out_of_use_confirmed_by": "M", "out_of_use_confirmed_until": "2026-11-28T12:00:00Z"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"the confirmation of its being out of use has ended", "its CMMS status is more than 72 hours old"}
	if diff := cmp.Diff(want, row.Over(today)); diff != "" {
		t.Error(diff)
	}
	if over := row.Over(today.Add(-48 * time.Hour)); over != nil {
		t.Error(over)
	}
}

func TestParseReportsEveryBadRowAndTakesNone(t *testing.T) {
	rows, problems := Parse([]byte("asset_tag,manufacturer,model,ip\n1,A,B,bad\n2,A,B,10.0.0.2\n3,A,B,worse\n"), today)
	if len(rows) != 0 || len(problems) != 2 || problems[0].Row != 2 || problems[1].Row != 4 {
		t.Errorf("rows %v, problems %v", rows, problems)
	}
}

func TestParseReadsSemicolonsAndAByteOrderMark(t *testing.T) {
	rows, problems := Parse([]byte("\xef\xbb\xbfAsset_Tag;manufacturer;model\r\n007;A;B, C\r\n"), today)
	if len(problems) > 0 || rows[0].Tag() != "007" || rows[0].Cell("model") != "B, C" {
		t.Errorf("rows %v, problems %v", rows, problems)
	}
}

func TestWriteKeepsASpreadsheetFromRunningACell(t *testing.T) {
	rows, problems := Parse([]byte("asset_tag,manufacturer,model,notes\n1,=HYPERLINK(1),@B,'quoted'\n2,'=A,B,-1\n"), today)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var out bytes.Buffer
	if err := Write(&out, rows); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"'=HYPERLINK(1)", "'@B", "'-1", "'quoted'"} {
		if !strings.Contains(out.String(), ","+want) {
			t.Errorf("no %s in %s", want, out.String())
		}
	}
	again, problems := Parse(out.Bytes(), today)
	if diff := cmp.Diff(rows, again, cmp.AllowUnexported(Row{})); diff != "" || len(problems) > 0 {
		t.Error(problems, diff)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(head + "10-1001,Acme,Monitor 7,2.8.0,Life-Support,00-10-5D-01-02-03,10.0.0.7,2c,M. Lindqvist,2026-11-20\n"))
	f.Add([]byte("asset_tag;manufacturer;model\n1;'=A;''@\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		rows, problems := Parse(text, today)
		if len(rows) > 0 && len(problems) > 0 {
			t.Fatal("rows and problems")
		}
		if len(problems) > maxProblems+64 {
			t.Fatalf("%d problems", len(problems))
		}
		if len(rows) == 0 {
			return
		}
		var out bytes.Buffer
		if err := Write(&out, rows); err != nil {
			t.Fatal(err)
		}
		again, problems := Parse(out.Bytes(), today)
		if diff := cmp.Diff(rows, again, cmp.AllowUnexported(Row{})); diff != "" || len(problems) > 0 {
			t.Errorf("%v after a round trip: %s\n%q", problems, diff, out.String())
		}
	})
}

func TestThePaperAboutTheFileNamesEveryColumnAndItsExampleIsTaken(t *testing.T) {
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Columns() {
		if !strings.Contains(string(b), "`"+c+"`") {
			t.Errorf("README.md does not name the column %s", c)
		}
	}
	_, example, _ := strings.Cut(string(b), "```\n")
	example, _, _ = strings.Cut(example, "```")
	rows, problems := Parse([]byte(example), today)
	if len(rows) != 1 || len(problems) != 0 {
		t.Fatalf("the example: %d rows, %v", len(rows), problems)
	}
	if d := rows[0].Device(nil); d.Fixed == nil || d.Status == nil {
		t.Errorf("the example attests no address, or has no status: %+v", d)
	}
}
