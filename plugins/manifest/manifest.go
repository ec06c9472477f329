// Package manifest is what a maker signs about one plugin binary: whose it is, what it is called, which
// questions it speaks, and the SHA-256 of the file. The maker's tool writes it; the agent reads it before the
// plugin may start (H-033).
//
// It is a text of fixed lines, so that a person can read it and that there is one way to write it:
//
//	primum-plugin/1
//	name: aldane-status
//	version: 0.1.0
//	maker: aldane
//	kinds: tcp.aldane.status
//	sha256: 64 hex digits, of the binary
//	report: 64 hex digits, of the report of primum-plugin certify, or none
//	signature: 128 hex digits, of ed25519 over the domain and all lines before
package manifest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	schema = "primum-plugin/1"
	// domain keeps a signature from being taken for one over another paper.
	domain = "primum plugin manifest 1\x00"
	// MaxSize bounds what is read of a manifest that is not yet verified, in octets.
	MaxSize  = 4096
	maxKinds = 16
)

var (
	nameForm    = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)
	versionForm = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$`)
	makerForm   = regexp.MustCompile(`^[a-z0-9-]{2,32}$`)
	kindForm    = regexp.MustCompile(`^(?:tcp|udp)\.([a-z0-9-]{2,32})\.[a-z0-9-]{2,32}$`)
)

// ErrManifest says that a text is no manifest, or that it says what none may say.
var ErrManifest = errors.New("not a manifest of a plugin")

// ErrSignature says that the signature is not that of the key.
var ErrSignature = errors.New("the manifest is not signed by this key")

// Manifest is what a maker says about one binary. The zero value says nothing and cannot be signed.
type Manifest struct {
	// Name of the plugin, as it describes itself.
	Name string
	// Version of the plugin, as it describes itself.
	Version string
	// Maker is the part of a kind that names whose it is: "aldane" in "tcp.aldane.status".
	Maker string
	// Kinds of question, 1 to 16, each the maker's own.
	Kinds []string
	// SHA256 of the binary.
	SHA256 [sha256.Size]byte
	// Report is the SHA-256 of the report of the conformance suite; zero: none.
	Report [sha256.Size]byte
}

// Signed is a manifest with its signature, which Verify checks.
type Signed struct {
	manifest  Manifest
	signature []byte
}

// Sign signs. It fails with ErrManifest for what no manifest may say.
func Sign(m Manifest, key ed25519.PrivateKey) (Signed, error) {
	if err := m.check(); err != nil {
		return Signed{}, err
	}
	return Signed{m, ed25519.Sign(key, []byte(domain+m.text()))}, nil
}

// Verify returns what was signed, when it was signed by the key.
func (s Signed) Verify(key ed25519.PublicKey) (Manifest, error) {
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, []byte(domain+s.manifest.text()), s.signature) {
		return Manifest{}, ErrSignature
	}
	return s.manifest, nil
}

// Unverified returns what the text says, which anybody may have written. It is for finding the key.
func (s Signed) Unverified() Manifest { return s.manifest }

// Encode writes the text.
func (s Signed) Encode() []byte {
	return fmt.Appendf(nil, "%ssignature: %x\n", s.manifest.text(), s.signature)
}

// Parse reads the text. It fails with ErrManifest for every other text, also one that says the same in another
// way: what is verified is what stands there.
func Parse(text []byte) (Signed, error) {
	if len(text) > MaxSize {
		return Signed{}, fmt.Errorf("%w: more than %d octets", ErrManifest, MaxSize)
	}
	lines := strings.Split(string(text), "\n")
	names := []string{"name", "version", "maker", "kinds", "sha256", "report", "signature"}
	if len(lines) != len(names)+2 || lines[0] != schema || lines[len(lines)-1] != "" {
		switch {
		case strings.Contains(string(text), "\r"):
			return Signed{}, fmt.Errorf("%w: its lines end as on another system (CR LF), as after a mail or an editor; have it sent again as a file, octet for octet", ErrManifest)
		case lines[0] != schema:
			return Signed{}, fmt.Errorf("%w: it does not begin with the line %s", ErrManifest, schema)
		}
		return Signed{}, fmt.Errorf("%w: it has %d lines where there are %d; it was cut short, or something was added", ErrManifest, len(lines)-1, len(names)+1)
	}
	values := map[string]string{}
	for i, name := range names {
		value, ok := strings.CutPrefix(lines[i+1], name+": ")
		if !ok {
			return Signed{}, fmt.Errorf("%w: line %d is not %s", ErrManifest, i+2, name)
		}
		values[name] = value
	}
	s := Signed{manifest: Manifest{Name: values["name"], Version: values["version"], Maker: values["maker"], Kinds: strings.Split(values["kinds"], " ")}}
	var err error
	if s.manifest.SHA256, err = digest(values["sha256"]); err != nil {
		return Signed{}, err
	}
	if values["report"] != "none" {
		if s.manifest.Report, err = digest(values["report"]); err != nil {
			return Signed{}, err
		}
	}
	if s.signature, err = hex.DecodeString(values["signature"]); err != nil || len(s.signature) != ed25519.SignatureSize {
		return Signed{}, fmt.Errorf("%w: its signature is not %d octets in hex", ErrManifest, ed25519.SignatureSize)
	}
	if err := s.manifest.check(); err != nil {
		return Signed{}, err
	}
	if string(s.Encode()) != string(text) {
		return Signed{}, fmt.Errorf("%w: it is not written as a manifest is", ErrManifest)
	}
	return s, nil
}

func digest(text string) ([sha256.Size]byte, error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != sha256.Size {
		return [sha256.Size]byte{}, fmt.Errorf("%w: a SHA-256 has 64 hex digits", ErrManifest)
	}
	return [sha256.Size]byte(b), nil
}

func (m Manifest) text() string {
	report := "none"
	if m.Report != ([sha256.Size]byte{}) {
		report = hex.EncodeToString(m.Report[:])
	}
	return fmt.Sprintf("%s\nname: %s\nversion: %s\nmaker: %s\nkinds: %s\nsha256: %x\nreport: %s\n",
		schema, m.Name, m.Version, m.Maker, strings.Join(m.Kinds, " "), m.SHA256, report)
}

// check holds a manifest to what it may say: a maker speaks for its own questions and for no others. What is
// asked of every device, such as snmp.get, is for the plugins that are built with the agent.
func (m Manifest) check() error {
	switch {
	case !nameForm.MatchString(m.Name):
		return fmt.Errorf("%w: the name is a short lower-case word", ErrManifest)
	case !versionForm.MatchString(m.Version):
		return fmt.Errorf("%w: the version is of digits, letters and points", ErrManifest)
	case !ValidMaker(m.Maker):
		return fmt.Errorf("%w: the maker is 2 to 32 of a-z, 0-9 and -", ErrManifest)
	case len(m.Kinds) == 0 || len(m.Kinds) > maxKinds:
		return fmt.Errorf("%w: %d kinds; 1 to %d", ErrManifest, len(m.Kinds), maxKinds)
	case m.SHA256 == [sha256.Size]byte{}:
		return fmt.Errorf("%w: no SHA-256 of the binary", ErrManifest)
	}
	for i, k := range m.Kinds {
		if maker, ok := MakerOf(k); !ok || maker != m.Maker || slices.Contains(m.Kinds[:i], k) {
			return fmt.Errorf("%w: the kind %q is not one of %s's own, tcp.%s.WORD or udp.%s.WORD, named once", ErrManifest, k, m.Maker, m.Maker, m.Maker)
		}
	}
	return nil
}

// Certified says in words whether the maker has signed a report of primum-plugin certify with it. A report that was
// signed has passed; what it tried stands in it.
func (m Manifest) Certified() string {
	if m.Report == ([sha256.Size]byte{}) {
		return "certified by nobody"
	}
	return fmt.Sprintf("certified, by the report with the SHA-256 %x", m.Report)
}

// Protocol reports whether a name is that of a protocol, whose probe comes with the agent, or of a transport, and so
// no maker's.
func Protocol(name string) bool {
	return slices.Contains([]string{"snmp", "dicom", "hl7", "tcp", "udp"}, name)
}

// ValidMaker reports whether a name can be a maker's in a kind.
func ValidMaker(name string) bool { return makerForm.MatchString(name) }

// MakerOf returns the maker of a kind of a vendor's own: "aldane" of "tcp.aldane.status".
func MakerOf(kind string) (maker string, ok bool) {
	m := kindForm.FindStringSubmatch(kind)
	if m == nil {
		return "", false
	}
	return m[1], true
}
