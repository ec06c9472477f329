package manifest_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"primum/plugins/manifest"
	"primum/plugins/sdk/sdktest"
)

// maker is a key of the tests alone.
func maker() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)) }

func good() manifest.Manifest {
	return manifest.Manifest{Name: "aldane-status", Version: "0.1.0", Maker: "aldane", Kinds: []string{"tcp.aldane.status", "udp.aldane.hello"},
		SHA256: sha256.Sum256([]byte("binary"))}
}

func signed(t testing.TB) []byte {
	t.Helper()
	s, err := manifest.Sign(good(), maker())
	if err != nil {
		t.Fatal(err)
	}
	return s.Encode()
}

func TestManifestIsBelievedByItsKeyAlone(t *testing.T) {
	s, err := manifest.Parse(signed(t))
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Verify(maker().Public().(ed25519.PublicKey))
	if err != nil || m.Name != "aldane-status" || m.SHA256 != good().SHA256 {
		t.Errorf("%+v, %v", m, err)
	}
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32)).Public().(ed25519.PublicKey)
	for name, key := range map[string]ed25519.PublicKey{"another key": other, "no key": nil} {
		if _, err := s.Verify(key); !errors.Is(err, manifest.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// No octet of a manifest can be another one: it is no manifest any more, or not signed.
func TestEveryOctetOfAManifestCounts(t *testing.T) {
	text, key := signed(t), maker().Public().(ed25519.PublicKey)
	for i := range text {
		for _, mask := range []byte{1, 0x20, 0x80} {
			spoilt := bytes.Clone(text)
			spoilt[i] ^= mask
			s, err := manifest.Parse(spoilt)
			if err == nil {
				_, err = s.Verify(key)
			}
			if err == nil {
				t.Fatalf("octet %d with %02x: taken\n%s", i, mask, spoilt)
			}
		}
	}
}

func TestAMakerSpeaksForItsOwnQuestionsAlone(t *testing.T) {
	for name, change := range map[string]func(*manifest.Manifest){
		"a question of every device": func(m *manifest.Manifest) { m.Kinds = []string{"snmp.get"} },
		"another maker's":            func(m *manifest.Manifest) { m.Kinds = append(m.Kinds, "tcp.corvus.status") },
		"one twice":                  func(m *manifest.Manifest) { m.Kinds = append(m.Kinds, m.Kinds[0]) },
		"none":                       func(m *manifest.Manifest) { m.Kinds = nil },
		"a kind with a line end":     func(m *manifest.Manifest) { m.Kinds = []string{"tcp.aldane.status\nsha256"} },
		"a name with an escape":      func(m *manifest.Manifest) { m.Name = "a\x1b[2J" },
		"a version of two lines":     func(m *manifest.Manifest) { m.Version = "1\n2" },
		"no version":                 func(m *manifest.Manifest) { m.Version = "" },
		"a maker in capitals":        func(m *manifest.Manifest) { m.Maker = "Aldane" },
		"no hash":                    func(m *manifest.Manifest) { m.SHA256 = [32]byte{} },
	} {
		m := good()
		change(&m)
		if _, err := manifest.Sign(m, maker()); !errors.Is(err, manifest.ErrManifest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeysAreLinesOfOpenSSH(t *testing.T) {
	key := maker().Public().(ed25519.PublicKey)
	line, err := manifest.FormatKey(key, "aldane")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := manifest.ParseKey([]byte(line)); err != nil || !got.Equal(key) {
		t.Errorf("%x, %v", got, err)
	}
	for name, text := range map[string]string{"nothing": "", "two keys": line + line, "words": "no key", "endless": strings.Repeat("a", 5000),
		"an elliptic key": "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJk1ZJkNQmNqjzG2PbVQj0fyvIEkyEZuA9lVNvRPbPJXrKQLrPk4dD0rxdxQkrKw8s4mZ5CGAjYM0FQZ5i0mYmI= x"} {
		if _, err := manifest.ParseKey([]byte(text)); err == nil {
			t.Errorf("%s is taken for a key", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	genuine := signed(f)
	f.Add(genuine)
	key := maker().Public().(ed25519.PublicKey)
	f.Fuzz(func(t *testing.T, text []byte) {
		sdktest.Bounded(t, len(text), func() {
			s, err := manifest.Parse(text)
			if err != nil {
				return
			}
			if !bytes.Equal(s.Encode(), text) {
				t.Errorf("%q is written anew as %q", text, s.Encode())
			}
			if _, err := s.Verify(key); err == nil && !bytes.Equal(text, genuine) {
				t.Errorf("%q is taken as signed", text)
			}
		})
	})
}

// A person reads of every plugin whether anybody has certified it.
func TestAPluginThatNobodyCertifiedIsNamedSo(t *testing.T) {
	m := good()
	if got := m.Certified(); got != "certified by nobody" {
		t.Errorf("%q", got)
	}
	m.Report = sha256.Sum256([]byte("report"))
	if got := m.Certified(); !strings.HasPrefix(got, "certified, by the report with the SHA-256 ") {
		t.Errorf("%q", got)
	}
}

func TestAPrivateKeyIsNamedAsOne(t *testing.T) {
	if _, err := manifest.ParseKey([]byte("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")); err == nil || !strings.Contains(err.Error(), "private key") {
		t.Errorf("%v", err)
	}
}

// A manifest that a mail has changed is named so, in words that say what to do.
func TestAManifestThatWasChangedOnItsWaySaysHow(t *testing.T) {
	text := string(signed(t))
	for name, c := range map[string]struct{ text, says string }{
		"other line ends":  {strings.ReplaceAll(text, "\n", "\r\n"), "sent again as a file"},
		"cut short":        {text[:strings.LastIndex(text, "signature")], "7 lines where there are 8"},
		"empty":            {"", "begin with"},
		"half a signature": {text[:len(text)-9] + "\n", "64 octets"},
	} {
		if _, err := manifest.Parse([]byte(c.text)); !errors.Is(err, manifest.ErrManifest) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
