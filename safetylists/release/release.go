// Package release makes one signed bundle of list files and a site file, and opens it again. A
// bundle is a document and its signatures; nothing in it is read before a signature verifies.
//
// It is pure: no clock, no file, no network. Delegated roles per manufacturer (TUF) replace the one
// list key in a later release of Primum; statements and site files stay as they are.
package release

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	list "primum/safetylists"
	"primum/safetylists/permit"
)

const (
	schema = "primum-release/1"
	// MaxSize bounds a bundle, in octets.
	MaxSize = 32 << 20
)

// Release is an opened bundle: verified, parsed and compiled.
type Release struct {
	Number  uint64        // grows with every release; a smaller one is a rollback
	Digest  permit.Digest // of the document
	Issued  time.Time
	Expires time.Time
	List    *list.List
}

// ExpiredAt reports whether the release may no longer be used.
func (r *Release) ExpiredAt(at time.Time) bool { return !at.Before(r.Expires) }

// Source is what goes into a release.
type Source struct {
	Number  uint64
	Issued  time.Time
	Expires time.Time
	Files   map[string][]byte // list files by name
	Site    []byte            // site file
}

type document struct {
	Schema  string    `json:"schema"`
	Number  uint64    `json:"number"`
	Issued  time.Time `json:"issued"`
	Expires time.Time `json:"expires"`
	Files   []file    `json:"files"` // ordered by name
	Site    string    `json:"site"`
}

type file struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

type bundle struct {
	Document  []byte `json:"document"`
	Signature []byte `json:"signature"`
}

// Make checks every file by compiling it, and returns the signed bundle.
func Make(s Source, key ed25519.PrivateKey) ([]byte, error) {
	if s.Number == 0 || !s.Issued.Before(s.Expires) {
		return nil, fmt.Errorf("make release: it needs a number above 0 and an end after its issue")
	}
	d := document{Schema: schema, Number: s.Number, Issued: s.Issued.UTC(), Expires: s.Expires.UTC(), Site: string(s.Site)}
	for name, text := range s.Files {
		d.Files = append(d.Files, file{name, string(text)})
	}
	slices.SortFunc(d.Files, func(a, b file) int { return strings.Compare(a.Name, b.Name) })
	if _, err := d.compile(); err != nil {
		return nil, fmt.Errorf("make release: %w", err)
	}
	body, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("make release: %w", err)
	}
	return json.Marshal(bundle{body, permit.Sign(permit.DomainRelease, key, body)})
}

// Open verifies a bundle with the list key and compiles it. Whether it is too old, or older than one
// seen before, is for the caller to hold against its clock and its memory.
func Open(b []byte, key ed25519.PublicKey) (*Release, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("open release: %d octets; at most %d", len(b), MaxSize)
	}
	var signed bundle
	if err := strict(b, &signed); err != nil {
		return nil, fmt.Errorf("open release: %w", err)
	}
	if err := permit.Verify(permit.DomainRelease, key, signed.Document, signed.Signature); err != nil {
		return nil, fmt.Errorf("open release: %w", err)
	}
	var d document
	if err := strict(signed.Document, &d); err != nil {
		return nil, fmt.Errorf("open release: %w", err)
	}
	if d.Schema != schema {
		return nil, fmt.Errorf("open release: schema is %q; this program reads %s", d.Schema, schema)
	}
	l, err := d.compile()
	if err != nil {
		return nil, fmt.Errorf("open release: %w", err)
	}
	return &Release{Number: d.Number, Digest: sha256.Sum256(signed.Document), Issued: d.Issued, Expires: d.Expires, List: l}, nil
}

func (d document) compile() (*list.List, error) {
	var files []*list.File
	for _, f := range d.Files {
		parsed, err := list.Load(f.Name, []byte(f.Text))
		if err != nil {
			return nil, err
		}
		files = append(files, parsed)
	}
	site, err := list.LoadSite([]byte(d.Site), files)
	if err != nil {
		return nil, err
	}
	return list.New(files, site)
}

func strict(b []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("more after the end of the document")
	}
	return nil
}
