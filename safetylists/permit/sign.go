package permit

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Domain separates the kinds of signed paper.
type Domain string

// The domains.
const (
	DomainPlan     Domain = "primum plan approval 1"
	DomainStanding Domain = "primum standing approval 1"
	DomainPermit   Domain = "primum permit 1"
)

// ErrSignature says that a signature is missing or does not belong to the paper and the key.
var ErrSignature = errors.New("signature does not verify")

// Sign signs body under the domain.
func Sign(d Domain, key ed25519.PrivateKey, body []byte) []byte {
	return ed25519.Sign(key, signed(d, body))
}

// Verify checks a signature under the domain. It fails with ErrSignature, also for a key or a
// signature of the wrong size.
func Verify(d Domain, key ed25519.PublicKey, body, signature []byte) error {
	if len(key) != ed25519.PublicKeySize || len(signature) != ed25519.SignatureSize || !ed25519.Verify(key, signed(d, body), signature) {
		return ErrSignature
	}
	return nil
}

func signed(d Domain, body []byte) []byte {
	b := make([]byte, 0, len(d)+1+len(body))
	b = append(b, d...)
	b = append(b, 0)
	return append(b, body...)
}

const (
	publicPrefix  = "primum-public-key:"
	privatePrefix = "primum-private-key:"
)

// FormatPublic writes a public key as one line of text.
func FormatPublic(k ed25519.PublicKey) string {
	return publicPrefix + base64.StdEncoding.EncodeToString(k)
}

// FormatPrivate writes the seed of a private key as one line of text.
func FormatPrivate(k ed25519.PrivateKey) string {
	return privatePrefix + base64.StdEncoding.EncodeToString(k.Seed())
}

// ParsePublic reads what FormatPublic writes.
func ParsePublic(line string) (ed25519.PublicKey, error) {
	b, err := parseKey(line, publicPrefix, ed25519.PublicKeySize)
	return b, err
}

// ParsePrivate reads what FormatPrivate writes.
func ParsePrivate(line string) (ed25519.PrivateKey, error) {
	seed, err := parseKey(line, privatePrefix, ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

func parseKey(line, prefix string, size int) ([]byte, error) {
	text, ok := strings.CutPrefix(strings.TrimSpace(line), prefix)
	if !ok {
		return nil, fmt.Errorf("key does not begin with %s", prefix)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != size {
		return nil, fmt.Errorf("key after %s is not %d octets in base64", prefix, size)
	}
	return b, nil
}
