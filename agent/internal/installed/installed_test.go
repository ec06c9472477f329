package installed_test

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

	"primum/agent/internal/installed"
	"primum/plugins/manifest"
)

func key(n byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32)) }

func public(n byte) ed25519.PublicKey { return key(n).Public().(ed25519.PublicKey) }

// shipped writes a binary and its manifest as a maker ships them.
func shipped(t *testing.T, name, version, content string, signer byte, kinds ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	s, err := manifest.Sign(manifest.Manifest{Name: name, Version: version, Maker: "aldane", Kinds: kinds, SHA256: sha256.Sum256([]byte(content))}, key(signer))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(path, []byte(content), 0o755), os.WriteFile(path+".manifest", s.Encode(), 0o644)); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T) (string, installed.Store) {
	t.Helper()
	data := t.TempDir()
	s, err := installed.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	return data, s
}

func install(s installed.Store, path string) error {
	_, err := s.Install(path, path+".manifest")
	return err
}

func TestOnlyWhatAnAdmittedMakerSignedIsInstalled(t *testing.T) {
	data, s := open(t)
	path := shipped(t, "status", "1", "binary", 1, "tcp.aldane.status")
	if err := install(s, path); !errors.Is(err, installed.ErrNotAdmitted) {
		t.Fatalf("a maker that nobody admitted: %v", err)
	}
	if err := s.Admit("aldane", public(1)); err != nil {
		t.Fatal(err)
	}
	if err := install(s, shipped(t, "status", "1", "binary", 2, "tcp.aldane.status")); !errors.Is(err, manifest.ErrSignature) {
		t.Errorf("signed by somebody else: %v", err)
	}
	if err := os.WriteFile(path, []byte("another"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := install(s, path); err == nil || !strings.Contains(err.Error(), "not the binary") {
		t.Errorf("another binary: %v", err)
	}
	if all, err := s.All(); err != nil || len(all) != 0 {
		t.Fatalf("installed all the same: %v, %v", all, err)
	}
	if left, _ := filepath.Glob(filepath.Join(data, "plugins", ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	path = shipped(t, "status", "1", "binary", 1, "tcp.aldane.status")
	for range 2 { // again is no other thing
		if err := install(s, path); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.All()
	if err != nil || len(all) != 1 || all[0].Why != nil {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, file := range []string{all[0].Path, filepath.Join(filepath.Dir(all[0].Path), "manifest")} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
}

func TestADismissedMakersPluginsDoNotStart(t *testing.T) {
	_, s := open(t)
	if err := errors.Join(s.Admit("aldane", public(1)), install(s, shipped(t, "status", "1", "binary", 1, "tcp.aldane.status")), s.Dismiss("aldane")); err != nil {
		t.Fatal(err)
	}
	if all, err := s.All(); err != nil || len(all) != 1 || !errors.Is(all[0].Why, installed.ErrNotAdmitted) {
		t.Errorf("%+v, %v", all, err)
	}
	if err := s.Admit("aldane", public(2)); err != nil {
		t.Fatal(err)
	}
	if all, err := s.All(); err != nil || !errors.Is(all[0].Why, manifest.ErrSignature) {
		t.Errorf("under another key: %+v, %v", all, err)
	}
	if err := s.Admit("aldane", public(1)); err == nil {
		t.Error("a maker's key was replaced without a word")
	}
	if err := s.Dismiss("../makers/aldane"); err == nil {
		t.Error("a path is taken for a maker")
	}
}

func TestANewVersionTakesThePlaceOfTheOldOne(t *testing.T) {
	_, s := open(t)
	if err := errors.Join(s.Admit("aldane", public(1)), install(s, shipped(t, "status", "1", "one", 1, "tcp.aldane.status")),
		install(s, shipped(t, "status", "2", "two", 1, "tcp.aldane.status"))); err != nil {
		t.Fatal(err)
	}
	all, err := s.All()
	if err != nil || len(all) != 1 || all[0].Manifest.Version != "2" {
		t.Fatalf("%+v, %v", all, err)
	}
	if err := install(s, shipped(t, "other", "1", "three", 1, "tcp.aldane.hello", "tcp.aldane.status")); err == nil {
		t.Error("two plugins speak one question")
	}
	if n, err := s.Remove("status"); n != 1 || err != nil {
		t.Errorf("%d removed, %v", n, err)
	}
	if all, err := s.All(); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

// H-033: an older version was signed too, and what was mended since is why somebody brings it back.
func TestAnOlderVersionDoesNotTakeThePlaceOfANewerOne(t *testing.T) {
	for _, c := range []struct {
		have, comes string
		taken       bool
	}{
		{"1.10.0", "1.9.2", false}, {"2", "1.9", false}, {"1.2.3", "1.2.3-rc1", false}, {"v2.0", "1.9", false}, {"1.0", "0+git", false}, {"1.0-rc1", "1.0", false},
		{"1.9.2", "1.10.0", true}, {"1.0", "1.0.1", true}, {"v1.2", "v1.3", true}, {"7f3a", "7f3a", false}, {"1.0", "1.0", false},
	} {
		_, s := open(t)
		if err := errors.Join(s.Admit("aldane", public(1)), install(s, shipped(t, "status", c.have, "one", 1, "tcp.aldane.status"))); err != nil {
			t.Fatal(err)
		}
		if err := install(s, shipped(t, "status", c.comes, "two", 1, "tcp.aldane.status")); (err == nil) != c.taken {
			t.Errorf("%s over %s: %v", c.comes, c.have, err)
		}
		want := c.have
		if c.taken {
			want = c.comes
		}
		if all, err := s.All(); err != nil || len(all) != 1 || all[0].Manifest.Version != want {
			t.Errorf("%s over %s leaves %+v, %v", c.comes, c.have, all, err)
		}
		if _, err := s.Remove("status"); err != nil {
			t.Fatal(err)
		}
		if err := install(s, shipped(t, "status", c.comes, "two", 1, "tcp.aldane.status")); err != nil {
			t.Errorf("%s after %s was removed: %v", c.comes, c.have, err)
		}
	}
}

// A folder of somebody else's is open to them whatever its mode says.
func TestAFolderOfAnotherOwnerIsNotRead(t *testing.T) {
	for _, which := range []string{"plugins", "plugins/makers"} {
		data, _ := open(t)
		// Nobody else can give a folder away.
		if err := os.Chown(filepath.Join(data, which), 65534, -1); (err == nil) != (os.Getuid() == 0) {
			t.Fatal(err)
		}
		if _, err := installed.Open(data); (err == nil) != (os.Getuid() != 0) {
			t.Errorf("%s: %v", which, err)
		}
	}
}

func TestWhatWasChangedOnTheDiskDoesNotStart(t *testing.T) {
	data, s := open(t)
	if err := errors.Join(s.Admit("aldane", public(1)), install(s, shipped(t, "status", "1", "one", 1, "tcp.aldane.status")),
		install(s, shipped(t, "hello", "1", "two", 1, "tcp.aldane.hello"))); err != nil {
		t.Fatal(err)
	}
	all, err := s.All()
	if err != nil {
		t.Fatal(err)
	}
	manifestOf := func(p installed.Plugin) string { return filepath.Join(filepath.Dir(p.Path), "manifest") }
	other, err := os.ReadFile(manifestOf(all[1]))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(manifestOf(all[0]), other, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.Why != nil {
			t.Fatal(p.Why)
		}
	}
	after, err := s.All()
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, p := range after {
		if p.Why != nil {
			refused++
		}
	}
	if refused != 1 {
		t.Errorf("%d refused: %+v", refused, after)
	}
	if err := os.Chmod(filepath.Join(data, "plugins"), 0o770); err != nil {
		t.Fatal(err)
	}
	if _, err := installed.Open(data); err == nil {
		t.Error("a folder that others can write to is read")
	}
}

// A technician hears before the start that a binary was changed or is gone, and a mistyped folder is not made.
func TestTheListSaysWhatWillNotStart(t *testing.T) {
	_, s := open(t)
	if err := errors.Join(s.Admit("aldane", public(1)), install(s, shipped(t, "status", "1", "one", 1, "tcp.aldane.status"))); err != nil {
		t.Fatal(err)
	}
	why := func() string {
		all, err := s.All()
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		if all[0].Why == nil {
			return ""
		}
		return all[0].Why.Error()
	}
	if got := why(); got != "" {
		t.Errorf("as it was installed: %s", got)
	}
	all, err := s.All()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(all[0].Path, 0o700), os.WriteFile(all[0].Path, []byte("another"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if got := why(); !strings.Contains(got, "was changed") {
		t.Errorf("a changed binary: %q", got)
	}
	if err := os.Remove(all[0].Path); err != nil {
		t.Fatal(err)
	}
	if got := why(); !strings.Contains(got, "gone") {
		t.Errorf("no binary: %q", got)
	}
	mistyped := filepath.Join(t.TempDir(), "mistyped")
	if _, err := installed.Open(mistyped); err == nil || !strings.Contains(err.Error(), "there is no directory") {
		t.Errorf("a mistyped folder: %v", err)
	}
	if _, err := os.Stat(mistyped); err == nil {
		t.Error("a mistyped folder was made")
	}
}

// What cannot be read any more can still be taken away: by the beginning of its hash, which the list shows.
func TestAPluginWithADamagedManifestIsRemovedByItsHash(t *testing.T) {
	data, s := open(t)
	if err := s.Admit("aldane", public(1)); err != nil {
		t.Fatal(err)
	}
	if err := install(s, shipped(t, "status", "1", "binary", 1, "tcp.aldane.status")); err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte("binary")))
	if err := os.WriteFile(filepath.Join(data, "plugins", sum, "manifest"), []byte("primum"), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := s.All()
	if err != nil || len(all) != 1 || all[0].Why == nil || all[0].Manifest.Name != "" {
		t.Fatalf("%+v %v", all, err)
	}
	for name, want := range map[string]int{"status": 0, "": 0, sum[:7]: 0, "00000000": 0} {
		if n, err := s.Remove(name); err != nil || n != want {
			t.Errorf("%q: %d removed, %v", name, n, err)
		}
	}
	if n, err := s.Remove(sum[:8]); err != nil || n != 1 {
		t.Errorf("by its hash: %d, %v", n, err)
	}
	if all, err := s.All(); err != nil || len(all) != 0 {
		t.Errorf("%+v %v", all, err)
	}
}

// A plugin that a maker has certified is not replaced in silence by one that nobody has, be it newer or the very same.
func TestWhatNobodyCertifiedDoesNotTakeThePlaceOfWhatIsCertified(t *testing.T) {
	_, s := open(t)
	certified := filepath.Join(t.TempDir(), "status")
	m, err := manifest.Sign(manifest.Manifest{Name: "status", Version: "1", Maker: "aldane", Kinds: []string{"tcp.aldane.status"}, SHA256: sha256.Sum256([]byte("one")),
		Report: sha256.Sum256([]byte("report"))}, key(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(certified, []byte("one"), 0o755), os.WriteFile(certified+".manifest", m.Encode(), 0o644), s.Admit("aldane", public(1)), install(s, certified)); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"the same": shipped(t, "status", "1", "one", 1, "tcp.aldane.status"), "a newer one": shipped(t, "status", "2", "two", 1, "tcp.aldane.status")} {
		if err := install(s, path); err == nil || !strings.Contains(err.Error(), "certified by nobody") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if all, err := s.All(); err != nil || len(all) != 1 || all[0].Manifest.Report == ([sha256.Size]byte{}) {
		t.Errorf("%+v %v", all, err)
	}
}

// One key that cannot be read hides nothing of the others; a protocol is no maker, and a key is one maker's.
func TestADamagedKeyHidesNoOtherAndAKeyIsOneMakers(t *testing.T) {
	data, s := open(t)
	if err := errors.Join(s.Admit("aldane", public(1)), s.Admit("beta", public(2))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "plugins", "makers", "beta.pub"), []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := s.Makers()
	if err != nil || len(all) != 2 || all[0].Name != "aldane" || all[0].Why != nil || all[1].Name != "beta" || all[1].Why == nil {
		t.Errorf("%+v %v", all, err)
	}
	for name, c := range map[string]struct {
		maker string
		key   byte
		says  string
	}{
		"a damaged key":      {"beta", 2, "dismiss beta first"},
		"another key":        {"aldane", 3, "another key"},
		"a protocol":         {"snmp", 4, "is a protocol"},
		"the key of another": {"gamma", 1, "is that of aldane"},
	} {
		if err := s.Admit(c.maker, public(c.key)); err == nil || !strings.Contains(err.Error(), c.says) || name == "a damaged key" && strings.Contains(err.Error(), "another key") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := errors.Join(s.Dismiss("beta"), s.Admit("beta", public(2))); err != nil {
		t.Error(err)
	}
}
