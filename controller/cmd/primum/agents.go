package main

import (
	"encoding/hex"
	"errors"
	"fmt"
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
			stop := "-"
			if w := a.GetSiteStop(); w != nil {
				stop = fmt.Sprintf("%s, by %s: %s", when(w.GetAt()), w.GetBy(), w.GetReason())
			}
			rows = append(rows, []string{short(a.GetName()), a.GetSite(), a.GetState(), when(a.GetLastSeen()), a.GetVersion(), a.GetSandbox(), fmt.Sprint(a.GetHoldVersion()), list, stop})
		}
		e.table([]string{"AGENT", "SITE", "STATE", "LAST SEEN", "VERSION", "SANDBOX", "HOLD VERSION", "LIST", "STOPPED AT THE SITE"}, rows)
		for _, a := range all {
			if a.GetProblem() != "" {
				e.say("%s: %s.", short(a.GetName()), a.GetProblem())
			}
		}
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
