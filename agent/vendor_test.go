package agent

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	"primum/agent/internal/pluginhost"
	"primum/plugins/lab"
	"primum/plugins/manifest"
	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// vendorPlugin builds a plugin and installs it.
func vendorPlugin(t *testing.T, dir, pkg, name, version, fault string) pluginhost.Binary {
	t.Helper()
	shipped := filepath.Join(t.TempDir(), "probe")
	cmd := exec.Command("go", "build", "-ldflags", "-X main.fault="+fault, "-o", shipped, pkg)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, text)
	}
	return installedPlugin(t, shipped, name, version)
}

// installedPlugin signs a plugin as its maker, and installs it as a person does: by the command line.
func installedPlugin(t *testing.T, binaryPath, name, version string) pluginhost.Binary {
	t.Helper()
	data, shipped := t.TempDir(), filepath.Join(t.TempDir(), "probe")
	binary, err := os.ReadFile(binaryPath)
	if err != nil {
		t.Fatal(err)
	}
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	signed, err := manifest.Sign(manifest.Manifest{Name: name, Version: version, Maker: "aldane", Kinds: []string{"tcp.aldane.status"}, SHA256: sha256.Sum256(binary)}, key)
	if err != nil {
		t.Fatal(err)
	}
	line, err := manifest.FormatKey(key.Public().(ed25519.PublicKey), "aldane")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(shipped, binary, 0o755), os.WriteFile(shipped+".manifest", signed.Encode(), 0o644), os.WriteFile(shipped+".pub", []byte(line), 0o644)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, args := range [][]string{
		{"plugin", "admit", "--data", data, "aldane", shipped + ".pub"}, {"plugin", "install", "--data", data, shipped}, {"plugin", "list", "--data", data}} {
		if code := Main(args, "", &out, &out); code != 0 {
			t.Fatalf("%q: %s", args, out.String())
		}
	}
	if s := out.String(); !strings.Contains(s, "is admitted with the key SHA256:") || !strings.Contains(s, "yes") {
		t.Errorf("said\n%s", s)
	}
	all, err := otherMakers(data, slog.New(slog.DiscardHandler))
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	return all[0]
}

// asked has a rack of the laboratory asked by a plugin of its maker, and returns the judge's report.
func asked(t *testing.T, plugin pluginhost.Binary) (lab.DeviceReport, evidence.Result) {
	t.Helper()
	return askedAs(t, plugin, func(*list.Device) {}, nil)
}

// askedAs is asked of a device that the inventory knows otherwise, by an agent that is made otherwise, at a site whose
// file has more fields.
func askedAs(t *testing.T, plugin pluginhost.Binary, known func(*list.Device), bend func(*testAgent), more ...string) (lab.DeviceReport, evidence.Result) {
	t.Helper()
	h, err := lab.Start(t.Context(), lab.Config{Devices: []lab.DeviceConfig{{Tag: "10-9001", Manufacturer: "Aldane Medical", Model: "Vela Rack 2", Version: "2.4.0",
		Serial: "AR-2291", Fragile: true, Address: "127.0.0.1", Line: &lab.LineConfig{Port: 14001, Hours: 1234}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	device := list.Device{ID: "10-9001", Name: "Aldane Medical Vela Rack 2", Class: list.OtherClass, MAC: "02:00:00:00:90:01", Address: netip.MustParseAddr("127.0.0.1"),
		Claims: []list.Claim{{Source: list.CMMS, Manufacturer: "Aldane Medical", Model: "Vela Rack 2", Version: "2.4.0", By: "import", At: time.Now().UTC().Truncate(time.Second)}}}
	known(&device)
	p := papertest.Hospital(t, time.Now(), "north", "DEMOSITE", labLists(t), []list.Device{device}, more...)
	if len(p.Plan.Items) != 1 || p.Plan.Items[0].Query.Kind() != "tcp.aldane.status" {
		t.Fatalf("planned %+v, refused %+v", p.Plan.Items, p.Plan.Refusals)
	}
	a := newAgentWith(t, p, []pluginhost.Binary{plugin}, bend)
	a.hand()
	a.order(p.Permits(t)[0])
	got := a.outcome()
	a.stop()
	report, _ := h.Report().Device("10-9001")
	return report, got
}

// The whole way of a protocol that the agent has never heard of: a maker's plugin, signed, admitted, installed
// and confined, asks a device under templates of a signed list, with no new code in the agent.
func TestAMakersOwnProtocolIsSpokenByItsSignedPluginUnderTemplates(t *testing.T) {
	name, plugin := "aldane", pluginhost.Binary{}
	if path := os.Getenv("PRIMUM_VENDOR_PLUGIN"); path != "" { // make example-cpp: the same in another language
		name = "aldane-cpp"
		plugin = installedPlugin(t, path, name, "0.1.0")
	} else {
		plugin = vendorPlugin(t, "../plugins/example", "./cmd/primum-probe-aldane", name, "0.1.0", "")
	}
	report, got := asked(t, plugin)
	if report.Harmed() || report.UnapprovedBytes != 0 || report.Messages != 2 || report.Octets != 15 || report.Connections != 1 {
		t.Errorf("the judge: %+v", report)
	}
	if got.State != evidence.Answered || got.Messages != 2 || got.Plugin != name+" 0.1.0" || len(got.Facts) != 3 || got.Facts[2].Value != "AR-2291" {
		t.Errorf("outcome %+v", got)
	}
	if len(got.Attributes) != 2 || got.Attributes[1] != (evidence.Attribute{Name: "aldane.hours", Value: "001234"}) {
		t.Errorf("attributes %+v", got.Attributes)
	}
}

// H-045: an agent that has nothing to prove an address with asks the maker's own question first, where the site takes
// its answer. The unit that answers is the inventory's, or it is left alone and said to have moved.
func TestAnAnswerSaysWhichUnitIsAtAnAddressThatNothingProves(t *testing.T) {
	plugin := vendorPlugin(t, "../plugins/example", "./cmd/primum-probe-aldane", "aldane", "0.1.0", "")
	const answer = "address_proof: answer\n"
	for name, c := range map[string]struct {
		known    func(*list.Device)
		bend     func(*testAgent)
		site     string
		messages int
		state    evidence.State
		reason   list.Reason
	}{
		"it is the unit":           {func(d *list.Device) { d.Serial = "AR-2291" }, unleased, answer, 2, evidence.Answered, ""},
		"it is another unit":       {func(d *list.Device) { d.Serial = "AR-2292" }, unleased, answer, 2, evidence.Incident, list.AddressMoved},
		"the site takes no answer": {func(*list.Device) {}, unleased, "", 0, evidence.Refused, list.AddressUnproven},
		"the agent has leases to ask": {func(*list.Device) {}, func(h *testAgent) {
			rewrite(h, "02:00:00:00:90:01 127.0.0.1", "02:00:00:00:90:02 127.0.0.2")
		}, answer, 0, evidence.Refused, list.AddressUnproven},
	} {
		t.Run(name, func(t *testing.T) {
			report, got := askedAs(t, plugin, c.known, c.bend, c.site)
			if got.State != c.state || got.Reason != c.reason || report.Messages != c.messages || report.Harmed() {
				t.Errorf("%+v, and the judge says %+v", got, report)
			}
			if c.reason == list.AddressMoved && got.Detail != "its serial number is AR-2291, and the inventory says AR-2292" {
				t.Errorf("detail %q", got.Detail)
			}
		})
	}
}

// B1, B2, H-033: a signature is no leave to send. What goes beyond the templates ends the plugin, and nothing of
// it reaches the device.
func TestASignedPluginThatGoesBeyondTheTemplatesReachesNoDevice(t *testing.T) {
	for fault, approved := range map[string]int{"wrong-octet": 0, "wrong-order": 0, "reset": 1, "identity-twice": 1, "second-connection": 2, "extra-message": 3, "oversize": 0} {
		t.Run(fault, func(t *testing.T) {
			report, got := asked(t, vendorPlugin(t, "..", "./plugins/cmd/primum-plugin/testdata/faulty", "faulty", "1", fault))
			if report.Harmed() || report.UnapprovedBytes != 0 || report.Messages != approved {
				t.Errorf("the judge: %+v, want %d messages", report, approved)
			}
			if got.State != evidence.Incident || got.Reason != list.PluginBreach || got.Messages != approved {
				t.Errorf("outcome %+v", got)
			}
		})
	}
}
