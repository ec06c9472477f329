package release

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	list "primum/safetylists"
)

// content is one list file of a role, as it was signed and as it counts.
type content struct {
	role, path string
	text       []byte
	signed     *list.File
	counts     []*list.Statement // of it, within what the role may say
}

// compile reads the files, holds each role to what it may say, carries over the denials that nobody
// lifted, and makes the list.
func (w *walk) compile(r *Release) error {
	makers, err := w.makers()
	if err != nil {
		return err
	}
	var all []content
	var signed []*list.File
	for _, d := range w.delegation.Roles {
		if d.Name == Site {
			continue
		}
		for _, path := range slices.Sorted(maps.Keys(w.accepted)) {
			if !own(d.Name, path) {
				continue
			}
			f, err := list.Load(path, w.accepted[path])
			if err != nil {
				return err
			}
			c := content{role: d.Name, path: path, text: w.accepted[path], signed: f}
			c.counts = w.confine(d.Name, makers[d.Name], path, f)
			all = append(all, c)
			signed = append(signed, f)
		}
	}
	site, ok := w.accepted[SitePath]
	if !ok {
		return fmt.Errorf("target %s is missing", SitePath)
	}
	s, err := list.LoadSite(site, signed)
	if err != nil {
		return err
	}
	files := []*list.File{}
	taken := map[string]string{} // ids, and by which role
	for _, st := range s.Statements {
		taken[st.ID] = Site
	}
	for _, c := range all {
		f := *c.signed
		f.Statements = nil
		for _, st := range c.counts {
			if st, err = w.once(taken, c, st); err != nil {
				return err
			} else if st != nil {
				f.Statements = append(f.Statements, st)
			}
		}
		files = append(files, &f)
	}
	carried, err := w.hold(all)
	if err != nil {
		return err
	}
	if r.List, err = list.New(append(files, carried...), s); err != nil {
		return err
	}
	return nil
}

// makers reads who is who, and requires an entry for each delegated manufacturer and no other.
func (w *walk) makers() (map[string]Maker, error) {
	all, err := ReadMakers(w.accepted[MakersPath])
	if err != nil {
		return nil, err
	}
	out := map[string]Maker{}
	for _, m := range all {
		out[m.Name] = m
	}
	n := 0
	for _, d := range w.delegation.Roles {
		if _, ok := out[d.Name]; !ok && d.Name != Board && d.Name != Site {
			return nil, fmt.Errorf("%s: role %s is delegated and not named", MakersPath, d.Name)
		}
		n++
	}
	if n-2 != len(all) {
		return nil, fmt.Errorf("%s: it names %d makers, and %d are delegated", MakersPath, len(all), n-2)
	}
	return out, nil
}

// confine returns the statements of a file that count. The board never allows. A maker speaks of its
// own products: where one statement of its file goes beyond them, nothing but its own refusals is left
// of that file, for a refusal harms nobody and a stolen key would begin like this.
func (w *walk) confine(role string, m Maker, path string, f *list.File) (out []*list.Statement) {
	bad := false
	for _, s := range f.Statements {
		why := ""
		switch {
		case role != Board:
			why = m.outside(f, s)
		case s.Type == list.Allow:
			why = "the safety board never allows"
		}
		if why != "" {
			w.find("%s: statement %s counts for nothing: %s", path, s.ID, why)
			bad = true
			continue
		}
		out = append(out, s)
	}
	if bad && role != Board {
		out = slices.DeleteFunc(out, func(s *list.Statement) bool { return !s.Refuses() })
		w.find("%s: nothing but the refusals of this file counts", path)
	}
	for i, s := range out {
		// What a maker allowed ends with its signature, if that is earlier.
		if end := w.shapes[role].Expires; s.Type == list.Allow && end.Before(s.Expires) {
			ends := *s
			ends.Expires = end
			out[i] = &ends
			w.find("%s: statement %s ends on %s, as the signature of %s does", path, s.ID, end.Format("2006-01-02"), role)
		}
	}
	return out
}

// once gives a statement whose id was taken by another role a name of its own if it refuses, and drops
// it if it does not.
func (w *walk) once(taken map[string]string, c content, s *list.Statement) (*list.Statement, error) {
	by, twice := taken[s.ID]
	if !twice {
		taken[s.ID] = c.role
		return s, nil
	}
	if by == c.role {
		return nil, fmt.Errorf("%s: statement %s stands twice in the files of %s", c.path, s.ID, c.role)
	}
	w.find("%s: the id of statement %s is taken by %s", c.path, s.ID, by)
	if !s.Refuses() {
		return nil, nil
	}
	return renamed("also", c.role, s), nil
}

// renamed gives a refusing statement an id of its own, made of what it says.
func renamed(why, role string, s *list.Statement) *list.Statement {
	h := sha256.Sum256(append([]byte(role+" "+s.ID+" "), s.Digest[:]...))
	out := *s
	out.ID = fmt.Sprintf("%s-%x.%s", why, h[:8], s.ID)
	return &out
}

// hold compares the refusals of this release with those that are remembered. A remembered one that is
// gone or changed stays in force, unless the threshold of its own old keys signed the metadata without
// it: no other signature lifts a maker's denial or the board's, whatever it was delegated.
func (w *walk) hold(all []content) (carried []*list.File, err error) {
	type key struct{ role, id, digest string }
	here, said := map[key]content{}, map[key]bool{}
	for _, c := range all {
		for _, s := range c.signed.Statements {
			said[key{c.role, s.ID, digestOf(s.Digest)}] = true
		}
		for _, s := range c.counts {
			if s.Refuses() {
				here[key{c.role, s.ID, digestOf(s.Digest)}] = c
			}
		}
	}
	current := map[string]Authority{}
	for _, d := range w.delegation.Roles {
		now := d.authority(w.delegation.Keys)
		if old, ok := w.memory.Authorities[d.Name]; !ok {
			current[d.Name] = w.after(d.Name, now)
			w.memory.Authorities[d.Name] = current[d.Name]
		} else if old.signed(d.Name, w.trusted.Targets[d.Name]) {
			current[d.Name] = w.after(d.Name, old)
			w.memory.Authorities[d.Name] = current[d.Name]
		} else {
			current[d.Name] = now
		}
	}
	holds, files := []Hold{}, map[string]string{}
	parsed := map[string]*list.File{}
	kept := map[key]bool{}
	for _, h := range w.memory.Holds {
		k := key{h.Role, h.Statement, h.Digest}
		signed := h.Authority.signed(h.Role, w.trusted.Targets[h.Role])
		if signed {
			h.Authority = w.after(h.Role, h.Authority)
		}
		_, counts := here[k]
		if !counts {
			if signed && !said[k] {
				w.find("%s lifted its statement %s", h.Role, h.Statement)
				continue
			}
			f, err := w.carry(h, parsed)
			if err != nil {
				return nil, err
			}
			carried = append(carried, f)
		}
		kept[k] = true
		holds, files[h.File] = append(holds, h), w.memory.Files[h.File]
	}
	for _, k := range slices.SortedFunc(maps.Keys(here), func(a, b key) int {
		return strings.Compare(a.role+" "+a.id+" "+a.digest, b.role+" "+b.id+" "+b.digest)
	}) {
		if c := here[k]; !kept[k] {
			file := sum(c.text)
			holds, files[file] = append(holds, Hold{k.role, c.path, k.id, k.digest, file, current[k.role]}), string(c.text)
		}
	}
	if len(holds) > maxHolds {
		return nil, fmt.Errorf("%d refusals are to be remembered; at most %d", len(holds), maxHolds)
	}
	w.memory.Holds, w.memory.Files = holds, files
	return carried, nil
}

// after is who decides from this release on: those whom the metadata itself names as next. Only its
// signers can name them, never who delegates.
func (w *walk) after(role string, a Authority) Authority {
	if next := w.shapes[role].Next; next != nil {
		return *next
	}
	return a
}

func (w *walk) carry(h Hold, parsed map[string]*list.File) (*list.File, error) {
	f := parsed[h.File]
	if f == nil {
		var err error
		if f, err = list.Load(h.Path, []byte(w.memory.Files[h.File])); err != nil {
			return nil, fmt.Errorf("a remembered file: %w", err)
		}
		parsed[h.File] = f
	}
	i := slices.IndexFunc(f.Statements, func(s *list.Statement) bool { return s.ID == h.Statement && digestOf(s.Digest) == h.Digest })
	if i < 0 {
		return nil, fmt.Errorf("a remembered file: statement %s is not in it", h.Statement)
	}
	w.find("%s: statement %s stays in force: it is gone or changed, and those who made it did not sign that", h.Role, h.Statement)
	out := *f
	out.Statements = []*list.Statement{renamed("kept", h.Role, f.Statements[i])}
	return &out, nil
}
