package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/term"

	"primum/safetylists/permit"
)

// passphrase is where the passphrase of a key comes from: never an argument, which every process of
// the machine can read.
type passphrase struct {
	PassphraseFile string `help:"File: the passphrase of the key, on its first line. Without it the terminal is asked."`
}

const shortest = 10 // characters of a passphrase

func (p passphrase) read(e *env, what string, twice bool) ([]byte, error) {
	if p.PassphraseFile != "" {
		b, err := os.ReadFile(p.PassphraseFile)
		if err != nil {
			return nil, input("--passphrase-file: it cannot be read: %v", err)
		}
		line, _, _ := bytes.Cut(b, []byte("\n"))
		return bytes.TrimSuffix(line, []byte("\r")), nil
	}
	in, ok := e.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil, input("the passphrase of %s is needed: run this on a terminal, or give --passphrase-file", what)
	}
	ask := func(words string) ([]byte, error) {
		if _, err := e.err.Write([]byte(words)); err != nil {
			return nil, err
		}
		b, err := term.ReadPassword(int(in.Fd()))
		_, _ = e.err.Write([]byte("\n")) // the line ends, whatever was typed
		return b, err
	}
	first, err := ask("Passphrase of " + plain(what) + ": ")
	if err != nil || !twice {
		return first, err
	}
	again, err := ask("Once more: ")
	if err == nil && !bytes.Equal(first, again) {
		return nil, input("the two passphrases differ; no key was made")
	}
	return first, err
}

type listKeyCommand struct {
	Out string `required:"" help:"File for the private key; the public one goes into the same name with .pub."`
	passphrase
}

// Run makes a key of a person who signs lists, in the form of OpenSSH, so that ssh-keygen -p can change
// its passphrase.
func (c *listKeyCommand) Run(e *env) error {
	for _, path := range []string{c.Out, c.Out + ".pub"} {
		if err := free(path); err != nil {
			return err
		}
	}
	secret, err := c.read(e, c.Out, true)
	if err != nil {
		return err
	}
	if len(secret) < shortest {
		return input("the passphrase has %d characters; it has at least %d, and no key was made", len(secret), shortest)
	}
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	line, err := writeListKey(c.Out, key, secret)
	if err != nil {
		return err
	}
	id, err := keyName(pub)
	if err != nil {
		return err
	}
	return e.data(map[string]string{"key": id, "file": c.Out, "publicKey": line}, func() {
		e.say("Key %s is in %s, and its public half in %s.pub. Give out the public half alone.", id, c.Out, c.Out)
		e.say("%s", line)
	})
}

func writeListKey(path string, key ed25519.PrivateKey, secret []byte) (string, error) {
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "primum list", secret)
	if err != nil {
		return "", err
	}
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return "", err
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))) + " primum-list"
	if err := writeNew(path, string(pem.EncodeToMemory(block))); err != nil {
		return "", err
	}
	return line, os.WriteFile(path+".pub", []byte(line+"\n"), 0o644)
}

// readListKey opens a key that primum list key made, or ssh-keygen -t ed25519. One without a passphrase
// is refused: who copies the file would have the key.
func readListKey(e *env, path string, p passphrase) (ed25519.PrivateKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, input("the key cannot be read: %v", err)
	}
	var locked *ssh.PassphraseMissingError
	if _, err := ssh.ParseRawPrivateKey(b); err == nil {
		return nil, input("%s has no passphrase; give it one with ssh-keygen -p -f %s", path, path)
	} else if !errors.As(err, &locked) {
		return nil, input("%s is not a key of primum list key: %v", path, err)
	}
	secret, err := p.read(e, path, false)
	if err != nil {
		return nil, err
	}
	raw, err := ssh.ParseRawPrivateKeyWithPassphrase(b, secret)
	if err != nil {
		return nil, input("%s does not open: %v", path, err)
	}
	key, ok := raw.(*ed25519.PrivateKey)
	if !ok {
		return nil, input("%s is not an ed25519 key", path)
	}
	return *key, nil
}

// readListPublic reads a public key: a line of OpenSSH, or one of primum key new.
func readListPublic(path string) (ed25519.PublicKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, input("the public key cannot be read: %v", err)
	}
	if k, err := permit.ParsePublic(string(b)); err == nil {
		return k, nil
	}
	parsed, _, _, _, err := ssh.ParseAuthorizedKey(b)
	if err != nil {
		return nil, input("%s is not a public key: %v", path, err)
	}
	if c, ok := parsed.(ssh.CryptoPublicKey); ok {
		if k, ok := c.CryptoPublicKey().(ed25519.PublicKey); ok {
			return k, nil
		}
	}
	return nil, input("%s is not an ed25519 key", path)
}
