package inventory

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	list "primum/safetylists"
)

// snmpPort is what a device with SNMP listens on when the inventory does not say otherwise.
const snmpPort = 161

// Device makes of a row what a decision needs. The answer is what the device's own latest answer was
// recognised as, nil if there is none.
func (r Row) Device(answer *list.Claim) list.Device {
	d := list.Device{
		ID: r.Tag(), Name: r.Cell("manufacturer") + " " + r.Cell("model"), Place: r.Place(),
		Class: list.Class(r.Cell("risk_class")), MAC: r.Cell("mac"), Serial: r.Cell("serial"),
		Endpoints: list.Endpoints{
			DICOMPort: r.port("dicom_port"), HL7Port: r.port("hl7_port"),
			AETitle: r.Cell("ae_title"), HL7Application: r.Cell("hl7_application"), HL7Facility: r.Cell("hl7_facility"), HL7Connections: r.port("hl7_connections"), TLSPin: r.Cell("tls_pin"),
		},
	}
	if ip := r.Cell("ip"); ip != "" {
		d.Address, _ = netip.ParseAddr(ip) // checked; a wrong one stays the zero address, which is refused
	}
	if v := r.Cell("snmp_version"); v != "" {
		if v != "2c" { // which is what an empty version means to a list
			d.SNMPVersion = v
		}
		if d.SNMPPort = r.port("snmp_port"); d.SNMPPort == 0 {
			d.SNMPPort = snmpPort
		}
	}
	claim := list.Claim{Source: list.CMMS, Manufacturer: r.Cell("manufacturer"), Model: r.Cell("model"), Version: r.Cell("firmware"), By: "CMMS"}
	d.Claims = append(d.Claims, claim)
	if on, err := time.Parse(time.DateOnly, r.Cell("firmware_attested_on")); err == nil && r.Cell("firmware_attested_by") != "" {
		claim.Source, claim.By, claim.At = list.Attestation, r.Cell("firmware_attested_by"), on
		d.Claims = append(d.Claims, claim)
	}
	if answer != nil {
		d.Claims = append(d.Claims, *answer)
	}
	for option := range strings.SplitSeq(r.Cell("licensed_options"), ";") {
		if option = strings.TrimSpace(option); option != "" {
			d.Options = append(d.Options, option)
		}
	}
	d.Fixed = r.fixed(d)
	if at, err := time.Parse(time.RFC3339, r.Cell("cmms_status_at")); err == nil && r.Cell("cmms_status") != "" {
		d.Status = &list.CMMSStatus{Text: r.Cell("cmms_status"), At: at.UTC()}
	}
	if until, err := time.Parse(time.RFC3339, r.Cell("out_of_use_confirmed_until")); err == nil && r.Cell("out_of_use_confirmed_by") != "" {
		d.OutOfUse = &list.OutOfUse{By: r.Cell("out_of_use_confirmed_by"), Until: until.UTC()}
	}
	return d
}

// fixed is the word about the device's address, nil if nobody gave one.
func (r Row) fixed(d list.Device) *list.FixedAddress {
	address, err := netip.ParseAddr(r.Cell("address_attested"))
	on, onErr := time.Parse(time.DateOnly, r.Cell("address_attested_on"))
	until, untilErr := time.Parse(time.DateOnly, r.Cell("address_attested_until"))
	if err != nil || onErr != nil || untilErr != nil || r.Cell("address_attested_by") == "" {
		return nil
	}
	return &list.FixedAddress{Address: address, MAC: d.MAC, By: r.Cell("address_attested_by"), On: on, Until: until}
}

// Place is where the device stands, for people.
func (r Row) Place() string {
	var parts []string
	for _, c := range []string{"department", "location"} {
		if r.Cell(c) != "" {
			parts = append(parts, r.Cell(c))
		}
	}
	return strings.Join(parts, ", ")
}

func (r Row) port(column string) uint16 {
	n, err := strconv.ParseUint(r.Cell(column), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}
