package agent

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"primum/plugins/manifest"
	"primum/plugins/sandbox/confine"
)

// H-033: a text that nobody has verified says nothing of a report, whatever stands there.
func TestAClaimThatIsNotSignedIsNotListedAsCertified(t *testing.T) {
	data, binary := t.TempDir(), filepath.Join(t.TempDir(), "status")
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	sum := sha256.Sum256([]byte("binary"))
	signed, err := manifest.Sign(manifest.Manifest{Name: "status", Version: "1", Maker: "aldane", Kinds: []string{"tcp.aldane.status"}, SHA256: sum}, key)
	if err != nil {
		t.Fatal(err)
	}
	line, err := manifest.FormatKey(key.Public().(ed25519.PublicKey), "aldane")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(binary, []byte("binary"), 0o755), os.WriteFile(binary+".manifest", signed.Encode(), 0o644), os.WriteFile(binary+".pub", []byte(line), 0o644)); err != nil {
		t.Fatal(err)
	}
	say := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := Main(append([]string{"plugin"}, args...), "", &out, &out); code != 0 {
			t.Fatalf("%q: %s", args, out.String())
		}
		return out.String()
	}
	row := func() []string {
		t.Helper()
		for l := range strings.Lines(say("list", "--data", data)) {
			if f := strings.Fields(l); len(f) > 6 && f[0] == "status" {
				return f[5:7]
			}
		}
		t.Fatal("no row")
		return nil
	}
	say("admit", "--data", data, "aldane", binary+".pub")
	if got := say("install", "--data", data, binary); !strings.Contains(got, "certified by nobody") {
		t.Errorf("install says %q", got)
	}
	if got := row(); got[0] != "no" || got[1] != "yes" {
		t.Errorf("as it was installed: %q", got)
	}
	claim := bytes.Replace(signed.Encode(), []byte("report: none"), fmt.Appendf(nil, "report: %x", sha256.Sum256(nil)), 1)
	if err := os.WriteFile(filepath.Join(data, "plugins", fmt.Sprintf("%x", sum), "manifest"), claim, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := row(); got[0] != "?" || got[1] != "no:" {
		t.Errorf("a report that nobody signed: %q", got)
	}
}

// The hostile plugin of plugins/sandbox reaches no other process at fallback either; what it can do more is said.
func TestTheDoctorSaysOfFallbackWhatIsTrue(t *testing.T) {
	words := levelWords(confine.Fallback)
	for _, want := range []string{"reaches no other process", "without namespaces", "empty files", "limit on tasks"} {
		if !strings.Contains(words, want) {
			t.Errorf("without %q: %s", want, words)
		}
	}
	if got := levelWords(confine.Unproven); !strings.Contains(got, "No plugin starts") {
		t.Errorf("not proven: %s", got)
	}
}
