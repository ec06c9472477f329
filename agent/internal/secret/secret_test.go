package secret

import (
	"crypto/hpke"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sealed(t *testing.T, s *Store, device, plain string) []byte {
	t.Helper()
	enc, sender, err := hpke.NewSender(s.key.PublicKey(), hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(info))
	if err != nil {
		t.Fatal(err)
	}
	text, err := sender.Seal([]byte(device), []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return append(enc, text...)
}

// H-026: a credential opens for its own device alone, and nothing on disk holds it in clear.
func TestACredentialOpensForItsOwnDeviceAlone(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	const canary = "canary-community"
	for device, plain := range map[string]string{"10-1": canary, "*": "for-all-others"} {
		if err := s.Set(device, sealed(t, s, device, plain), 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Set("10-2", sealed(t, s, "10-1", canary), 1); err == nil {
		t.Error("a credential of another device was taken")
	}
	for name, text := range map[string]string{"too long": strings.Repeat("x", 33), "empty": ""} {
		if err := s.Set("10-3", sealed(t, s, "10-3", text), 1); err == nil {
			t.Errorf("a community that is %s was taken", name)
		}
	}
	again, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for device, want := range map[string]string{"10-1": canary, "10-2": "for-all-others"} {
		if got, ok := again.Community(device); !ok || string(got) != want {
			t.Errorf("%s: %q, %v", device, got, ok)
		}
	}
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), canary) {
			t.Errorf("%s holds the community in clear", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// An older version that comes late does not replace a newer one.
func TestAnOlderCredentialDoesNotReplaceANewerOne(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Set("10-1", sealed(t, s, "10-1", "new"), 2); err != nil {
		t.Fatal(err)
	}
	if err := s.Set("10-1", sealed(t, s, "10-1", "old"), 1); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.Community("10-1"); string(got) != "new" {
		t.Errorf("community %q", got)
	}
}
