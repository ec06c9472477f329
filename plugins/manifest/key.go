package manifest

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// FormatKey writes a public key as a line of OpenSSH, the form that primum-plugin key and ssh-keygen give.
func FormatKey(key ed25519.PublicKey, comment string) (string, error) {
	pub, err := ssh.NewPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("write public key: %w", err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))) + " " + comment + "\n", nil
}

// ParseKey reads one line of OpenSSH with an ed25519 key.
func ParseKey(text []byte) (ed25519.PublicKey, error) {
	if len(text) > MaxSize {
		return nil, errors.New("read public key: it is too long")
	}
	if strings.Contains(string(text), "PRIVATE KEY") {
		return nil, errors.New("read public key: this is a private key; give the file that ends in .pub, and show the private one to nobody")
	}
	parsed, _, _, rest, err := ssh.ParseAuthorizedKey(text)
	if err != nil || len(strings.TrimSpace(string(rest))) != 0 {
		return nil, errors.New("read public key: it is not one line of OpenSSH")
	}
	crypto, ok := parsed.(ssh.CryptoPublicKey)
	if !ok {
		return nil, errors.New("read public key: it is not an ed25519 key")
	}
	key, ok := crypto.CryptoPublicKey().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("read public key: it is not an ed25519 key")
	}
	return key, nil
}

// Fingerprint names a public key for a person, as ssh-keygen -l does.
func Fingerprint(key ed25519.PublicKey) string {
	pub, err := ssh.NewPublicKey(key)
	if err != nil {
		return "no key"
	}
	return ssh.FingerprintSHA256(pub)
}
