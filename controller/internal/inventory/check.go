package inventory

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	list "primum/safetylists"
)

// check holds every rule about one row, and writes cells in their one form: addresses, MAC, class and
// numbers. The key stays as it is.
func check(cells map[string]string) []Problem {
	var out []Problem
	add := func(column, format string, args ...any) {
		out = append(out, Problem{Column: column, Words: fmt.Sprintf(format, args...)})
	}
	for _, c := range required() {
		if cells[c] == "" {
			add(c, "this cell is empty; it is required")
		}
	}
	for _, c := range Columns() {
		switch {
		case len(cells[c]) > maxCell:
			add(c, "the text is longer than %d octets", maxCell)
		case !printable(cells[c]):
			add(c, "the text has a control character, or one that changes the direction of writing")
		}
	}
	if tag := cells["asset_tag"]; len(tag) > 64 || tag == "*" {
		add("asset_tag", "%s: an asset tag has at most 64 octets and is not *", shown(tag))
	}
	if class, err := list.ParseClass(cells["risk_class"]); err != nil {
		add("risk_class", "%s is not a class; it is life-support, high-risk, other, or empty for unknown", shown(cells["risk_class"]))
	} else {
		set(cells, "risk_class", string(class))
	}
	if text := cells["ip"]; text != "" {
		ip, err := netip.ParseAddr(text)
		if err != nil || ip.Zone() != "" || ip.Is4In6() || ip.IsMulticast() || ip.IsUnspecified() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			add("ip", "%s is not the address of one device, such as 10.20.30.40", shown(text))
		} else {
			set(cells, "ip", ip.String())
		}
	}
	if text := cells["mac"]; text != "" {
		mac, ok := parseMAC(text)
		if !ok {
			add("mac", "%s is not a MAC, such as 00:10:5d:01:02:03", shown(text))
		} else {
			set(cells, "mac", mac)
		}
	}
	if text := cells["hl7_connections"]; text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			add("hl7_connections", "%s is not how many connections the listener takes at once", shown(text))
		} else {
			cells["hl7_connections"] = strconv.FormatUint(n, 10)
		}
	}
	for _, c := range []string{"dicom_port", "hl7_port", "snmp_port"} {
		if text := cells[c]; text != "" {
			n, err := strconv.ParseUint(text, 10, 16)
			if err != nil || n == 0 {
				add(c, "%s is not a port from 1 to 65535", shown(text))
			} else {
				set(cells, c, strconv.FormatUint(n, 10))
			}
		}
	}
	checkSNMP(cells, add)
	checkPin(cells, add)
	checkTitles(cells, add)
	checkPeople(cells, add)
	checkAddress(cells, add)
	checkStatus(cells, add)
	return out
}

func set(cells map[string]string, column, value string) {
	if value != "" {
		cells[column] = value
	}
}

func checkSNMP(cells map[string]string, add func(string, string, ...any)) {
	switch v := strings.TrimPrefix(strings.ToLower(cells["snmp_version"]), "v"); v {
	case "", "1", "2c", "3":
		set(cells, "snmp_version", v)
	default:
		add("snmp_version", "%s is not a version; it is 1, 2c or 3, or empty where the device has no SNMP", shown(cells["snmp_version"]))
	}
	if cells["snmp_port"] != "" && cells["snmp_version"] == "" {
		add("snmp_version", "there is an snmp_port and no snmp_version")
	}
}

// checkPin takes the digest as people copy it: in either case, with or without colons.
func checkPin(cells map[string]string, add func(string, string, ...any)) {
	text := cells["tls_pin"]
	if text == "" {
		return
	}
	pin := strings.ToLower(strings.ReplaceAll(text, ":", ""))
	if _, err := list.ParseQuery(list.QuerySpec{Kind: list.DICOMEcho, Port: 2762, CalledAE: "A", CallingAE: "B", TLSPin: pin}); err != nil {
		add("tls_pin", "%s is not the SHA-256 of a certificate: 64 hex digits, as openssl x509 -fingerprint -sha256 prints it", shown(text))
		return
	}
	cells["tls_pin"] = pin
}

// checkTitles lets the safety list's own vocabulary judge names that go into messages, so that what is
// taken here is never refused later for its spelling.
func checkTitles(cells map[string]string, add func(string, string, ...any)) {
	if ae := cells["ae_title"]; ae != "" {
		if _, err := list.ParseQuery(list.QuerySpec{Kind: list.DICOMEcho, Port: 104, CalledAE: ae, CallingAE: "PRIMUM"}); err != nil {
			add("ae_title", "%s is not a registered AE title: 1 to 16 of A-Z, 0-9, underscore, hyphen, dot and space, and not ANY-SCP", shown(ae))
		}
	}
	for _, c := range []string{"hl7_application", "hl7_facility"} {
		if text := cells[c]; text != "" {
			q := list.QuerySpec{Kind: list.HL7Ack, Port: 2575, Facility: "F", ReceivingApp: text, ReceivingFac: text, HL7Version: "2.5.1", Expect: "AA"}
			if _, err := list.ParseQuery(q); err != nil {
				add(c, "%s: 1 to 64 printable ASCII characters without | ^ ~ \\ &", shown(text))
			}
		}
	}
}

func checkPeople(cells map[string]string, add func(string, string, ...any)) {
	by, on := cells["firmware_attested_by"], cells["firmware_attested_on"]
	switch _, err := time.Parse(time.DateOnly, on); {
	case by == "" && on == "":
	case by == "":
		add("firmware_attested_by", "there is a date and no name of the person who read the version")
	case on == "":
		add("firmware_attested_on", "there is a name and no date of the reading")
	case err != nil:
		add("firmware_attested_on", "%s is not a date such as 2027-01-31", shown(on))
	case cells["firmware"] == "":
		add("firmware", "a version is attested and none is stated")
	}
	by, until := cells["out_of_use_confirmed_by"], cells["out_of_use_confirmed_until"]
	switch t, err := time.Parse(time.RFC3339, until); {
	case by == "" && until == "":
	case by == "":
		add("out_of_use_confirmed_by", "there is a time and no name of the person who confirmed it")
	case until == "":
		add("out_of_use_confirmed_until", "there is a name and no time at which the confirmation ends")
	case err != nil:
		add("out_of_use_confirmed_until", "%s is not a time with its zone, such as 2027-01-31T06:00:00+01:00", shown(until))
	default:
		set(cells, "out_of_use_confirmed_until", t.UTC().Format(time.RFC3339))
	}
}

func checkStatus(cells map[string]string, add func(string, string, ...any)) {
	text := cells["cmms_status_at"]
	if text == "" {
		return
	}
	switch t, err := time.Parse(time.RFC3339, text); {
	case err != nil:
		add("cmms_status_at", "%s is not a time with its zone, such as 2027-01-31T06:00:00+01:00", shown(text))
	case cells["cmms_status"] == "":
		add("cmms_status", "there is a time and no status")
	default:
		set(cells, "cmms_status_at", t.UTC().Format(time.RFC3339))
	}
}

// checkAddress takes a person's word about an address only for the address and the network card of the row, so that
// the word does not pass on when the device gets another one.
func checkAddress(cells map[string]string, add func(string, string, ...any)) {
	var days [2]time.Time
	for i, c := range []string{"address_attested_on", "address_attested_until"} {
		if cells[c] == "" {
			continue
		}
		t, err := time.Parse(time.DateOnly, cells[c])
		if err != nil {
			add(c, "%s is not a date such as 2027-01-31", shown(cells[c]))
			return
		}
		days[i] = t
	}
	address, by := cells["address_attested"], cells["address_attested_by"]
	ip, err := netip.ParseAddr(address)
	switch {
	case address == "" && by == "" && days[0].IsZero() && days[1].IsZero():
	case address == "":
		add("address_attested", "there is a word about an address, and not which one it is")
	case err != nil || ip.String() != cells["ip"]:
		add("address_attested", "%s is not the address in the column ip; have the new one attested", shown(address))
	case by == "":
		add("address_attested_by", "there is no name of the person who knows that the address is fixed")
	case days[0].IsZero():
		add("address_attested_on", "there is no day on which the person found it")
	case days[1].IsZero():
		add("address_attested_until", "there is no day on which the word ends")
	case !days[0].Before(days[1]) || days[1].Sub(days[0]) > list.MaxAttested:
		add("address_attested_until", "the word holds from one day to a year after the day on which it was given")
	case cells["mac"] == "":
		add("mac", "a fixed address is attested, and the network card that has it is not stated")
	default:
		set(cells, "address_attested", ip.String())
	}
}

func parseMAC(text string) (string, bool) {
	s := strings.ToLower(strings.ReplaceAll(text, "-", ":"))
	parts := strings.Split(s, ":")
	if len(parts) != 6 || s == "00:00:00:00:00:00" || s == "ff:ff:ff:ff:ff:ff" {
		return "", false
	}
	for _, p := range parts {
		if _, err := strconv.ParseUint(p, 16, 8); err != nil || len(p) != 2 {
			return "", false
		}
	}
	return s, true
}

func printable(s string) bool {
	for _, r := range s {
		if !printableRune(r) {
			return false
		}
	}
	return true
}

func printableRune(r rune) bool {
	return !unicode.IsControl(r) && !unicode.Is(unicode.Bidi_Control, r) && r != unicode.ReplacementChar &&
		r != '\u2028' && r != '\u2029' && r != '\ufeff'
}
