package lab_test

import (
	"context"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"primum/plugins/lab"
)

func TestAHospitalEndsCompletelyAndItsReportStays(t *testing.T) {
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h, err := lab.Start(ctx, lab.Config{Name: "one", Devices: []lab.DeviceConfig{{
		Tag: "T-1", SNMP: &lab.SNMPConfig{}, DICOM: &lab.DICOMConfig{CalledAE: "A"}, HL7: &lab.HL7Config{}, Closed: []uint16{0},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	d, found := h.Device("T-1")
	if !found || !d.SNMPAddr().IsValid() || !d.HL7Addr().IsValid() || !d.ClosedAddr(0).IsValid() {
		t.Fatalf("device %+v has no addresses", d)
	}
	if c := h.Community(); len(c) != 16 || strings.Trim(c, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		t.Errorf("community %q is not 16 characters of a-z0-9", c)
	}
	// A connection that is still open does not keep the hospital alive.
	conn, err := net.Dial("tcp4", d.DICOMAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for until := time.Now().Add(5 * time.Second); h.Report().Totals.Conversations == 0 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	for range 2 {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := h.Report().Totals; got != (lab.Totals{Conversations: 1}) {
		t.Errorf("after the end the totals are %+v", got)
	}
	for until := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
	if _, err := net.DialTimeout("tcp4", d.DICOMAddr().String(), time.Second); err == nil {
		t.Error("a closed hospital takes connections")
	}
}

func TestAHospitalThatCannotBeIsRefusedWhole(t *testing.T) {
	snmp := &lab.SNMPConfig{}
	for name, devices := range map[string][]lab.DeviceConfig{
		"no tag":         {{SNMP: snmp}},
		"tag twice":      {{Tag: "a", SNMP: snmp}, {Tag: "a", SNMP: snmp}},
		"risk class":     {{Tag: "a", RiskClass: "High", SNMP: snmp}},
		"no AE title":    {{Tag: "a", DICOM: &lab.DICOMConfig{}}},
		"bad identifier": {{Tag: "a", SNMP: &lab.SNMPConfig{ObjectID: "1.3.x"}}},
		"outside":        {{Tag: "a", Address: "192.0.2.1", SNMP: snmp}},
	} {
		if h, err := lab.Start(context.Background(), lab.Config{Devices: devices}); err == nil {
			t.Errorf("%s: started", name)
			_ = h.Close()
		}
	}
}
