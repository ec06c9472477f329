package agent

import (
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	"primum/safetylists/evidence"
	"primum/safetylists/frame"
)

// orthanc starts a real Orthanc on loopback. It knows the title PRIMUM or it does not; one that takes
// strangers lets them associate to store, and not be echoed.
func orthanc(t *testing.T, title string, knowsUs, takesStrangers bool) *words {
	t.Helper()
	modalities := map[string]any{}
	if knowsUs {
		modalities["primum"] = []any{"PRIMUM", "127.0.0.1", 104}
	}
	dir := t.TempDir()
	config, err := json.Marshal(map[string]any{"DicomAet": title, "DicomPort": 4242, "HttpServerEnabled": false, "StorageDirectory": dir, "IndexDirectory": dir,
		"DicomCheckCalledAet": true, "DicomAlwaysAllowEcho": false, "DicomAlwaysAllowStore": takesStrangers, "DicomModalities": modalities, "DicomCheckModalityHost": false})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "orthanc.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/sbin/Orthanc", "--verbose", path)
	if err := cmd.Err; err != nil {
		t.Fatalf("Orthanc is needed for this test: %v", err)
	}
	return startListening(t, cmd, 4242)
}

// D1 to D6: a real Orthanc that knows us is echoed and released. One that does not know us, or has another
// title, rejects the association; one that takes strangers aborts the echo. Each is an answer, and it is
// not asked again.
func TestRealOrthancIsAskedOnceWhateverItAnswers(t *testing.T) {
	whole := 165 + len(frame.ImplementationClassUID) + 80 + 10 // DESIGN 6.14, without a version name
	for name, c := range map[string]struct {
		title    string
		knowsUs  bool
		takes    bool // strangers
		state    evidence.State
		messages int
		octets   int
	}{
		"it knows us":                             {"DEVICE", true, false, evidence.Answered, 3, whole},
		"it does not know us":                     {"DEVICE", false, false, evidence.Declined, 1, whole - 90},
		"it does not know us and takes strangers": {"DEVICE", false, true, evidence.Declined, 2, whole - 10},
		"another title":                           {"OTHER", true, false, evidence.Declined, 1, whole - 90},
	} {
		t.Run(name, func(t *testing.T) {
			log := orthanc(t, c.title, c.knowsUs, c.takes)
			wire := startCapture(t, "tcp port 4242")
			p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:4242"), Question: `{kind: dicom.echo, port: "4242", calling_ae: PRIMUM}`})
			h := newAgent(t, p, nil)
			h.hand()
			h.order(p.Permit(t, nil))
			got := h.outcome()
			if got.State != c.state || got.Messages != c.messages || got.Octets != c.octets {
				t.Errorf("outcome %+v, want %s after %d messages of %d octets\n%s", got, c.state, c.messages, c.octets, log.String())
			}
			lines := wire.lines()
			if syn, rst := count(lines, `> 127\.0\.0\.1\.4242: Flags \[S\]`), count(lines, `127\.0\.0\.1\.[0-9]+ > 127\.0\.0\.1\.4242: Flags \[R`); syn != 1 || rst != 0 {
				t.Errorf("%d SYN, %d RST from us:\n%s", syn, rst, strings.Join(lines, "\n"))
			}
		})
	}
}
