package lab

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Names that stand in the demo inventory: who attested, who confirmed.
const (
	attestedBy   = "M. Lindqvist"
	confirmedBy  = "R. Okafor"
	outOfUseFor  = 8 * time.Hour
	leaseFor     = time.Hour
	defaultState = "active"
)

// InventoryColumns are the columns of inventory.csv, in order.
func InventoryColumns() []string {
	return []string{
		"asset_tag", "manufacturer", "model", "serial", "firmware", "department", "location",
		"clinical_use", "risk_class", "owner", "mac", "ip", "ae_title", "dicom_port", "hl7_port",
		"hl7_application", "hl7_facility", "snmp_version", "snmp_port", "cmms_status",
		"firmware_attested_by", "firmware_attested_on", "out_of_use_confirmed_by",
		"out_of_use_confirmed_until", "hl7_connections", "notes",
	}
}

// WriteInventory writes what the maintenance system says about the hospital,
// its mistakes included, with confirmations as of at.
func (h *Hospital) WriteInventory(w io.Writer, at time.Time) error {
	out := csv.NewWriter(w)
	columns := InventoryColumns()
	rows := [][]string{columns}
	for _, d := range h.devices {
		row := d.inventory(at)
		fields := make([]string, len(columns))
		for i, column := range columns {
			if !slices.Contains(d.cfg.CMMS.Blank, column) {
				fields[i] = row[column]
			}
		}
		rows = append(rows, fields)
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("write inventory: %w", err)
	}
	return nil
}

func (d *Device) inventory(at time.Time) map[string]string {
	c, m := d.cfg, d.cfg.CMMS
	row := map[string]string{
		"asset_tag": c.Tag, "manufacturer": told(m.Manufacturer, c.Manufacturer), "model": told(m.Model, c.Model),
		"serial": c.Serial, "firmware": told(m.Firmware, c.Version), "department": c.Department,
		"location": c.Location, "clinical_use": c.ClinicalUse, "risk_class": c.RiskClass, "owner": c.Owner,
		"mac": c.MAC, "ip": c.Address, "cmms_status": told(m.Status, defaultState), "notes": m.Notes,
	}
	if c.SNMP != nil {
		row["snmp_version"], row["snmp_port"] = "2c", port(d.SNMPAddr().Port())
	}
	if c.DICOM != nil {
		row["ae_title"], row["dicom_port"] = c.DICOM.CalledAE, port(d.DICOMAddr().Port())
	}
	if c.HL7 != nil {
		row["hl7_port"] = port(d.HL7Addr().Port())
		row["hl7_application"], row["hl7_facility"] = c.HL7.Application, c.HL7.Facility
		row["hl7_connections"] = "4" // the simulator itself takes one of ours at a time
	}
	if m.HL7Port != 0 {
		row["hl7_port"] = port(m.HL7Port)
	}
	if m.Attested {
		row["firmware_attested_by"], row["firmware_attested_on"] = attestedBy, at.UTC().Format(time.DateOnly)
	}
	if c.RiskClass != "other" {
		row["out_of_use_confirmed_by"] = confirmedBy
		row["out_of_use_confirmed_until"] = at.UTC().Add(outOfUseFor).Format(time.RFC3339)
	}
	return row
}

// WriteLeases writes the DHCP server's lease file as of at, in the format of
// dnsmasq: expiry, MAC, address, host name, client id.
func (h *Hospital) WriteLeases(w io.Writer, at time.Time) error {
	for _, d := range h.devices {
		c := d.cfg
		if c.MAC == "" {
			continue
		}
		mac := strings.ToLower(told(c.CMMS.LeaseMAC, c.MAC))
		host := told(told(c.CMMS.LeaseHost, c.Hostname), "*")
		if _, err := fmt.Fprintf(w, "%d %s %s %s 01:%s\n", at.Add(leaseFor).Unix(), mac, c.Address, host, mac); err != nil {
			return fmt.Errorf("write leases: %w", err)
		}
	}
	return nil
}

func told(a, otherwise string) string {
	if a != "" {
		return a
	}
	return otherwise
}

func port(n uint16) string { return strconv.Itoa(int(n)) }
