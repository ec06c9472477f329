package trust_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	"primum/agent/internal/trust"
	list "primum/safetylists"
	"primum/safetylists/release"
)

func open(t *testing.T, dir string, p *papertest.Papers) *trust.Store {
	t.Helper()
	s, err := trust.Open(dir, list.Lab, p.ListRoot)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// H-014: a release is refused from its end on, and a moment before it is not.
func TestAnExpiredReleaseIsRefused(t *testing.T) {
	p := papertest.Make(t, time.Now(), papertest.Options{Expires: time.Hour})
	end := p.Release.Expires
	if r := open(t, t.TempDir(), p).Take(p.Bundle, end); r == nil || r.Reason != list.ListExpired {
		t.Errorf("at its end: %v", r)
	}
	if r := open(t, t.TempDir(), p).Take(p.Bundle, end.Add(-time.Second)); r != nil {
		t.Errorf("a second before its end: %v", r)
	}
}

// H-015: a release with a smaller number than one seen before is refused, also after a restart, and
// also when the newest one itself is gone from the disk.
func TestARolledBackReleaseIsRefused(t *testing.T) {
	now := time.Now()
	newer := papertest.Make(t, now, papertest.Options{Number: 8})
	older := newer.Reissue(t, 7)
	same := newer.Reissue(t, 8) // the same numbers, another end
	dir := t.TempDir()
	s := open(t, dir, newer)
	if r := s.Take(older, now); r != nil {
		t.Fatalf("the first release: %v", r)
	}
	if r := s.Take(newer.Bundle, now); r != nil {
		t.Fatalf("a newer release: %v", r)
	}
	for name, s := range map[string]*trust.Store{"at once": s, "after a restart": open(t, dir, newer)} {
		if r := s.Take(older, now); r == nil || r.Reason != list.ListUntrusted {
			t.Errorf("%s, an older release: %v", name, r)
		}
		if r := s.Take(same, now); r == nil || r.Reason != list.ListUntrusted {
			t.Errorf("%s, another release of the same number: %v", name, r)
		}
		if rel, newest := s.Current(); rel == nil || rel.Number != 8 || newest != 8 {
			t.Errorf("%s, release %v, newest %d", name, rel, newest)
		}
	}
}

// H-015, H-016: a newer root counts also where the rest of its bundle does not, and whom it names no longer is
// not believed again: not after a restart, and not in the running agent either.
func TestAReleaseUnderAKeyThatANewerRootTookAwayIsNotUsedOn(t *testing.T) {
	now := time.Now()
	p := papertest.Make(t, now, papertest.Options{})
	dir := t.TempDir()
	s := open(t, dir, p)
	if r := s.Take(p.Bundle, now); r != nil {
		t.Fatal(r)
	}
	if r := s.Take(p.Revoked(t), now); r == nil || r.Reason != list.ListUntrusted {
		t.Errorf("a timestamp of a key that was taken away: %v", r)
	}
	for name, s := range map[string]*trust.Store{"running": s, "after a restart": open(t, dir, p)} {
		if rel, _ := s.Current(); rel != nil {
			t.Errorf("%s: release %d is used on", name, rel.Number)
		}
		if r := s.Take(p.Bundle, now); r == nil {
			t.Errorf("%s: it is taken again", name)
		}
	}
}

// H-016: the same signature twice, under one name or two, is one approver; a stranger is none.
func TestApproversAreCountedOnce(t *testing.T) {
	now := time.Now()
	p := papertest.Make(t, now, papertest.Options{MinApprovers: 2})
	s := open(t, t.TempDir(), p)
	if r := s.Take(p.Bundle, now); r != nil {
		t.Fatal(r)
	}
	good := trust.Signature{By: papertest.Approver, Sig: p.Signature}
	second := trust.Signature{By: papertest.Second, Sig: p.SecondSignature}
	for name, c := range map[string]struct {
		sigs []trust.Signature
		ok   bool
	}{
		"nobody":                      {nil, false},
		"one":                         {[]trust.Signature{good}, false},
		"one, twice":                  {[]trust.Signature{good, good}, false},
		"one, under the other's name": {[]trust.Signature{good, {By: papertest.Second, Sig: p.Signature}}, false},
		"one and a stranger":          {[]trust.Signature{good, {By: "stranger", Sig: p.Signature}}, false},
		"one and an empty signature":  {[]trust.Signature{good, {By: papertest.Second}}, false},
		"two":                         {[]trust.Signature{good, second}, true},
	} {
		r := s.TakePlan(p.Document, trust.Approval{Plan: c.sigs}, now)
		if (r == nil) != c.ok || r != nil && r.Reason != list.PlanNotApproved {
			t.Errorf("%s: %v", name, r)
		}
	}
}

// DESIGN 6.10: a release of the other policy never loads.
func TestAReleaseOfTheOtherPolicyIsRefused(t *testing.T) {
	now := time.Now()
	p := papertest.Make(t, now, papertest.Options{})
	s, err := trust.Open(t.TempDir(), list.Real, p.ListRoot)
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Take(p.Bundle, now); r == nil || r.Reason != list.ListUntrusted {
		t.Errorf("a lab release under real policy: %v", r)
	}
	if _, err := trust.Open(t.TempDir(), "", p.ListRoot); err == nil {
		t.Error("no policy at all opens")
	}
}

// The root that a person handed over at enrolment stays: neither another one nor a memory that was
// tampered with is gone on from.
func TestAMemoryOfAnotherRootOrADamagedOneIsNotGoneOnFrom(t *testing.T) {
	now := time.Now()
	p, other := papertest.Make(t, now, papertest.Options{}), papertest.Make(t, now, papertest.Options{})
	dir := t.TempDir()
	if r := open(t, dir, p).Take(p.Bundle, now); r != nil {
		t.Fatal(r)
	}
	if _, err := trust.Open(dir, list.Lab, other.ListRoot); err == nil {
		t.Error("another root goes on from the memory of this one")
	}
	if r := open(t, t.TempDir(), other).Take(p.Bundle, now); r == nil || r.Reason != list.ListUntrusted {
		t.Errorf("a release of another root: %v", r)
	}
	path := filepath.Join(dir, "list-trust.json")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"empty": "", "half": string(whole[:len(whole)/2]), "no memory": strings.Replace(string(whole), `"memory":{`, `"memory":{"more":1,`, 1)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := trust.Open(dir, list.Lab, p.ListRoot); err == nil {
			t.Errorf("%s: an agent without its memory starts", name)
		}
	}
}

// A release that says the same keeps the plans that were taken: they name its digest.
func TestAReleaseThatSaysTheSameKeepsPlans(t *testing.T) {
	now := time.Now()
	p := papertest.Make(t, now, papertest.Options{})
	s := open(t, t.TempDir(), p)
	if r := s.Take(p.Bundle, now); r != nil {
		t.Fatal(r)
	}
	if r := s.TakePlan(p.Document, trust.Approval{Plan: []trust.Signature{{By: papertest.Approver, Sig: p.Signature}}}, now); r != nil {
		t.Fatal(r)
	}
	if r := s.Take(p.Reissue(t, 2), now); r != nil {
		t.Fatal(r)
	}
	if _, ok := s.Plan(p.Digest); !ok {
		t.Error("the plan is gone, although the list says the same")
	}
	if rel, newest := s.Current(); newest != 2 || rel.Digest != p.Release.Digest {
		t.Errorf("release %d, digest %s", newest, rel.Digest)
	}
}

// A release may come from a folder or a file that somebody carries in; it is verified like any other.
func TestACarriedReleaseIsTakenFromFileOrFolder(t *testing.T) {
	now := time.Now()
	p := papertest.Make(t, now, papertest.Options{})
	b, err := release.Decode(p.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, text []byte) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range b.Metadata {
		write("usb/metadata/"+name, text)
	}
	for name, text := range b.Targets {
		write("usb/targets/"+name, text)
	}
	write("bundle", p.Bundle)
	for _, name := range []string{"usb", "bundle"} {
		got, err := trust.Carried(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(got, p.Bundle) {
			t.Errorf("%s: %v", name, err)
		}
	}
	write("usb/targets/site/site.yaml", []byte("schema: primum-site/1\n"))
	got, err := trust.Carried(filepath.Join(dir, "usb"))
	if err != nil {
		t.Fatal(err)
	}
	if r := open(t, t.TempDir(), p).Take(got, now); r == nil || r.Reason != list.ListUntrusted {
		t.Errorf("a changed folder: %v", r)
	}
	if _, err := trust.Carried(filepath.Join(dir, "nothing")); err == nil {
		t.Error("nothing was read")
	}
}
