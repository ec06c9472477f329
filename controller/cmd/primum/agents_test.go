package main

import (
	"crypto/ecdh"
	"crypto/hpke"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	adminv1 "primum/proto/admin/v1"
)

// opened is what the agent does with a sealed credential (RFC 9180, primum.control.v1.Secret).
func opened(t *testing.T, key hpke.PrivateKey, info, device string, sealed []byte) (string, error) {
	t.Helper()
	if len(sealed) < 32 {
		t.Fatalf("%d octets", len(sealed))
	}
	r, err := hpke.NewRecipient(sealed[:32], key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(info))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := r.Open([]byte(device), sealed[32:])
	return string(plain), err
}

// H-026: a community goes from a file or standard input to the one agent, and stands nowhere in clear.
func TestACommunityIsSealedToTheAgentForTheDeviceAndNeverPrinted(t *testing.T) {
	key, err := hpke.DHKEM(ecdh.X25519()).GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	const canary = "canary-community"
	file := put(t, filepath.Join(t.TempDir(), "community"), canary+"\r\n")
	for name, c := range map[string]struct {
		args   []string
		device string
	}{
		"a device from a file":            {[]string{"--device", "devices/10-1", "--file", file}, "10-1"},
		"any device from standard input":  {[]string{"--any", "--file", "-"}, "*"},
		"a device in JSON from the input": {[]string{"--device", "10-1", "--file", "-", "--output", "json"}, "10-1"},
	} {
		s := serve(t, answers{"SetSecret": says(&adminv1.SetSecretResponse{Version: 4}), "ListAgents": func(m proto.Message) (proto.Message, error) {
			if m.(*adminv1.ListAgentsRequest).GetPageToken() == "" {
				return &adminv1.ListAgentsResponse{Agents: []*adminv1.Agent{{Name: "agents/other", SealingKey: make([]byte, 32)}}, NextPageToken: "2"}, nil
			}
			return &adminv1.ListAgentsResponse{Agents: []*adminv1.Agent{{Name: "agents/a", SealingKey: key.PublicKey().Bytes()}}}, nil
		}})
		out, complaints, code := s.primum(strings.NewReader(canary+"\n"), append([]string{"secret", "set", "--agent", "a"}, c.args...)...)
		want(t, name, out+complaints, code, exitDone, "4")
		r := one[*adminv1.SetSecretRequest](t, s)
		if r.GetAgent() != "agents/a" || r.GetDevice() != c.device {
			t.Errorf("%s: for %s of %s", name, r.GetDevice(), r.GetAgent())
		}
		if got, err := opened(t, key, "primum secret 1", c.device, r.GetSealed()); err != nil || got != canary {
			t.Errorf("%s: opens as %q: %v", name, got, err)
		}
		if _, err := opened(t, key, "primum secret 1", "10-2", r.GetSealed()); err == nil {
			t.Errorf("%s: it opens for another device", name)
		}
		if strings.Contains(out+complaints, canary) || strings.Contains(string(r.GetSealed()), canary) {
			t.Errorf("%s: the community stands in clear", name)
		}
	}
}

func TestTheListOfAgentsSaysWhatKeepsOneFromWork(t *testing.T) {
	s := serve(t, answers{"ListAgents": says(&adminv1.ListAgentsResponse{Agents: []*adminv1.Agent{{Name: "agents/well", State: "CONNECTED"},
		{Name: "agents/icu", State: "REFUSED", Problem: "two machines seem to run it. A person has to look, and to enrol it anew"}}})})
	out, _, code := s.primum(nil, "agents", "list")
	if want(t, "agents", out, code, exitDone, "REFUSED", "icu: two machines seem to run it. A person has to look, and to enrol it anew.\n"); strings.Contains(out, "well:") {
		t.Error(out)
	}
}

func TestACommunityIsNotTakenFromAnArgumentNorInAWrongSize(t *testing.T) {
	s := serve(t, answers{"ListAgents": says(&adminv1.ListAgentsResponse{Agents: []*adminv1.Agent{{Name: "agents/new"}}})})
	for name, c := range map[string]struct {
		in   string
		args []string
		says string
	}{
		"an argument":        {"", []string{"--agent", "new", "--any", "public"}, "unexpected argument"},
		"no file":            {"", []string{"--agent", "new", "--any"}, "--file"},
		"nothing":            {"\n", []string{"--agent", "new", "--any", "--file", "-"}, "0 octets"},
		"too long":           {strings.Repeat("x", 33), []string{"--agent", "new", "--any", "--file", "-"}, "33 octets"},
		"for one and all":    {"c", []string{"--agent", "new", "--any", "--device", "1", "--file", "-"}, "--any"},
		"an unknown agent":   {"c", []string{"--agent", "none", "--any", "--file", "-"}, "there is no agent none"},
		"an agent to enrol":  {"c", []string{"--agent", "new", "--any", "--file", "-"}, "has not enrolled"},
		"a file of nobody's": {"", []string{"--agent", "new", "--any", "--file", filepath.Join(t.TempDir(), "none")}, "cannot be read"},
	} {
		_, complaints, code := s.primum(strings.NewReader(c.in), append([]string{"secret", "set"}, c.args...)...)
		want(t, name, complaints, code, exitUsage, c.says)
	}
	for _, m := range s.asked() {
		if _, ok := m.(*adminv1.SetSecretRequest); ok {
			t.Error("a secret was sent")
		}
	}
}

// H-026: a user of SNMPv3 is sealed under a name of its own, so that it opens as nothing else.
func TestAUserOfSNMPv3IsSealedAsAUserAlone(t *testing.T) {
	key, err := hpke.DHKEM(ecdh.X25519()).GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, answers{"SetSecret": says(&adminv1.SetSecretResponse{Version: 4}),
		"ListAgents": says(&adminv1.ListAgentsResponse{Agents: []*adminv1.Agent{{Name: "agents/a", SealingKey: key.PublicKey().Bytes()}}})})
	set := []string{"secret", "set", "--agent", "a", "--device", "10-1", "--user", "--file", "-"}
	out, complaints, code := s.primum(strings.NewReader("reader\ncanary-auth\ncanary-priv\n"), set...)
	want(t, "a user", out+complaints, code, exitDone, "The user for 10-1")
	r := one[*adminv1.SetSecretRequest](t, s)
	if r.GetKind() != adminv1.SetSecretRequest_KIND_USM {
		t.Errorf("kind %s", r.GetKind())
	}
	if got, err := opened(t, key, "primum usm 1", "10-1", r.GetSealed()); err != nil || got != `{"user":"reader","auth":"canary-auth","privacy":"canary-priv"}` {
		t.Errorf("opens as %q: %v", got, err)
	}
	if _, err := opened(t, key, "primum secret 1", "10-1", r.GetSealed()); err == nil {
		t.Error("it opens as a community")
	}
	for in, says := range map[string]string{"reader\n": "1 line;", "reader\nshort\n": "at least 8", "\ncanary-auth\n": "0 octets", "a\nb\nc\nd\n": "4 lines"} {
		_, complaints, code := s.primum(strings.NewReader(in), set...)
		want(t, in, complaints, code, exitUsage, says)
		if strings.Contains(complaints, "canary") {
			t.Errorf("%q: the complaint holds the secret", in)
		}
	}
}

func TestAnEnrolmentTokenGoesIntoAFileOfItsOwnerAlone(t *testing.T) {
	s := serve(t, answers{"CreateEnrollmentToken": func(proto.Message) (proto.Message, error) { return &adminv1.EnrollmentToken{Token: "one-time"}, nil }})
	out, _, code := s.primum(nil, "agents", "token", "a")
	if want(t, "to the screen", out, code, exitDone); out != "one-time\n" {
		t.Errorf("prints %q", out)
	}
	file := filepath.Join(t.TempDir(), "token")
	for _, output := range []string{"text", "json"} {
		to := file + output
		out, _, code = s.primum(nil, "--output", output, "agents", "token", "a", "--to", to)
		want(t, "to a file", out, code, exitDone)
		b, err := os.ReadFile(to)
		info, statErr := os.Stat(to)
		if err != nil || statErr != nil || string(b) != "one-time\n" || info.Mode().Perm() != 0o600 || strings.Contains(out, "one-time") {
			t.Errorf("%q, %v, %v, %v; printed %s", b, info.Mode(), err, statErr, out)
		}
	}
	before := len(s.asked())
	_, complaints, code := s.primum(nil, "agents", "token", "a", "--to", file+"text")
	want(t, "a file that is there", complaints, code, exitUsage, "is there already")
	if len(s.asked()) != before {
		t.Error("a token was made that nobody gets")
	}
}
