package release

import (
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

type object = map[string]any

func roles(signed object) []any { return signed["delegations"].(object)["roles"].([]any) }

// What was wrong in go-tuf or another client once, and what a repository in wrong hands would try. The
// metadata is signed as it should be in each; what it says is refused.
func TestMetadataThatSaysWhatItMayNotIsRefused(t *testing.T) {
	targets := func(by func(object)) func(*testing.T, Bundle) {
		return func(t *testing.T, b Bundle) {
			edit(t, b, targetsFile, by)
			b.Metadata[targetsFile] = sign(t, metadata.Targets(), b.Metadata[targetsFile], key(metadata.TARGETS, 0))
		}
	}
	root := func(by func(object)) func(*testing.T, Bundle) {
		return func(t *testing.T, b Bundle) {
			b.Metadata[rootFile(2)] = b.Metadata[rootFile(1)]
			edit(t, b, rootFile(2), func(s object) { s["version"] = 2; by(s) })
			b.Metadata[rootFile(2)] = sign(t, metadata.Root(), b.Metadata[rootFile(2)], key("root", 0), key("root", 1))
		}
	}
	raw := func(name, old, new string) func(*testing.T, Bundle) {
		return func(t *testing.T, b Bundle) {
			text := strings.Replace(string(b.Metadata[name]), old, new, 1)
			if text == string(b.Metadata[name]) {
				t.Fatalf("%s has no %q", name, old)
			}
			b.Metadata[name] = []byte(text)
		}
	}
	for name, c := range map[string]struct {
		bend func(*testing.T, Bundle)
		want string
	}{
		// GHSA-fphv-w9fq-2525, CVE-2026-23992: a threshold of 0 made every signature count.
		"a root with a threshold of 0":       {root(func(s object) { s["roles"].(object)["targets"].(object)["threshold"] = 0 }), "threshold 0"},
		"a delegation with a threshold of 0": {targets(func(s object) { roles(s)[1].(object)["threshold"] = 0 }), "threshold 0"},
		"a threshold below 0":                {targets(func(s object) { roles(s)[1].(object)["threshold"] = -1 }), "threshold -1"},
		"a threshold above the keys":         {targets(func(s object) { roles(s)[2].(object)["threshold"] = 2 }), "threshold 2 of 1"},
		// One key under two ids, or one id twice, must not pass for two signers (as in CVE-2020-15093 of another client).
		"one key under two ids": {targets(func(s object) {
			d := s["delegations"].(object)
			id := roles(s)[2].(object)["keyids"].([]any)[0].(string)
			other := strings.Repeat("ab", 32)
			d["keys"].(object)[other] = d["keys"].(object)[id]
			roles(s)[2].(object)["keyids"], roles(s)[2].(object)["threshold"] = []any{id, other}, 2
		}), "its own id"},
		"one id twice": {targets(func(s object) {
			r := roles(s)[2].(object)
			r["keyids"], r["threshold"] = []any{r["keyids"].([]any)[0], r["keyids"].([]any)[0]}, 2
		}), "stands twice"},
		// CVE-2024-47534: with delegations looked up in another order, one role's file is served as another's.
		"a maker before the board":      {targets(func(s object) { r := roles(s); r[0], r[1] = r[1], r[0] }), "the first is safety-board"},
		"makers in another order":       {targets(func(s object) { r := roles(s); r[1], r[2] = r[2], r[1] }), "not in its place"},
		"a role twice":                  {targets(func(s object) { r := roles(s); r[2].(object)["name"] = "acme" }), "stands twice"},
		"a delegation that goes on":     {targets(func(s object) { roles(s)[1].(object)["terminating"] = false }), "terminating"},
		"a folder of another":           {targets(func(s object) { roles(s)[1].(object)["paths"] = []any{"manufacturers/globex/*"} }), "has paths"},
		"a folder of everybody":         {targets(func(s object) { roles(s)[1].(object)["paths"] = []any{"manufacturers/*"} }), "has paths"},
		"a second folder":               {targets(func(s object) { roles(s)[1].(object)["paths"] = []any{"manufacturers/acme/*", "safety-board/*"} }), "has paths"},
		"a file of targets' own choice": {targets(func(s object) { s["targets"].(object)["safety-board/a.yaml"] = s["targets"].(object)[MakersPath] }), "alone"},
		// GHSA-jqc5-w2xx-5vq4, CVE-2026-24686: a name of a repository led out of its folder.
		"a role named upwards": {targets(func(s object) { roles(s)[1].(object)["name"] = "../acme" }), "not a name of a maker"},
		// CVE-2026-23991: metadata that is JSON and not TUF made the client panic before any signature.
		"a target that is null": {raw(targetsFile, `"makers.yaml": {`, `"x": null, "makers.yaml": {`), "null"},
		"a role that is null":   {raw(rootFile(1), `"snapshot": {`, `"more": null, "snapshot": {`), ""},
		"signed is a word":      {func(_ *testing.T, b Bundle) { b.Metadata[targetsFile] = []byte(`{"signed":"x","signatures":[]}`) }, "targets.json"},
		"no metadata":           {func(_ *testing.T, b Bundle) { b.Metadata[targetsFile] = []byte(`[]`) }, "targets.json"},
		"a short key": {targets(func(s object) {
			for _, k := range s["delegations"].(object)["keys"].(object) {
				k.(object)["keyval"] = object{"public": "ab"}
			}
		}), "not an ed25519 key"},
		"a field nobody knows":    {targets(func(s object) { s["extra"] = 1 }), "unknown field"},
		"a field in another case": {raw(targetsFile, `"threshold": 2`, `"Threshold": 2`), "written otherwise"},
		"a field twice":           {raw(targetsFile, `"threshold": 2`, `"threshold": 2, "threshold": 2`), "stands twice"},
		"the timestamp's key elsewhere": {root(func(s object) {
			r := s["roles"].(object)
			r["targets"] = r["timestamp"]
		}), "may sign nothing else"},
		"more than a week offline": {root(func(s object) { s["x-primum-offline-days"] = 30 }), "x-primum-offline-days"},
		"no word about offline":    {root(func(s object) { delete(s, "x-primum-offline-days") }), "field is missing"},
		"a delegation of a maker": {func(t *testing.T, b Bundle) {
			edit(t, b, "acme.json", func(s object) { s["delegations"] = object{"keys": object{}, "roles": []any{}} })
			b.Metadata["acme.json"] = sign(t, metadata.Targets(), b.Metadata["acme.json"], key("acme", 0), key("acme", 1))
		}, "delegates further"},
		"one signature of two": {func(t *testing.T, b Bundle) {
			b.Metadata["acme.json"] = sign(t, metadata.Targets(), b.Metadata["acme.json"], key("acme", 0))
		}, "got 1, want 2"},
		"one signature twice": {func(t *testing.T, b Bundle) {
			var m struct {
				Signed     json.RawMessage `json:"signed"`
				Signatures []any           `json:"signatures"`
			}
			must(t, json.Unmarshal(b.Metadata["acme.json"], &m))
			m.Signatures[1] = m.Signatures[0]
			text, err := json.Marshal(m)
			must(t, err)
			b.Metadata["acme.json"] = text
		}, "multiple signatures"},
		"globex signed by acme": {func(t *testing.T, b Bundle) {
			b.Metadata["globex.json"] = sign(t, metadata.Targets(), b.Metadata["globex.json"], key("acme", 0), key("acme", 1))
		}, "got 0, want 1"},
		"a maker's metadata missing": {func(_ *testing.T, b Bundle) { delete(b.Metadata, "acme.json") }, ""},
		"metadata of nobody":         {func(_ *testing.T, b Bundle) { b.Metadata["initech.json"] = b.Metadata["acme.json"] }, ""},
		"a maker who is not named": {func(t *testing.T, b Bundle) {
			text, err := WriteMakers([]Maker{{"acme", []string{"Acme"}, nil}})
			must(t, err)
			b.Targets[MakersPath] = text
			restage(t, b, metadata.TARGETS)
		}, "delegated and not named"},
		"an altered target": {func(_ *testing.T, b Bundle) {
			b.Targets["safety-board/a.yaml"] = file("board", "Board", denial("board.deny", "Other", "X2"))
		}, "hash"},
		"a missing target":   {func(_ *testing.T, b Bundle) { delete(b.Targets, "safety-board/a.yaml") }, "is missing"},
		"a target of nobody": {func(_ *testing.T, b Bundle) { b.Targets["safety-board/b.yaml"] = []byte("x") }, "nobody signed it"},
	} {
		t.Run(name, func(t *testing.T) {
			b := world(t)
			m := believing(t, b)
			c.bend(t, b)
			seal(t, b)
			if r, _, err := b.Open(m, testNow()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("opened %v: %v, want %q", r != nil, err, c.want)
			}
		})
	}
}

// H-014: nothing that has ended is used. What a maker allowed ends with its signature; what it denied stays.
func TestWhatHasEndedIsRefused(t *testing.T) {
	b := world(t)
	m := believing(t, b)
	past := testNow().Add(-time.Second)
	for name, c := range map[string]struct{ snapshot, timestamp time.Time }{
		"snapshot": {past, testNow().AddDate(0, 0, 7)}, "timestamp": {testUntil(), past},
	} {
		ended := b.clone()
		sealUntil(t, ended, c.snapshot, testNow().Add(-time.Hour), c.timestamp)
		if _, _, err := ended.Open(m, testNow()); !errors.Is(err, ErrExpired) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, role := range []string{Board, Site, metadata.TARGETS} {
		ended := b.clone()
		_, err := ended.Stage(role, past, true, nil)
		must(t, err)
		_, _, err = ended.Sign(role, key(role, 0), false)
		must(t, err)
		seal(t, ended)
		if _, _, err := ended.Open(m, testNow()); !errors.Is(err, ErrExpired) {
			t.Errorf("%s: %v", role, err)
		}
	}
	if _, _, err := b.Open(m, rootUntil().Add(time.Second)); !errors.Is(err, ErrExpired) {
		t.Errorf("root: %v", err)
	}
	ended := b.clone()
	_, err := ended.Stage("globex", past, true, nil)
	must(t, err)
	_, _, err = ended.Sign("globex", key("globex", 0), false)
	must(t, err)
	seal(t, ended)
	r, _, err := ended.Open(m, testNow())
	if err != nil || !denied(r.List, "Globex", "G1") || !r.List.Statement("globex.allow").Expires.Equal(past) || r.List.Statement("acme.allow").Expires.Equal(past) {
		t.Errorf("a maker: %v", err)
	}
}

// CVE-2022-29173: a client that forgets what it saw takes older metadata for newer. Each role is remembered
// for itself, and metadata of one moment does not pass with that of another.
func TestNoRoleGoesBack(t *testing.T) {
	old := world(t)
	m0 := believing(t, old)
	newer := old.clone()
	for _, role := range []string{Board, "acme", "globex", Site, metadata.TARGETS} {
		restage(t, newer, role)
	}
	seal(t, newer)
	_, m, err := newer.Open(m0, testNow())
	must(t, err)
	if _, _, err := old.Open(m, testNow()); err == nil || !strings.Contains(err.Error(), "older") {
		t.Errorf("the whole: %v", err)
	}
	for _, name := range []string{"targets.json", "safety-board.json", "acme.json", "globex.json", "site.json"} {
		b := newer.clone()
		b.Metadata[name] = old.Metadata[name]
		if _, _, err := b.Open(m0, testNow()); err == nil {
			t.Errorf("%s of another moment: opened", name)
		}
		seal(t, b) // with the keys of snapshot and timestamp, too
		if _, _, err := b.Open(m, testNow()); err == nil || !strings.Contains(err.Error(), "older") {
			t.Errorf("%s gone back: %v", name, err)
		}
	}
	b := newer.clone()
	b.Metadata[snapshotFile] = old.Metadata[snapshotFile]
	stamp(t, b, 9, testNow(), testNow().AddDate(0, 0, 7))
	if _, _, err := b.Open(m, testNow()); err == nil || !strings.Contains(err.Error(), "older") {
		t.Errorf("snapshot gone back: %v", err)
	}
	b = newer.clone()
	stamp(t, b, 2, testNow(), testNow().AddDate(0, 0, 6))
	if _, _, err := b.Open(m, testNow()); err == nil || !strings.Contains(err.Error(), "two different timestamp") {
		t.Errorf("another timestamp of the same version: %v", err)
	}
	if _, _, err := newer.Open(m, testNow()); err != nil {
		t.Errorf("the same once more: %v", err)
	}
}

// DESIGN 6.18: root changes hands by 2 of 3 of those who had it, one version at a time, and a newer root
// counts even where the rest of the bundle does not.
func TestRootChangesHandsByItsThreshold(t *testing.T) {
	b := world(t)
	m := believing(t, b)
	next := NewStaff([]byte("test")).roles()
	next[metadata.SNAPSHOT] = signers(1, key("new snapshot", 0))
	rotated := func(old ...int) Bundle {
		r := b.clone()
		must(t, r.StageRoot(next, rootUntil()))
		for _, n := range old {
			_, _, err := r.Sign(metadata.ROOT, key(metadata.ROOT, n), false)
			must(t, err)
		}
		return r
	}
	if _, kept, err := rotated(0).Open(m, testNow()); err == nil || kept.RootVersion() != 1 {
		t.Errorf("one of three: %v", err)
	}
	_, kept, err := rotated(0, 2).Open(m, testNow())
	if err == nil || !strings.Contains(err.Error(), snapshotFile) || kept.RootVersion() != 2 {
		t.Errorf("the old snapshot's key under the new root: %v, root %d", err, kept.RootVersion())
	}
	if _, _, err := b.Open(kept, testNow()); err == nil {
		t.Error("the old snapshot's key is believed again")
	}
	r := rotated(0, 2)
	r.Metadata[snapshotFile] = sign(t, metadata.Snapshot(), r.Metadata[snapshotFile], key("new snapshot", 0))
	stamp(t, r, 2, testNow(), testNow().AddDate(0, 0, 7))
	if _, _, err := r.Open(m, testNow()); err != nil {
		t.Errorf("two of three: %v", err)
	}
	skipped := r.clone()
	skipped.Metadata[rootFile(3)] = skipped.Metadata[rootFile(2)]
	delete(skipped.Metadata, rootFile(2))
	if _, _, err := skipped.Open(m, testNow()); err == nil || !strings.Contains(err.Error(), "no root of version 2") {
		t.Errorf("a version left out: %v", err)
	}
	other := b.clone()
	other.Metadata[rootFile(1)] = append([]byte(" "), other.Metadata[rootFile(1)]...)
	if _, _, err := other.Open(m, testNow()); err == nil {
		t.Error("another root of the same version: opened")
	}
}

// FuzzMetadata reads foreign bytes as each kind of metadata: what has its shape does not make go-tuf panic,
// and none of it opens. The bound on size is read's own (maxMetadata).
func FuzzMetadata(f *testing.F) {
	b := world(f)
	for _, name := range []string{rootFile(1), timestampFile, snapshotFile, targetsFile, "acme.json"} {
		f.Add(b.Metadata[name])
	}
	m := believing(f, b)
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := readRoot(text); err == nil {
			_, _ = NewMemory(text) // it may be signed by nobody
		}
		if _, err := read[timestampShape](metadata.TIMESTAMP, text); err == nil {
			_, err = metadata.Timestamp().FromBytes(text)
			must(t, err)
		}
		if _, err := read[snapshotShape](metadata.SNAPSHOT, text); err == nil {
			_, err = metadata.Snapshot().FromBytes(text)
			must(t, err)
		}
		if s, err := read[targetsShape](metadata.TARGETS, text); err == nil {
			if s.Signed.Delegations != nil && checkKeys(s.Signed.Delegations.Keys) == nil {
				md, err := metadata.Targets().FromBytes(text)
				if err == nil {
					_ = md.VerifyDelegate("acme", md) // whatever it says, it says it without a panic
				}
			}
		}
		bent := b.clone()
		bent.Metadata[timestampFile] = text
		if _, _, err := bent.Open(m, testNow()); err == nil && string(text) != string(b.Metadata[timestampFile]) {
			t.Fatal("a timestamp of nobody opened")
		}
	})
}

// FuzzDecode reads foreign bytes as a bundle: what it takes has one form, and names that stay in their folders.
func FuzzDecode(f *testing.F) {
	b := Bundle{Metadata: map[string][]byte{"1.root.json": []byte("{}")}, Targets: map[string][]byte{"site/site.yaml": []byte("x")}}
	text, err := b.Encode()
	must(f, err)
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := Decode(text)
		if err != nil {
			return
		}
		again, err := b.Encode()
		if err != nil || string(again) != string(text) {
			t.Fatalf("another form: %v", err)
		}
		for path := range b.Targets {
			if !fs.ValidPath(path) {
				t.Fatalf("path %q", path)
			}
		}
	})
}
