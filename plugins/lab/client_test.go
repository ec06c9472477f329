package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The scripted visitor. It builds its messages in its own way, so that a
// mistake in a decoder is not repeated by the test that should find it.

const testCommunity = "abcdefghij012345"

// sysGroup is the default question, with the community of the tests.
func sysGroup(id uint32) []byte {
	names := []string{"\x01", "\x02", "\x03", "\x05"}
	var list string
	for _, n := range names {
		list += "\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01" + n + "\x00\x05\x00"
	}
	pdu := fmt.Sprintf("\x02\x04%c%c%c%c", 0x40, 0, 0, 0)
	raw := []byte(pdu)[:2]
	raw = append(raw, 0x40|byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
	body := string(raw) + "\x02\x01\x00\x02\x01\x00\x30" + string(rune(len(list))) + list
	message := "\x02\x01\x01\x04\x10" + testCommunity + "\xa0" + string(rune(len(body))) + body
	return []byte("\x30" + string(rune(len(message))) + message)
}

const testClass = "2.25.3101942123"

func associateRequest(called, calling string) []byte {
	text := func(kind byte, s string) string { return string([]byte{kind, 0, 0, byte(len(s))}) + s }
	info := "\x51\x00\x00\x04\x00\x00\x40\x00" + text(0x52, testClass) + text(0x55, "PRIMUM_1")
	body := "\x00\x01\x00\x00" + fmt.Sprintf("%-16s%-16s", called, calling) + string(make([]byte, 32)) +
		text(0x10, "1.2.840.10008.3.1.1.1") +
		text(0x20, "\x01\x00\x00\x00"+text(0x30, "1.2.840.10008.1.1")+text(0x40, "1.2.840.10008.1.2")) +
		text(0x50, info)
	return []byte("\x01\x00\x00\x00\x00" + string([]byte{byte(len(body))}) + body)
}

// goldenEcho is the C-ECHO-RQ of PS3.7 9.3.5 as 80 octets.
const goldenEcho = "\x04\x00\x00\x00\x00\x4a\x00\x00\x00\x46\x01\x03" +
	"\x00\x00\x00\x00\x04\x00\x00\x00\x38\x00\x00\x00" +
	"\x00\x00\x02\x00\x12\x00\x00\x001.2.840.10008.1.1\x00" +
	"\x00\x00\x00\x01\x02\x00\x00\x00\x30\x00" +
	"\x00\x00\x10\x01\x02\x00\x00\x00\x01\x00" +
	"\x00\x00\x00\x08\x02\x00\x00\x00\x01\x01"

const (
	goldenRelease = "\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00"
	goldenAbort   = "\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00"
)

func nmd(control string) string {
	return "\x0bMSH|^~\\&|PRIMUM|DEMOSITE|APP|FAC|20261124023000+0000||NMD^N02^NMD_N02|" + control + "|T|2.5.1\rNST|N\r\x1c\r"
}

const control1, control2 = "SP0123456789abcdef", "SP0123456789ABCDE0"

// One of each service, with no rest needed so that cases can be short.
func monitor() DeviceConfig {
	return DeviceConfig{
		Tag: "T-1", Manufacturer: "Test", Model: "Monitor", Hostname: "monitor-1", Fragile: true,
		GapAfterUDP: -1, GapAfterTCP: -1, SNMP: &SNMPConfig{Descr: "Test Monitor 1.0", ObjectID: "1.3.6.1.4.1.99990.1"},
	}
}

func scanner() DeviceConfig {
	return DeviceConfig{
		Tag: "T-2", Manufacturer: "Test", Model: "Scanner", Fragile: true, GapAfterUDP: -1, GapAfterTCP: -1,
		Idle: 300 * time.Millisecond, DICOM: &DICOMConfig{CalledAE: "SCANNER", VersionName: "TEST_1"},
	}
}

func gateway() DeviceConfig {
	return DeviceConfig{
		Tag: "T-3", Manufacturer: "Test", Model: "Gateway", Fragile: true, GapAfterUDP: -1, GapAfterTCP: -1,
		Idle: 300 * time.Millisecond, HL7: &HL7Config{Application: "APP", Facility: "FAC"},
	}
}

func bedside() DeviceConfig {
	return DeviceConfig{
		Tag: "T-4", Manufacturer: "Test", Model: "Rack", Version: "2.4.0", Serial: "AR-2291", Fragile: true, GapAfterUDP: -1, GapAfterTCP: -1,
		Idle: 300 * time.Millisecond, Line: &LineConfig{Hours: 1234},
	}
}

func with(c DeviceConfig, change func(*DeviceConfig)) DeviceConfig {
	change(&c)
	return c
}

func start(t *testing.T, devices ...DeviceConfig) *Hospital {
	t.Helper()
	h, err := Start(context.Background(), Config{Name: "test", Community: testCommunity, Devices: devices})
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

// visitor is a connection of a scripted client.
type visitor struct {
	t *testing.T
	net.Conn
}

func dial(t *testing.T, network string, to fmt.Stringer) visitor {
	t.Helper()
	dialer := net.Dialer{Timeout: 2 * time.Second, KeepAlive: -1}
	conn, err := dialer.Dial(network, to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return visitor{t, conn}
}

func (v visitor) say(message string) {
	v.t.Helper()
	if _, err := v.Write([]byte(message)); err != nil {
		v.t.Fatal(err)
	}
}

// hear reads one datagram, or one PDU, or an MLLP frame.
func (v visitor) hear() string {
	v.t.Helper()
	buf := make([]byte, 64<<10)
	n, err := v.Read(buf)
	if err != nil {
		v.t.Fatal(err)
	}
	return string(buf[:n])
}

// quiet wants no answer for a while.
func (v visitor) quiet(d time.Duration) {
	v.t.Helper()
	if err := v.SetReadDeadline(time.Now().Add(d)); err != nil {
		v.t.Fatal(err)
	}
	n, err := v.Read(make([]byte, 1))
	var late net.Error
	if n != 0 || !errors.As(err, &late) || !late.Timeout() {
		v.t.Fatalf("got %d octets and %v, want silence", n, err)
	}
	if err := v.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		v.t.Fatal(err)
	}
}

// finish sends FIN, reads to the end and closes; it returns what came.
func (v visitor) finish() string {
	v.t.Helper()
	if err := v.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		v.t.Fatal(err)
	}
	rest, err := io.ReadAll(v)
	if err != nil {
		v.t.Fatal(err)
	}
	_ = v.Close()
	return string(rest)
}

// reset closes with a RST.
func (v visitor) reset() {
	v.t.Helper()
	if err := v.Conn.(*net.TCPConn).SetLinger(0); err != nil {
		v.t.Fatal(err)
	}
	_ = v.Close()
}

// settle waits until the judge has seen everything that is under way.
func settle(t *testing.T, d *Device, ready func(DeviceReport) bool) DeviceReport {
	t.Helper()
	for until := time.Now().Add(5 * time.Second); ; {
		d.judge.mu.Lock()
		busy := d.judge.open > 0 || d.judge.pending > 0
		d.judge.mu.Unlock()
		if r := d.Report(); !busy && ready(r) || time.Now().After(until) {
			return r
		}
		time.Sleep(time.Millisecond)
	}
}

func codes(r DeviceReport) []Code {
	var out []Code
	for _, b := range r.Breaches {
		out = append(out, b.Code)
	}
	slices.Sort(out)
	return out
}

// wantHarm waits for exactly these breaches.
func wantHarm(t *testing.T, d *Device, unapproved int, want ...Code) {
	t.Helper()
	slices.Sort(want)
	r := settle(t, d, func(r DeviceReport) bool { return slices.Equal(codes(r), want) && r.UnapprovedBytes == unapproved })
	if diff := cmp.Diff(want, codes(r), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("breaches (-want +got):\n%s%+v", diff, r.Breaches)
	}
	if r.UnapprovedBytes != unapproved {
		t.Errorf("unapproved bytes %d, want %d", r.UnapprovedBytes, unapproved)
	}
	if broken := len(want) > 0 && d.cfg.Fragile; r.Broken != broken {
		t.Errorf("broken is %t, want %t", r.Broken, broken)
	}
}
