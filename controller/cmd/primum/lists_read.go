package main

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	list "primum/safetylists"
	"primum/safetylists/lists"
	"primum/safetylists/release"
)

// readLists loads list files: each path is a file or a folder of *.yaml. The word shipped means the lists
// that this program carries. Nothing of a file that is too large is read.
func readLists(paths []string) ([]*list.File, error) {
	files, faults, err := loadLists(paths)
	if err == nil && len(faults) > 0 {
		err = input("%s", strings.Join(faults, "; "))
	}
	if err != nil {
		return nil, err
	}
	return files, nil
}

// siteFile reports whether a text says of itself that it is a site file.
func siteFile(text []byte) bool {
	return bytes.HasPrefix(text, []byte("schema: primum-site/")) || bytes.Contains(text, []byte("\nschema: primum-site/"))
}

// loadLists is readLists that goes on after a file that does not load: its fault hides nothing of the others.
func loadLists(paths []string) (files []*list.File, faults []string, err error) {
	add := func(name string, text []byte) {
		f, err := list.Load(name, text)
		if err != nil && siteFile(text) {
			faults = append(faults, name+" is a site file and no list file; it is checked when it is signed: primum list sign REPO site")
			return
		}
		if err != nil {
			faults = append(faults, err.Error())
			return
		}
		files = append(files, f)
	}
	for _, path := range paths {
		if path == "shipped" {
			names, err := fs.Glob(lists.Files(), "*.yaml")
			if err != nil {
				return nil, nil, err
			}
			for _, name := range names {
				text, err := lists.Files().ReadFile(name)
				if err != nil {
					return nil, nil, err
				}
				add(name, text)
			}
			continue
		}
		if b, ok, err := readRelease(path); err != nil {
			return nil, nil, err
		} else if ok {
			for _, name := range slices.Sorted(maps.Keys(b.Targets)) {
				if name == release.MakersPath || name == release.SitePath {
					continue
				}
				add(name, b.Targets[name])
			}
			continue
		}
		names := []string{path}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			if names, err = filepath.Glob(filepath.Join(path, "*.yaml")); err != nil || len(names) == 0 {
				return nil, nil, input("the folder %s has no list file (*.yaml)", path)
			}
			slices.Sort(names)
		}
		for _, name := range names {
			text, err := readListFile(name)
			if err != nil {
				faults = append(faults, err.Error())
				continue
			}
			add(name, text)
		}
	}
	return files, faults, nil
}

// readRelease returns what a repository folder or a bundle holds; ok is false when the path is neither.
// Nobody has verified it: primum list verify does.
func readRelease(path string) (b release.Bundle, ok bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return b, false, nil // said where the path is read as a list file
	}
	if info.IsDir() {
		if _, err := os.Stat(filepath.Join(path, "targets")); err != nil {
			return b, false, nil
		}
		if b, err = readFolder(path); err != nil {
			return b, false, err
		}
		return b, true, nil
	}
	if info.Size() > release.MaxSize || strings.HasSuffix(path, ".yaml") {
		return b, false, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return b, false, input("%v", err)
	}
	if b, err = release.Decode(text); err != nil {
		return b, false, nil // no bundle: it is read as a list file
	}
	return b, true, nil
}

// asItStands compiles what lies at a path: a release with its own site file, so that sign-offs and stricter
// limits count, and list files for a site that has none.
func asItStands(path string) (*list.List, error) {
	files, err := readLists([]string{path})
	if err != nil {
		return nil, err
	}
	b, ok, err := readRelease(path)
	if err != nil {
		return nil, err
	}
	text := b.Targets[release.SitePath]
	if !ok || text == nil {
		return together(files, 0)
	}
	site, err := list.LoadSite(text, files)
	if err != nil {
		return nil, input("%s: %v", path, err)
	}
	l, err := list.New(files, site)
	if err != nil {
		return nil, input("%s: %v", path, err)
	}
	return l, nil
}

// readListFile reads a file that may be a list, or says why not: the size comes before the content.
func readListFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, input("there is no list file %s", path)
	case err != nil:
		return nil, input("the list file cannot be read: %v", err)
	case !info.Mode().IsRegular():
		return nil, input("%s is no file", path)
	case info.Size() > list.MaxFileSize:
		return nil, input("list %s: %d octets; a list file has at most %d. Make one file of each maker and family.", path, info.Size(), list.MaxFileSize)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, input("the list file cannot be read: %v", err)
	}
	return text, nil
}

// together compiles files for a site that nobody has signed anything off for, unless persons are assumed.
func together(files []*list.File, persons int) (*list.List, error) {
	site := list.Site{Name: "none", Facility: "SITE", Policy: list.Real}
	by := []string{"a first person", "a second person"}[:min(max(persons, 0), 2)]
	for _, f := range files {
		if f.Lab {
			site.Policy = list.Lab
		}
		for _, s := range f.Statements {
			if s.Type == list.Allow && len(by) > 0 {
				site.SignOffs = append(site.SignOffs, list.SignOff{Statement: s.ID, Digest: s.Digest, By: by})
			}
		}
	}
	l, err := list.New(files, site)
	if err != nil {
		return nil, input("%v", err)
	}
	return l, nil
}

// defaultLists is what a command without list files works on.
func defaultLists(paths []string) []string {
	if len(paths) == 0 {
		return []string{"shipped"}
	}
	return paths
}

// sources says the evidence behind statements, one line a document.
func sources(s *list.Statement) []string {
	var out []string
	for _, ev := range s.Evidence {
		out = append(out, strings.TrimSpace(ev.Title+", "+ev.Publisher+", "+ev.Date+" "+ev.Address))
	}
	return out
}
