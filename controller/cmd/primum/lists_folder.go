package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	list "primum/safetylists"
	"primum/safetylists/release"
)

// readBundle reads a bundle file, or makes one of a repository folder.
func readBundle(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, input("the release cannot be read: %v", err)
	}
	if info.IsDir() {
		b, err := readFolder(path)
		if err != nil {
			return nil, err
		}
		out, err := b.Encode()
		if err != nil {
			return nil, input("%v", err)
		}
		return out, nil
	}
	if info.Size() > release.MaxSize {
		return nil, input("%s has %d octets; a release has at most %d", path, info.Size(), release.MaxSize)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, input("the release cannot be read: %v", err)
	}
	return b, bundled(path, b)
}

// bundled names what people give in place of a bundle: their own file, which nobody has signed yet. What is JSON is for who
// verifies it.
func bundled(path string, b []byte) error {
	const then = "then primum list sign FOLDER %s, primum list release FOLDER and primum list timestamp FOLDER, and give the folder"
	text := string(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")))
	switch {
	case strings.HasPrefix(strings.TrimSpace(text), "{"):
		return nil
	case strings.Contains(text, "schema: primum-site/"):
		return input("%s is a site file that nobody has signed. Put it into the repository folder as targets/%s; "+then+".", path, release.SitePath, release.Site)
	case strings.Contains(text, "schema: primum-list/"):
		return input("%s is a list file that nobody has signed. Put it into the folder of its role below targets in the repository folder; "+then+".", path, "ROLE")
	}
	return input("%s is no bundle, which primum list timestamp --out writes, and no repository folder", path)
}

func readFolder(dir string) (release.Bundle, error) {
	b, err := release.FromFolder(os.DirFS(dir))
	if err != nil {
		return release.Bundle{}, input("%s: %v", dir, err)
	}
	return b, nil
}

// change reads a folder, lets a function change it in memory, and writes what is other then. Where the
// function fails nothing is written.
func change(dir string, by func(release.Bundle) error) error {
	b, err := readFolder(dir)
	if err != nil {
		return err
	}
	before := map[string][]byte{}
	for name, text := range b.Metadata {
		before["metadata/"+name] = text
	}
	for path, text := range b.Targets {
		before["targets/"+path] = text
	}
	if err := by(b); err != nil {
		return err
	}
	return writeFolder(dir, b, before)
}

func writeFolder(dir string, b release.Bundle, before map[string][]byte) error {
	after := map[string][]byte{}
	for name, text := range b.Metadata {
		after["metadata/"+name] = text
	}
	for path, text := range b.Targets {
		after["targets/"+path] = text
	}
	for name, text := range after {
		if was, ok := before[name]; ok && bytes.Equal(was, text) {
			continue
		}
		if err := replaceFile(filepath.Join(dir, filepath.FromSlash(name)), text); err != nil {
			return err
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
				return err
			}
		}
	}
	return nil
}

func replaceFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, text, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func keyName(k ed25519.PublicKey) (string, error) {
	id, err := release.KeyID(k)
	if err != nil {
		return "", err
	}
	return id[:16], nil
}

func publicKeys(flag string, paths []string, threshold int) (release.Signers, error) {
	s := release.Signers{Threshold: threshold}
	for _, p := range paths {
		k, err := readListPublic(p)
		if err != nil {
			return s, err
		}
		if slices.ContainsFunc(s.Keys, func(o ed25519.PublicKey) bool { return o.Equal(k) }) {
			return s, input("%s: %s is the same key as another one", flag, p)
		}
		s.Keys = append(s.Keys, k)
	}
	if threshold < 1 || threshold > len(s.Keys) {
		return s, input("%s: %d of %d keys have to sign; it is from 1 to the number of keys", flag, threshold, len(s.Keys))
	}
	return s, nil
}

type listInitCommand struct {
	Dir              string   `arg:"" help:"Folder that is made."`
	RootKey          []string `required:"" sep:"none" help:"File: public key of a person who holds root. Given again for each; three by default."`
	RootThreshold    int      `default:"2" help:"How many of them have to sign."`
	TargetsKey       []string `required:"" sep:"none" help:"File: public key of who says which manufacturer is who. May be given again."`
	TargetsThreshold int      `default:"1" help:"How many of them have to sign."`
	SnapshotKey      string   `required:"" help:"File: public key of who makes releases."`
	TimestampKey     string   `required:"" help:"File: public key of the publisher job. It may sign nothing else."`
	BoardKey         []string `required:"" sep:"none" help:"File: public key of a member of the safety board. May be given again."`
	BoardThreshold   int      `default:"1" help:"How many of them have to sign."`
	SiteKey          []string `required:"" sep:"none" help:"File: public key of who signs the site file. May be given again."`
	SiteThreshold    int      `default:"1" help:"How many of them have to sign."`
	RootDays         int      `default:"1825" help:"Days until the root ends."`
	Days             int      `default:"365" help:"Days until what targets says ends."`
}

// Run makes the folder.
func (c *listInitCommand) Run(e *env) error {
	if _, err := os.Stat(filepath.Join(c.Dir, "metadata")); err == nil {
		return input("%s is a repository already; nothing was changed", c.Dir)
	}
	roles := map[string]release.Signers{}
	for _, r := range []struct {
		role, flag string
		keys       []string
		threshold  int
	}{{"root", "--root-key", c.RootKey, c.RootThreshold}, {"targets", "--targets-key", c.TargetsKey, c.TargetsThreshold},
		{"snapshot", "--snapshot-key", []string{c.SnapshotKey}, 1}, {"timestamp", "--timestamp-key", []string{c.TimestampKey}, 1},
		{release.Board, "--board-key", c.BoardKey, c.BoardThreshold}, {release.Site, "--site-key", c.SiteKey, c.SiteThreshold}} {
		s, err := publicKeys(r.flag, r.keys, r.threshold)
		if err != nil {
			return err
		}
		roles[r.role] = s
	}
	board, site := roles[release.Board], roles[release.Site]
	delete(roles, release.Board)
	delete(roles, release.Site)
	now := time.Now()
	b := release.Bundle{Metadata: map[string][]byte{}, Targets: map[string][]byte{}}
	if err := b.StageRoot(roles, now.AddDate(0, 0, c.RootDays)); err != nil {
		return input("root: %v", err)
	}
	makers, err := release.WriteMakers(nil)
	if err != nil {
		return err
	}
	b.Targets[release.MakersPath] = makers
	for role, s := range map[string]release.Signers{release.Board: board, release.Site: site} {
		if err := b.Delegate(role, s, now.AddDate(0, 0, c.Days)); err != nil {
			return input("%v", err)
		}
	}
	if _, err := b.Stage("targets", now.AddDate(0, 0, c.Days), true, nil); err != nil {
		return input("%v", err)
	}
	if err := writeFolder(c.Dir, b, nil); err != nil {
		return err
	}
	e.say("The repository is in %s. Nothing is signed yet. What to do next:", c.Dir)
	e.say("  each who holds root:  primum list sign %s root --key FILE", c.Dir)
	e.say("  list files go to %s, the site file to %s", filepath.Join(c.Dir, "targets", release.Board), filepath.Join(c.Dir, "targets", filepath.FromSlash(release.SitePath)))
	e.say("  then: primum list sign %s safety-board, site and targets, each with a key of its own; primum list release %s", c.Dir, c.Dir)
	return nil
}

type listDelegateCommand struct {
	Dir       string   `arg:"" help:"Repository folder."`
	Name      string   `arg:"" help:"Short name of the manufacturer; its files lie in manufacturers/NAME."`
	Key       []string `required:"" sep:"none" help:"File: public key of the manufacturer. May be given again."`
	Threshold int      `default:"1" help:"How many of them have to sign."`
	Spelling  []string `required:"" sep:"none" help:"How the manufacturer's name is written. May be given again."`
	Arc       []string `sep:"none" help:"Object identifiers of its own, as 1.3.6.1.4.1.99991. May be given again."`
	Days      int      `default:"365" help:"Days until what targets says ends."`
}

// Run delegates. Targets has to sign it.
func (c *listDelegateCommand) Run(e *env) error {
	s, err := publicKeys("--key", c.Key, c.Threshold)
	if err != nil {
		return err
	}
	err = change(c.Dir, func(b release.Bundle) error {
		makers, err := release.ReadMakers(b.Targets[release.MakersPath])
		if err != nil {
			return input("%v", err)
		}
		makers = slices.DeleteFunc(makers, func(m release.Maker) bool { return m.Name == c.Name })
		text, err := release.WriteMakers(append(makers, release.Maker{Name: c.Name, Spellings: c.Spelling, Arcs: c.Arc}))
		if err != nil {
			return input("%v", err)
		}
		b.Targets[release.MakersPath] = text
		until := time.Now().AddDate(0, 0, c.Days)
		if err := b.Delegate(c.Name, s, until); err != nil {
			return input("%v", err)
		}
		if _, err := b.Stage("targets", until, true, nil); err != nil {
			return input("%v", err)
		}
		return nil
	})
	if err == nil {
		e.say("%s may sign manufacturers/%s. Targets has to sign that: primum list sign %s targets --key FILE", c.Name, c.Name, c.Dir)
	}
	return err
}

type listDemoCommand struct {
	Dir   string   `arg:"" help:"Folder that is made."`
	Site  string   `required:"" help:"Site file."`
	Files []string `arg:"" help:"List files. Those of fictional makers go to roles of their makers, all others to the safety board."`
}

// Run makes keys, folder and release. All keys lie in one folder, which is what a real site never does.
func (c *listDemoCommand) Run(e *env) error {
	if err := free(c.Dir); err != nil {
		return err
	}
	site, err := os.ReadFile(c.Site)
	if err != nil {
		return input("the site file cannot be read: %v", err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	src := release.Source{Number: 1, Issued: now, Expires: now.AddDate(0, 0, release.MaxOfflineDays), Site: site, Files: map[string][]byte{}}
	for _, f := range c.Files {
		name := filepath.Base(f)
		if src.Files[name] != nil {
			return input("two files are named %s; rename one", name)
		}
		if src.Files[name], err = os.ReadFile(f); err != nil {
			return input("the list file cannot be read: %v", err)
		}
	}
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return err
	}
	staff := release.NewStaff(secret[:])
	b, err := src.Make(staff)
	if err != nil {
		return input("%v", err)
	}
	if err := os.MkdirAll(filepath.Join(c.Dir, "keys"), 0o700); err != nil {
		return err
	}
	word := base64.RawStdEncoding.EncodeToString(secret[16:])
	if err := writeNew(filepath.Join(c.Dir, "keys", "passphrase"), word+"\n"); err != nil {
		return err
	}
	for _, role := range []string{"targets", "snapshot", "timestamp"} {
		if _, err := writeListKey(filepath.Join(c.Dir, "keys", role), staff.Key(role, 0), []byte(word)); err != nil {
			return err
		}
	}
	if err := writeFolder(c.Dir, b, nil); err != nil {
		return err
	}
	e.say("Release 1 of %s is in %s. To publish: primum list publish %s", count(len(src.Files), "file"), c.Dir, c.Dir)
	e.say("For a demonstration only: keys of several roles lie in one folder, with their passphrase beside them.")
	return nil
}

// counts says what a list file holds, for a person who is about to sign it.
func counts(path string, text []byte) (map[list.Type]int, error) {
	f, err := list.Load(path, text)
	if err != nil {
		return nil, input("%v", err)
	}
	n := map[list.Type]int{}
	for _, s := range f.Statements {
		n[s.Type]++
	}
	return n, nil
}
