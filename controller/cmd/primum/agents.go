package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	adminv1 "primum/proto/admin/v1"
)

type agentCommands struct {
	List  agentListCommand  `cmd:"" help:"List agents."`
	Token agentTokenCommand `cmd:"" help:"Make a one-time token for an agent; good for 15 minutes."`
}

type agentListCommand struct{}

func agents(cl *client) ([]*adminv1.Agent, error) {
	return pages(func(token string) ([]*adminv1.Agent, string, error) {
		r, err := call(adminv1.NewAgentAdminServiceClient(cl.conn).ListAgents, &adminv1.ListAgentsRequest{PageToken: token})
		return r.GetAgents(), r.GetNextPageToken(), err
	})
}

// Run lists.
func (c *agentListCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	all, err := agents(cl)
	if err != nil {
		return err
	}
	return e.show(&adminv1.ListAgentsResponse{Agents: all}, func() {
		var rows [][]string
		for _, a := range all {
			list := "none"
			if len(a.GetListDigest()) > 6 {
				list = hex.EncodeToString(a.GetListDigest()[:6])
			}
			rows = append(rows, []string{short(a.GetName()), a.GetSite(), a.GetState(), when(a.GetLastSeen()), a.GetVersion(), a.GetSandbox(), fmt.Sprint(a.GetHoldVersion()), list})
		}
		e.table([]string{"AGENT", "SITE", "STATE", "LAST SEEN", "VERSION", "SANDBOX", "HOLDS", "LIST"}, rows)
	})
}

type agentTokenCommand struct {
	Agent string `arg:"" help:"Agent that will enrol."`
	To    string `help:"File, made with mode 0600. Defaults to standard output."`
}

// Run makes a token.
func (c *agentTokenCommand) Run(e *env) error {
	if err := free(c.To); err != nil {
		return err
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	r, err := call(adminv1.NewAgentAdminServiceClient(cl.conn).CreateEnrollmentToken, &adminv1.CreateEnrollmentTokenRequest{Agent: within("agents", c.Agent)})
	if err != nil {
		return err
	}
	if c.To != "" {
		if err := writeNew(c.To, r.GetToken()+"\n"); err != nil {
			return err
		}
		r.Token = ""
		return e.show(r, func() {
			e.say("The token is in %s; it is good for one enrolment until %s.", c.To, when(r.GetExpires()))
		})
	}
	return e.show(r, func() { e.say("%s", r.GetToken()) })
}

// free refuses a file that is there, before anything is made that would go into it.
func free(path string) error {
	if path == "" {
		return nil
	}
	if _, err := os.Lstat(path); err == nil {
		return input("%s is there already, and was left as it is; give another name", path)
	}
	return nil
}

// writeNew writes a secret file; one that is there is not overwritten.
func writeNew(path, text string) error { return writeMode(path, text, 0o600) }

// writeMode makes a file; one that is there is not overwritten.
func writeMode(path, text string, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, os.ErrExist) {
		return input("%s is there already, and was left as it is; give another name", path)
	}
	if err != nil {
		return input("%v", err)
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

type secretCommands struct {
	Set secretSetCommand `cmd:"" help:"Give an agent the SNMP read community of a device, sealed so that only the agent can open it."`
}

type secretSetCommand struct {
	Agent  string `required:"" help:"Agent."`
	Device string `xor:"for" required:"" help:"Asset tag."`
	Any    bool   `xor:"for" required:"" help:"Every device of the agent without a community of its own."`
	File   string `required:"" help:"File with the community, or - for standard input. It is never an argument."`
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
		return input("the community cannot be read: %v", err)
	}
	defer clear(text)
	text = bytes.TrimRight(text, "\r\n")
	if len(text) < 1 || len(text) > 32 {
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
		sealed, err := seal(a.GetSealingKey(), device, text)
		if err != nil {
			return err
		}
		r, err := call(adminv1.NewAgentAdminServiceClient(cl.conn).SetSecret, &adminv1.SetSecretRequest{Agent: a.GetName(), Device: device, Sealed: sealed})
		if err != nil {
			return err
		}
		return e.show(r, func() {
			e.say("The community for %s was sealed to %s (version %d).", device, a.GetName(), r.GetVersion())
		})
	}
	return input("there is no agent %s; enrol it first", c.Agent)
}

func seal(key []byte, device string, text []byte) ([]byte, error) {
	pub, err := ecdh.X25519().NewPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("the agent's sealing key: %w", err)
	}
	k, err := hpke.NewDHKEMPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("the agent's sealing key: %w", err)
	}
	enc, s, err := hpke.NewSender(k, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte("primum secret 1"))
	if err != nil {
		return nil, fmt.Errorf("seal secret: %w", err)
	}
	sealed, err := s.Seal([]byte(device), text)
	if err != nil {
		return nil, fmt.Errorf("seal secret: %w", err)
	}
	return append(enc, sealed...), nil
}
