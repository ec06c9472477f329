package evidence

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ErrHead says that a tree head is not one that the agent signed for these records.
var ErrHead = errors.New("the signed head does not fit")

// TreeHead is what an agent says of its journal at a moment: these are all the records, and there are so many.
type TreeHead struct {
	Agent       string
	Incarnation string // 32 hex digits
	Size        uint64
	Root        tlog.Hash
	At          time.Time
}

const headOrigin = "primum-evidence/"

// MaxHead bounds a signed head, in octets.
const MaxHead = 2048

// text is the body of the note, in the form of a checkpoint (C2SP tlog-checkpoint).
func (h TreeHead) text() string {
	return headOrigin + h.Agent + "/" + h.Incarnation + "\n" + strconv.FormatUint(h.Size, 10) + "\n" + h.Root.String() + "\n" +
		h.At.UTC().Format(time.RFC3339) + "\n"
}

func parseHead(text string) (TreeHead, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 5 {
		return TreeHead{}, fmt.Errorf("%w: it has %d lines", ErrHead, len(lines)-1)
	}
	origin, ok := strings.CutPrefix(lines[0], headOrigin)
	agent, incarnation, both := strings.Cut(origin, "/")
	size, sizeErr := strconv.ParseUint(lines[1], 10, 62)
	root, rootErr := tlog.ParseHash(lines[2])
	at, atErr := time.Parse(time.RFC3339, lines[3])
	if raw, err := hex.DecodeString(incarnation); !ok || !both || err != nil || len(raw) != 16 {
		return TreeHead{}, fmt.Errorf("%w: its first line names no journal", ErrHead)
	}
	if err := errors.Join(sizeErr, rootErr, atErr); err != nil {
		return TreeHead{}, fmt.Errorf("%w: %w", ErrHead, err)
	}
	h := TreeHead{Agent: agent, Incarnation: incarnation, Size: size, Root: root, At: at.UTC()}
	if h.text() != text {
		return TreeHead{}, fmt.Errorf("%w: it is not in canonical form", ErrHead)
	}
	return h, nil
}

// NewEvidenceKey makes the key that an agent signs its heads with, and its verifier, as texts.
func NewEvidenceKey(rand io.Reader, agent string) (signer, verifier string, err error) {
	signer, verifier, err = note.GenerateKey(rand, agent)
	if err != nil {
		return "", "", fmt.Errorf("make evidence key: %w", err)
	}
	return signer, verifier, nil
}

// Signer signs heads.
type Signer struct {
	signer   note.Signer
	verifier string
}

// NewSigner reads a signer's text.
func NewSigner(text string) (Signer, error) {
	s, err := note.NewSigner(text)
	if err != nil {
		return Signer{}, fmt.Errorf("read evidence key: %w", err)
	}
	// note.NewSigner has checked this form: PRIVATE+KEY+name+hash+base64(algorithm, seed)
	parts := strings.SplitN(text, "+", 5)
	raw, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return Signer{}, errors.New("read evidence key: it is not an Ed25519 key")
	}
	public, ok := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return Signer{}, errors.New("read evidence key: it has no public half")
	}
	verifier, err := note.NewEd25519VerifierKey(s.Name(), public)
	if err != nil {
		return Signer{}, fmt.Errorf("read evidence key: %w", err)
	}
	return Signer{s, verifier}, nil
}

// Verifier is the public half, as a text.
func (s Signer) Verifier() string { return s.verifier }

// Sign returns the head as a signed note.
func (s Signer) Sign(h TreeHead) ([]byte, error) {
	out, err := note.Sign(&note.Note{Text: h.text()}, s.signer)
	if err != nil {
		return nil, fmt.Errorf("sign head: %w", err)
	}
	return out, nil
}

// CheckVerifier fails unless a text is the verifier of an agent, in its one way of writing.
func CheckVerifier(verifier, agent string) error {
	v, err := note.NewVerifier(verifier)
	if err != nil {
		return fmt.Errorf("read evidence verifier: %w", err)
	}
	if v.Name() != agent {
		return fmt.Errorf("read evidence verifier: it is of %q, not of agent %s", v.Name(), agent)
	}
	_, encoded, _ := strings.Cut(strings.TrimPrefix(verifier, agent+"+"), "+")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != 1+ed25519.PublicKeySize {
		return errors.New("read evidence verifier: it is not an Ed25519 key")
	}
	if again, err := note.NewEd25519VerifierKey(agent, raw[1:]); err != nil || again != verifier {
		return errors.New("read evidence verifier: it is not in canonical form")
	}
	return nil
}

// OpenHead verifies a signed head. The note has to be octet for octet what Sign writes: base64 with stray bits
// is refused, so that no octet of a stored head can change unseen. It fails with ErrHead.
func OpenHead(signed []byte, verifier string) (TreeHead, error) {
	if len(signed) > MaxHead {
		return TreeHead{}, fmt.Errorf("%w: %d octets", ErrHead, len(signed))
	}
	v, err := note.NewVerifier(verifier)
	if err != nil {
		return TreeHead{}, fmt.Errorf("%w: %w", ErrHead, err)
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		return TreeHead{}, fmt.Errorf("%w: %w", ErrHead, err)
	}
	h, err := parseHead(n.Text)
	if err != nil {
		return TreeHead{}, err
	}
	if h.Agent != v.Name() {
		return TreeHead{}, fmt.Errorf("%w: it speaks of agent %q and is signed by %q", ErrHead, h.Agent, v.Name())
	}
	if len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 0 {
		return TreeHead{}, fmt.Errorf("%w: it has more than one signature", ErrHead)
	}
	raw, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	if err != nil {
		return TreeHead{}, fmt.Errorf("%w: %w", ErrHead, err)
	}
	again := n.Text + "\n— " + v.Name() + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
	if !bytes.Equal([]byte(again), signed) {
		return TreeHead{}, fmt.Errorf("%w: the note is not in canonical form", ErrHead)
	}
	return h, nil
}

// Fits checks that a head's root is the one over the first records of a store, and that the store grew out of
// an earlier head of the same journal by adding alone. The zero earlier head is none. It fails with ErrHead.
func (h TreeHead) Fits(earlier TreeHead, r tlog.HashReader) error {
	own, err := tlog.TreeHash(int64(h.Size), r)
	if err != nil {
		return err
	}
	if own != h.Root {
		return fmt.Errorf("%w: the records up to %d give another root", ErrHead, h.Size)
	}
	small, large := earlier, h
	if small.Size > large.Size {
		small, large = large, small
	}
	if small.Size == 0 {
		return nil
	}
	if small.Size == large.Size {
		if small.Root != large.Root {
			return fmt.Errorf("%w: an earlier head of %d records has another root", ErrHead, small.Size)
		}
		return nil
	}
	proof, err := tlog.ProveTree(int64(large.Size), int64(small.Size), r)
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(proof, int64(large.Size), large.Root, int64(small.Size), small.Root); err != nil {
		return fmt.Errorf("%w: head of %d records and head of %d records are of different journals", ErrHead, small.Size, large.Size)
	}
	return nil
}
