package secret

import (
	"crypto/hpke"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func seal(t *testing.T, k *Key, kind Kind, device, plain string) Sealed {
	t.Helper()
	info, err := kind.info()
	if err != nil {
		t.Fatal(err)
	}
	enc, sender, err := hpke.NewSender(k.key.PublicKey(), hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(info))
	if err != nil {
		t.Fatal(err)
	}
	text, err := sender.Seal([]byte(device), []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return Sealed{Device: device, Kind: kind, Version: 1, Box: append(enc, text...)}
}

// H-026: a credential opens for its own device and as what it is, after a restart too, and the disk holds
// none, not even sealed.
func TestACredentialOpensForItsOwnDeviceAlone(t *testing.T) {
	dir := t.TempDir()
	first, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	const canary = "canary-community"
	box := seal(t, first, Community, "10-1", canary)
	user := seal(t, first, USM, "10-1", `{"user":"reader","auth":"canary-auth","privacy":"canary-priv"}`)
	k, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := k.Open(box); err != nil || string(c.Community) != canary {
		t.Errorf("%v", err)
	}
	if c, err := k.Open(user); err != nil || string(c.User.Name) != "reader" || string(c.User.Auth) != "canary-auth" || string(c.User.Privacy) != "canary-priv" {
		t.Errorf("%v", err)
	}
	other, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func() error{
		"another device's":  func() error { s := box; s.Device = "10-2"; _, err := k.Open(s); return err },
		"as a user":         func() error { s := box; s.Kind = USM; _, err := k.Open(s); return err },
		"as nothing":        func() error { s := box; s.Kind = ""; _, err := k.Open(s); return err },
		"as a community":    func() error { s := user; s.Kind = Community; _, err := k.Open(s); return err },
		"by another agent":  func() error { _, err := other.Open(box); return err },
		"cut short":         func() error { s := box; s.Box = s.Box[:40]; _, err := k.Open(s); return err },
		"too long":          func() error { _, err := k.Open(seal(t, k, Community, "a", strings.Repeat("x", 33))); return err },
		"empty":             func() error { _, err := k.Open(seal(t, k, Community, "a", "")); return err },
		"a short phrase":    func() error { _, err := k.Open(seal(t, k, USM, "a", `{"user":"u","auth":"canary"}`)); return err },
		"no user":           func() error { _, err := k.Open(seal(t, k, USM, "a", `{"auth":"canary-auth"}`)); return err },
		"an unknown field":  func() error { _, err := k.Open(seal(t, k, USM, "a", `{"canary":"canary-auth"}`)); return err },
		"no JSON of a user": func() error { _, err := k.Open(seal(t, k, USM, "a", "canary-auth")); return err },
	} {
		switch err := f(); {
		case err == nil:
			t.Errorf("%s: it opens", name)
		case strings.Contains(err.Error(), "canary"):
			t.Errorf("%s: the error holds the secret: %v", name, err)
		}
	}
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != keyFile {
			t.Errorf("%s is on the disk", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// S4, H-027: the version is the controller's word, and a stolen controller could count it up to have a refused
// credential tried once more. The name is that of the sealed text.
func TestACredentialIsKnownByWhatWasSealedAndNotByItsVersion(t *testing.T) {
	k, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := seal(t, k, Community, "10-1", "canary-community")
	again := s
	again.Version = 2
	if again.Name() != s.Name() || !strings.HasPrefix(s.Name(), "10-1 community ") {
		t.Errorf("%q and %q", s.Name(), again.Name())
	}
	if fresh := seal(t, k, Community, "10-1", "canary-community"); fresh.Name() == s.Name() {
		t.Errorf("what was sealed anew is not known as new: %q", s.Name())
	}
}

// S8: what was opened can be overwritten.
func TestAClearedCredentialHoldsNothing(t *testing.T) {
	k, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c, err := k.Open(seal(t, k, USM, "a", `{"user":"reader","auth":"canary-auth"}`))
	if err != nil {
		t.Fatal(err)
	}
	kept := c.User.Auth
	c.Clear()
	if strings.Trim(string(kept), "\x00") != "" {
		t.Errorf("%q is left", kept)
	}
}
