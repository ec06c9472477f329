package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"

	"primum/safetylists/evidence"
)

// form is what a file says in its first octets that it is.
type form string

// The forms of files that show what was asked.
const (
	exported form = "primum-export/"
	proven   form = "primum-proof/"
)

// formOf looks at the beginning of a file. One that is neither is refused as what it is: what is wrong within an export is for
// who verifies it, and a letter or a folder that was given by mistake is not.
func formOf(path string) (form, error) {
	f, err := openFile(path, "the file that primum evidence export or prove has written")
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := bufio.NewReader(f).Peek(len(exported))
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	for _, x := range []form{exported, proven} {
		if strings.HasPrefix(string(b), string(x)) {
			return x, nil
		}
	}
	return "", input("%s is no file of primum evidence export or prove; it does not begin as one", path)
}

// openFile opens a file, and no folder.
func openFile(path, what string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, input("%v", err)
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, errors.Join(input("%s is a folder; give %s", path, what), f.Close())
	}
	return f, nil
}

// walk verifies a file.
func walk(path string, c evidence.Check) (evidence.Verified, error) {
	f, err := openFile(path, "the file that primum evidence export has written")
	if err != nil {
		return evidence.Verified{}, err
	}
	defer f.Close()
	c.Exact = true
	return evidence.Walk(f, c)
}

func witness(path, verifier string) ([]evidence.TreeHead, int, error) {
	f, err := openFile(path, "the witness file of the agent")
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	heads, others, err := evidence.ReadWitness(f, verifier)
	if err == nil && len(heads) == 0 {
		err = input("%s has no head that this agent signed", path)
	}
	return heads, others, err
}

// checkKey finds a key that was copied wrong: it carries a checksum of itself.
func checkKey(key string) error {
	if name, _, _ := strings.Cut(key, "+"); key != "" && evidence.CheckVerifier(key, name) != nil {
		return input("--key is not the public key of an agent, or a letter of it is wrong; copy all that its log says after evidence_key=")
	}
	return nil
}
