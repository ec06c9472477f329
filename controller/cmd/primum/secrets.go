package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	adminv1 "primum/proto/admin/v1"
)

type secretCommands struct {
	Set secretSetCommand `cmd:"" help:"Give an agent what a device asks for, an SNMP read community or a user of SNMP version 3, sealed so that only the agent can open it."`
}

type secretSetCommand struct {
	Agent  string `required:"" help:"Agent."`
	Device string `xor:"for" required:"" help:"Asset tag."`
	Any    bool   `xor:"for" required:"" help:"Every device of the agent without one of its own."`
	User   bool   `help:"The file holds a user of SNMP version 3, in two or three lines: the name, the pass phrase for authentication, the pass phrase for privacy."`
	File   string `required:"" help:"File with the community or the user, or - for standard input. It is never an argument."`
}

// Run seals and sends. The sealed form is that of primum.control.v1.Secret (RFC 9180).
func (c *secretSetCommand) Run(e *env) error {
	var text []byte
	var err error
	if c.File == "-" {
		text, err = io.ReadAll(io.LimitReader(e.in, 1024))
	} else {
		text, err = os.ReadFile(c.File)
	}
	if err != nil {
		return input("the file cannot be read: %v", err)
	}
	defer func() { clear(text) }()
	text = bytes.TrimRight(text, "\r\n")
	kind, what := adminv1.SetSecretRequest_KIND_COMMUNITY, "community"
	if c.User {
		kind, what = adminv1.SetSecretRequest_KIND_USM, "user"
		if text, err = userText(text); err != nil {
			return err
		}
	} else if len(text) < 1 || len(text) > 32 {
		return input("the community has %d octets; 1 to 32 are allowed", len(text))
	}
	device := tag(c.Device)
	if c.Any {
		device = "*"
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	all, err := agents(cl)
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.GetName() != within("agents", c.Agent) {
			continue
		}
		if len(a.GetSealingKey()) == 0 {
			return input("agent %s has no key to seal to; it has not enrolled yet", c.Agent)
		}
		sealed, err := seal(a.GetSealingKey(), kind, device, text)
		if err != nil {
			return err
		}
		r, err := call(adminv1.NewAgentAdminServiceClient(cl.conn).SetSecret, &adminv1.SetSecretRequest{Agent: a.GetName(), Device: device, Sealed: sealed, Kind: kind})
		if err != nil {
			return err
		}
		return e.show(r, func() {
			e.say("The %s for %s was sealed to %s (version %d).", what, device, a.GetName(), r.GetVersion())
		})
	}
	return input("there is no agent %s; enrol it first", c.Agent)
}

// userText makes the sealed form of a user (primum.control.v1.Secret) out of the lines of a file.
func userText(text []byte) ([]byte, error) {
	lines := strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	if len(lines) < 2 || len(lines) > 3 {
		return nil, input("the file has %s; a user has two or three: the name, the pass phrase for authentication, the pass phrase for privacy", count(len(lines), "line"))
	}
	u := struct {
		User    string `json:"user"`
		Auth    string `json:"auth"`
		Privacy string `json:"privacy,omitempty"`
	}{User: lines[0], Auth: lines[1]}
	if len(lines) == 3 {
		u.Privacy = lines[2]
	}
	switch {
	case len(u.User) < 1 || len(u.User) > 32:
		return nil, input("the user name has %d octets; 1 to 32 are allowed", len(u.User))
	case len(u.Auth) < 8 || len(lines) == 3 && len(u.Privacy) < 8:
		return nil, input("a pass phrase has at least 8 octets (RFC 3414 11.2)")
	case len(text) > 400:
		return nil, input("the user has %d octets; at most 400 are allowed", len(text))
	}
	return json.Marshal(u)
}

func seal(key []byte, kind adminv1.SetSecretRequest_Kind, device string, text []byte) ([]byte, error) {
	pub, err := ecdh.X25519().NewPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("the agent's sealing key: %w", err)
	}
	k, err := hpke.NewDHKEMPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("the agent's sealing key: %w", err)
	}
	info := "primum secret 1"
	if kind == adminv1.SetSecretRequest_KIND_USM {
		info = "primum usm 1"
	}
	enc, s, err := hpke.NewSender(k, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(info))
	if err != nil {
		return nil, fmt.Errorf("seal secret: %w", err)
	}
	sealed, err := s.Seal([]byte(device), text)
	if err != nil {
		return nil, fmt.Errorf("seal secret: %w", err)
	}
	return append(enc, sealed...), nil
}
