package hospital_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"primum/plugins/lab"
	"primum/plugins/lab/hospital"
)

func demo(t *testing.T) *lab.Hospital {
	t.Helper()
	cfg, err := hospital.Demo()
	if err != nil {
		t.Fatal(err)
	}
	// Free ports, so that a lab that is being served does not disturb the test.
	for i := range cfg.Devices {
		d := &cfg.Devices[i]
		if d.SNMP != nil {
			d.SNMP.Port = 0
		}
		if d.DICOM != nil {
			d.DICOM.Port = 0
		}
		if d.HL7 != nil {
			d.HL7.Port = 0
		}
		if len(d.Closed) > 0 {
			d.Closed = []uint16{0}
		}
	}
	h, err := lab.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func TestTheDemoHospitalIsTheOneThatTheListsAreWrittenAgainst(t *testing.T) {
	h := demo(t)
	counts, fragile, nothing := map[string]int{}, 0, []string{}
	for _, d := range h.Devices() {
		c := d.Config()
		counts[c.Manufacturer+"/"+c.Model+"/"+c.Version]++
		if c.Fragile && !c.Nothing {
			fragile++
		}
		if c.Nothing {
			nothing = append(nothing, c.Tag)
		}
	}
	want := map[string]int{
		"Aldane Medical/Vela 3/3.2.1": 6, "Aldane Medical/Vela Gateway/5.1.0": 2,
		"Corvus Imaging/Lumen CT 64/VL40.2": 2, "Corvus Imaging/Lumen Archive/2.8.0": 2,
		"Tessaly Infusion/Drift 200/7.4.2": 2, "Tessaly Infusion/Drift 200/6.9.0": 1,
		"Brightwell Diagnostics/Assay 9/1.12.3": 2, "Harrow Systems/Wardprint 20/N.04": 1,
		"Dräger/Infinity Delta/VF8.1": 1, "Ostrava Instruments/Hummingbird/0.9.4": 1, "Lantronix/EDS2100/5.4.0.0": 1,
	}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"10-1005", "10-5003", "10-8001", "10-8002", "10-8003"}, nothing); diff != "" {
		t.Errorf("devices that must receive nothing (-want +got):\n%s", diff)
	}
	if fragile != 8 {
		t.Errorf("%d fragile devices may be asked, want 8", fragile)
	}
	if !h.Report().Clean() || len(h.Report().Devices) != 21 {
		t.Errorf("a fresh hospital reports %s of %d devices", h.Report().Totals, len(h.Report().Devices))
	}
}

func TestTheInventoryHasTheMistakesOfTheMaintenanceSystem(t *testing.T) {
	h := demo(t)
	at := time.Date(2026, 11, 24, 2, 30, 0, 0, time.UTC)
	var out bytes.Buffer
	if err := h.WriteInventory(&out, at); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lab.InventoryColumns(), rows[0]); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	cell := func(tag, column string) string {
		for _, row := range rows[1:] {
			if row[0] == tag {
				return row[slices.Index(rows[0], column)]
			}
		}
		t.Fatalf("no row %s", tag)
		return ""
	}
	port := func(tag string, of func(*lab.Device) uint16) string {
		d, found := h.Device(tag)
		if !found {
			t.Fatalf("no device %s", tag)
		}
		return fmt.Sprint(of(d))
	}
	for _, c := range []struct{ tag, column, want string }{
		{"10-1001", "location", "ICU 4, bed 12"},
		{"10-1001", "snmp_version", "2c"},
		{"10-1001", "snmp_port", port("10-1001", func(d *lab.Device) uint16 { return d.SNMPAddr().Port() })},
		{"10-1001", "firmware_attested_by", ""},
		{"10-1001", "out_of_use_confirmed_until", "2026-11-24T10:30:00Z"},
		{"10-2001", "firmware_attested_on", "2026-11-24"},
		{"10-2001", "out_of_use_confirmed_by", ""},
		{"10-2001", "hl7_application", "VELAGW"},
		{"10-3001", "ae_title", "LUMENCT1"},
		{"10-3001", "dicom_port", port("10-3001", func(d *lab.Device) uint16 { return d.DICOMAddr().Port() })},
		{"10-4002", "firmware", "2.8.0"},
		{"10-5001", "serial", "TD2-55801"},
		{"10-5001", "firmware_attested_by", "M. Lindqvist"},
		{"10-5002", "serial", ""},
		{"10-5002", "owner", ""},
		{"10-5002", "firmware", "7.4.2"},
		{"10-5003", "firmware", "6.9.0"},
		{"10-7001", "model", "WARDPRINT 20"},
		{"10-7001", "hl7_port", "9100"},
		{"10-7001", "hl7_application", ""},
		{"10-8001", "manufacturer", "Dräger"},
		{"10-8003", "hl7_port", "10001"},
		{"10-8003", "snmp_version", ""},
	} {
		if got := cell(c.tag, c.column); got != c.want {
			t.Errorf("%s of %s is %q, want %q", c.column, c.tag, got, c.want)
		}
	}
}

func TestTheLeasesShowThatOneAddressBelongsToSomethingElse(t *testing.T) {
	h := demo(t)
	at := time.Unix(1795487400, 0)
	var out strings.Builder
	if err := h.WriteLeases(&out, at); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 21 {
		t.Fatalf("%d leases, want 21", len(lines))
	}
	other := 0
	for i, d := range h.Devices() {
		c := d.Config()
		fields := strings.Fields(lines[i])
		if len(fields) != 5 || fields[0] != "1795491000" || fields[2] != c.Address || fields[4] != "01:"+fields[1] {
			t.Errorf("lease of %s is %q", c.Tag, lines[i])
		}
		if fields[1] != c.MAC {
			other++
			if c.Tag != "10-1005" {
				t.Errorf("%s has the lease of %s", c.Tag, fields[1])
			}
		}
		if mac, err := net.ParseMAC(c.MAC); err != nil || mac[0]&3 != 2 {
			t.Errorf("%s has the MAC %q, which is not locally administered", c.Tag, c.MAC)
		}
	}
	if other != 1 {
		t.Errorf("%d addresses belong to something else, want 1", other)
	}
}

func TestAHospitalFileIsReadStrictly(t *testing.T) {
	model := "models: {m: {manufacturer: A, model: B, snmp: {port: 0}}}\n"
	for name, c := range map[string]struct{ file, want string }{
		"unknown key":      {model + "units: [{of: m, tag: x, fragil: true}]", "fragil"},
		"unknown model":    {model + "units: [{of: n, tag: x}]", "no model"},
		"no units":         {model, "no units"},
		"second document":  {model + "units: [{of: m, tag: x}]\n---\nhospital: b", "more than one"},
		"misspelt service": {"models: {m: {snmpp: {}}}\nunits: [{of: m, tag: x}]", "snmpp"},
	} {
		if _, err := hospital.Read([]byte(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
	cfg, err := hospital.Read([]byte(model + "units: [{of: m, tag: x, address: 127.0.0.1, behaviour: {delay: 2s, reject: {result: 2, source: 3, reason: 1}}}]"))
	if err != nil {
		t.Fatal(err)
	}
	if b := cfg.Devices[0].Behaviour; b.Delay != 2*time.Second || b.Reject == nil || *b.Reject != (lab.Reject{Result: 2, Source: 3, Reason: 1}) {
		t.Errorf("behaviour is %+v", b)
	}
}

func TestNoAddressOutsideLoopbackIsBound(t *testing.T) {
	for _, address := range []string{"10.0.0.1", "0.0.0.0", "::1", "::ffff:127.0.0.1", "128.0.0.1", "localhost", "126.255.255.255", "255.255.255.255"} {
		cfg := lab.Config{Devices: []lab.DeviceConfig{{Tag: "x", Address: address, SNMP: &lab.SNMPConfig{}}}}
		h, err := lab.Start(context.Background(), cfg)
		if err == nil {
			t.Errorf("%s was bound", address)
			_ = h.Close()
		}
	}
}
