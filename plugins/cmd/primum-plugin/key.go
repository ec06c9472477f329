package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/term"

	"primum/plugins/manifest"
)

// shortest passphrase of a maker's key, in characters. Who copies the file must not have the key.
const shortest = 10

// secretFlag is where a passphrase comes from: never an argument, which every process of the machine can read.
type secretFlag struct {
	PassphraseFile string `help:"File: the passphrase of the key, on its first line. Without it the terminal is asked."`
}

func (f secretFlag) read(e *env) ([]byte, error) {
	if f.PassphraseFile != "" {
		text, err := os.ReadFile(f.PassphraseFile)
		if err != nil {
			return nil, err
		}
		line, _, _ := strings.Cut(string(text), "\n")
		return []byte(strings.TrimSuffix(line, "\r")), nil
	}
	terminal, ok := e.in.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return nil, errors.New("the passphrase is needed: run this on a terminal, or give --passphrase-file")
	}
	fmt.Fprint(e.err, "Passphrase: ")
	b, err := term.ReadPassword(int(terminal.Fd()))
	fmt.Fprintln(e.err)
	return b, err
}

type keyCommand struct {
	Out string `arg:"" help:"File for the private key, in the form of OpenSSH; the public one goes into the same name with .pub."`
	secretFlag
}

// Run makes a key. ssh-keygen -p changes its passphrase, ssh-keygen -l shows its fingerprint.
func (c *keyCommand) Run(e *env) error {
	secret, err := c.read(e)
	if err != nil {
		return err
	}
	if len(secret) < shortest {
		return fmt.Errorf("the passphrase has %d characters; it has at least %d, and no key was made", len(secret), shortest)
	}
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "primum-plugin", secret)
	if err != nil {
		return err
	}
	line, err := manifest.FormatKey(pub, "primum-plugin")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // a key is never written over
	if err != nil {
		return err
	}
	_, err = f.Write(pem.EncodeToMemory(block))
	if err := errors.Join(err, f.Close(), os.WriteFile(c.Out+".pub", []byte(line), 0o644)); err != nil {
		return err
	}
	e.say("The key is in %s. Give out %s.pub, and this fingerprint by another way: %s", c.Out, c.Out, manifest.Fingerprint(pub))
	return nil
}

// openKey opens a key that has a passphrase.
func openKey(e *env, path string, f secretFlag) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var locked *ssh.PassphraseMissingError
	if _, err := ssh.ParseRawPrivateKey(text); err == nil {
		return nil, fmt.Errorf("%s has no passphrase; give it one with ssh-keygen -p -f %s", path, path)
	} else if !errors.As(err, &locked) {
		return nil, fmt.Errorf("%s is not a private key: %w", path, err)
	}
	secret, err := f.read(e)
	if err != nil {
		return nil, err
	}
	raw, err := ssh.ParseRawPrivateKeyWithPassphrase(text, secret)
	if err != nil {
		return nil, fmt.Errorf("%s does not open: %w", path, err)
	}
	key, ok := raw.(*ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s is not an ed25519 key", path)
	}
	return *key, nil
}
