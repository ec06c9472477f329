package sdktest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"primum/plugins/sdk"
	"primum/plugins/sdk/sdktest"
)

// echo is a sound probe: it sends "ping" and is answered by "pong". Each fault spoils one thing.
type echo struct{ fault string }

func (e echo) Describe() sdk.Description {
	d := sdk.Description{Name: "echo", Version: "1", Kinds: []string{sdk.KindSNMPGet}}
	if e.fault == "describes itself" {
		d.Name = "Not A Name"
	}
	return d
}

func (e echo) Begin(q sdk.Question) (sdk.Conversation, error) {
	get, ok := q.(sdk.SNMPGet)
	switch {
	case !ok && e.fault != "refuses unknown questions":
		return nil, sdk.ErrUnknownQuestion
	case ok && len(get.OIDs) == 0:
		return nil, os.ErrInvalid
	}
	c := &ping{echo: e, next: []byte("ping")}
	if e.fault == "builds identical messages" {
		c.next = []byte(time.Now().String())
	}
	return c, nil
}

type ping struct {
	echo
	next []byte
	got  *string
}

func (p *ping) Next() []byte { m := p.next; p.next = nil; return m }

func (p *ping) Read(r sdk.Reply) {
	s := string(r.Message)
	if p.fault == "survives spoilt replies" && len(s) == 4 && s[0] != 'p' {
		panic("a letter that was not thought of")
	}
	p.got = &s
}

func (p *ping) Result(e sdk.Ending) sdk.Result {
	switch {
	case p.got == nil && p.fault == "ends wherever it is closed":
		return sdk.Result{Status: sdk.Answered}
	case p.got == nil:
		return sdk.Result{Status: sdk.NoReply, Detail: e.String()}
	case *p.got == "pong" && p.fault != "is answered",
		p.fault == "answers no truncated reply" && strings.HasPrefix("pong", *p.got),
		p.fault == "answers no garbage" && len(*p.got) > 4000:
		return sdk.Result{Status: sdk.Answered}
	}
	return sdk.Result{Status: sdk.Malformed, Detail: "not a pong"}
}

func conform(t *testing.T, fault string) {
	sdktest.Conform(t, echo{fault}, sdktest.Example{
		Question: sdk.SNMPGet{Version: sdk.SNMPv2c, OIDs: []string{"1.3"}, RequestID: 1},
		Peer:     sdktest.Peer{sdktest.Reply([]byte("pong"))},
	})
}

func TestConformTakesASoundProbe(t *testing.T) { conform(t, "") }

// TestConformFindsEachFault runs itself again with one fault at a time, and wants to see it fail in the
// part that is about that fault.
func TestConformFindsEachFault(t *testing.T) {
	if fault := os.Getenv("PRIMUM_TEST_FAULT"); fault != "" {
		conform(t, fault)
		return
	}
	for _, fault := range []string{"describes itself", "refuses unknown questions", "is answered", "builds identical messages",
		"ends wherever it is closed", "answers no truncated reply", "answers no garbage", "survives spoilt replies"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestConformFindsEachFault$")
		cmd.Env = append(os.Environ(), "PRIMUM_TEST_FAULT="+fault)
		out, err := cmd.CombinedOutput()
		if want := strings.ReplaceAll(fault, " ", "_"); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s is not found:\n%s", fault, out)
		}
	}
}
