package main

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"primum/plugins/dicom"
	"primum/plugins/lab"
	"primum/plugins/sdk"
	"primum/plugins/sdk/sdktest"
	"primum/plugins/snmp"
)

// bench is a device of the laboratory, and a connection to it as an author has one on the bench.
func bench(t *testing.T, c lab.DeviceConfig, network string, where func(*lab.Device) netip.AddrPort) (*lab.Hospital, func([]byte) ([]byte, error), func()) {
	t.Helper()
	h, err := lab.Start(t.Context(), lab.Config{Community: "abcdefghij012345", Devices: []lab.DeviceConfig{c}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	conn, err := net.Dial(network, where(h.Devices()[0]).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	exchange := func(message []byte) ([]byte, error) {
		if _, err := conn.Write(message); err != nil {
			return nil, err
		}
		buf := make([]byte, 4096)
		n, err := conn.Read(buf)
		return buf[:n], err
	}
	leave := func() {
		if tcp, ok := conn.(*net.TCPConn); ok {
			if err := tcp.CloseWrite(); err != nil {
				t.Error(err)
			}
			_, _ = io.Copy(io.Discard, tcp) // to the device's own end
		}
	}
	return h, exchange, leave
}

func rackConfig() lab.DeviceConfig {
	return lab.DeviceConfig{Tag: "R", Manufacturer: "Aldane Medical", Model: "Vela Rack 2", Version: "2.4.0", Serial: "AR-2291", Fragile: true, Line: &lab.LineConfig{Hours: 1234}}
}

// What primum-plugin new writes compiles, conforms, and asks a device of the laboratory without harm.
func TestANewModuleConformsAndAnswersARackOfTheLaboratory(t *testing.T) {
	out := filepath.Join(t.TempDir(), "probe")
	tool(t, 0, "new", "acme", "--out", out, "--primum", "../../..")
	tool(t, 1, "new", "acme", "--out", out, "--primum", "../../..") // never over another
	tool(t, 1, "new", "Acme!", "--out", out+"2", "--primum", "../../..")
	tool(t, 1, "new", "acme", "--out", out+"2", "--primum", t.TempDir())
	goRun(t, out, "vet", "./...")
	goRun(t, out, "test", "-count=1", "./...")
	binary := filepath.Join(out, "primum-probe-acme")
	goRun(t, out, "build", "-o", binary, "./cmd/primum-probe-acme")

	h, exchange, leave := bench(t, rackConfig(), "tcp4", (*lab.Device).LineAddr)
	tr := sdktest.Binary(t, binary).Record(t, sdk.Vendor{Name: "tcp.acme.status"}, exchange)
	leave()
	if tr.Status != sdk.Answered || len(tr.Facts) != 3 || tr.Facts[2].Value != "AR-2291" {
		t.Errorf("%+v", tr)
	}
	for until := time.Now().Add(5 * time.Second); h.Report().Devices[0].Answered < 2 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	if r := h.Report(); r.Totals.Harmed != 0 || r.Totals.UnapprovedBytes != 0 || r.Totals.Messages != 2 {
		t.Errorf("the judge: %+v", r)
	}
	if err := filepath.WalkDir(out, func(path string, d os.DirEntry, err error) error {
		if strings.Contains(strings.ToLower(path[len(out):]), "aldane") {
			t.Errorf("%s still has the example's name", path)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	if r := certified(t, binary, filepath.Join(out, "testdata", "rack.txt")); !r.Passed {
		t.Errorf("%+v", r.Findings)
	}
}

// The committed transcripts are of real conversations with devices of the laboratory; PRIMUM_RECORD=1 records
// them anew.
func TestTranscriptsAreOfTheLaboratory(t *testing.T) {
	kept := func(path, comment string, tr sdktest.Transcript) {
		t.Helper()
		text, err := tr.Encode(comment)
		if err != nil {
			t.Fatal(err)
		}
		if os.Getenv("PRIMUM_RECORD") != "" {
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(want, text) {
			t.Errorf("%s is not what was recorded now: %v\n%s", path, err, text)
		}
	}
	_, exchange, leave := bench(t, rackConfig(), "tcp4", (*lab.Device).LineAddr)
	path := filepath.Join(t.TempDir(), "probe")
	goRun(t, "../../example", "build", "-o", path, "./cmd/primum-probe-aldane")
	tr := sdktest.Binary(t, path).Record(t, sdk.Vendor{Name: "tcp.aldane.status"}, exchange)
	leave()
	kept("../../example/testdata/rack.txt", "A Vela Rack 2 of the laboratory, unit 01.", tr)

	scanner := lab.DeviceConfig{Tag: "S", Manufacturer: "Corvus Imaging", Model: "Lumen", Fragile: true, DICOM: &lab.DICOMConfig{CalledAE: "SCANNER", VersionName: "LUMEN_2"}}
	_, exchange, leave = bench(t, scanner, "tcp4", (*lab.Device).DICOMAddr)
	tr = sdktest.InProcess(t, dicom.Probe{}).Record(t, sdk.DICOMEcho{CalledAE: "SCANNER", CallingAE: "PRIMUM", ImplementationClassUID: "2.25.3101942123",
		ImplementationVersionName: "PRIMUM_1", MaxPDULength: 16384, MessageID: 1}, exchange)
	leave()
	kept("testdata/dicom.txt", "A scanner of the laboratory.", tr)
}

// The time that a monitor runs differs each time; its transcript is only played again.
func TestTheBuiltInProbesPassTheSuiteThatOthersHaveToPass(t *testing.T) {
	if os.Getenv("PRIMUM_RECORD") != "" {
		monitor := lab.DeviceConfig{Tag: "M", Manufacturer: "Aldane Medical", Model: "Vela 3", Version: "3.2.1", Hostname: "vela", SNMP: &lab.SNMPConfig{Uptime: time.Hour}}
		_, exchange, _ := bench(t, monitor, "udp4", (*lab.Device).SNMPAddr)
		community := append([]byte{4, 16}, "abcdefghij012345"...)
		tr := sdktest.InProcess(t, snmp.Probe{}).Record(t, sdk.SNMPGet{Version: sdk.SNMPv2c, RequestID: 200, OIDs: []string{"1.3.6.1.2.1.1.1.0", "1.3.6.1.2.1.1.3.0"}},
			func(message []byte) ([]byte, error) {
				// As the agent does: the community is put in, and taken out of the reply.
				full := bytes.Replace(message, []byte{4, 0}, community, 1)
				full[1] += 16
				reply, err := exchange(full)
				if err == nil && reply[1] < 0x80 {
					reply = bytes.Replace(reply, community, []byte{4, 0}, 1)
					reply[1] -= 16
				}
				return reply, err
			})
		text, err := tr.Encode("A monitor of the laboratory, its community taken out.")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/snmp.txt", text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"snmp", "dicom"} {
		path := filepath.Join(t.TempDir(), name)
		goRun(t, "../../..", "build", "-o", path, "./plugins/"+name+"/cmd/primum-probe-"+name)
		if r := certified(t, path, "testdata/"+name+".txt"); !r.Passed {
			t.Errorf("%s: %+v", name, r.Findings)
		}
	}
}
