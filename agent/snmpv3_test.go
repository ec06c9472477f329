package agent

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	controlv1 "primum/proto/control/v1"
	list "primum/safetylists"
	"primum/safetylists/evidence"
)

const (
	authPhrase = "canary-auth-phrase"
	privPhrase = "canary-priv-phrase"
)

// usm is a user as an order brings it.
func usm(t *testing.T, public []byte, user, auth, priv string, version uint64) *controlv1.Secret {
	t.Helper()
	text := fmt.Sprintf(`{"user":%q,"auth":%q,"privacy":%q}`, user, auth, priv)
	return &controlv1.Secret{Device: "10-1", Kind: controlv1.Secret_KIND_USM, Version: version, Sealed: seal(t, public, "primum usm 1", "10-1", text)}
}

// startSnmpd starts a real snmpd that knows a community and one user of version 3 for each level. Its
// engine lives as long as the directory.
func startSnmpd(t *testing.T, dir string, port int) (stop func()) {
	t.Helper()
	conf := filepath.Join(dir, "snmpd.conf")
	text := "rocommunity " + community + " 127.0.0.1\nsysDescr Testmaker Testmodel software 1.0\nsysName ward7\n"
	for _, auth := range list.AuthProtocols() {
		name := map[string]string{"MD5": "MD5", "SHA1": "SHA", "SHA224": "SHA-224", "SHA256": "SHA-256", "SHA384": "SHA-384", "SHA512": "SHA-512"}[auth]
		for _, priv := range list.PrivacyProtocols() {
			cipher := map[string]string{"AES128": "AES", "DES": "DES"}[priv]
			text += fmt.Sprintf("createUser %s%s %s %s %s %s\nrouser %[1]s%[2]s auth\n", auth, priv, name, authPhrase, cipher, privPhrase)
		}
	}
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("snmpd", "-f", "-Lo", "-C", "-c", conf, fmt.Sprintf("udp:127.0.0.1:%d", port))
	cmd.Env = append(os.Environ(), "SNMP_PERSISTENT_DIR="+dir, "MIBS=")
	startAndAwait(t, cmd, "NET-SNMP version")
	return func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it ends by the signal
	}
}

// securedAgent is an agent that may ask a question of version 3.
func securedAgent(t *testing.T, port int, auth, privacy string) *testAgent {
	t.Helper()
	question := fmt.Sprintf(`{kind: snmp.get, port: "%d", snmp_version: "3", auth: %s, privacy: %q, oids: [%s]}`, port, auth, privacy, strings.Join(list.DefaultOIDs(), ", "))
	p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort(fmt.Sprintf("127.0.0.1:%d", port)), Question: question,
		Device: func(d *list.Device) { d.SNMPVersion = list.SNMPv3 }})
	return newAgent(t, p, nil)
}

// S6, S8: each protocol that a question can name is spoken with a real snmpd: discovery, request, and one reply
// to each; nothing of the pass phrases or of the objects stands on the wire or in the journal in clear.
func TestRealSnmpdAnswersVersion3AtEveryLevel(t *testing.T) {
	startSnmpd(t, t.TempDir(), 10161)
	for _, auth := range list.AuthProtocols() {
		for _, privacy := range append([]string{""}, list.PrivacyProtocols()...) {
			t.Run(auth+" "+privacy, func(t *testing.T) {
				seen := startCapture(t, "udp port 10161 or icmp")
				h := securedAgent(t, 10161, auth, privacy)
				user := auth + privacy
				if privacy == "" {
					user += "AES128"
				}
				h.secrets = []*controlv1.Secret{usm(t, h.Agent.secrets.PublicKey(), user, authPhrase, privPhrase, 1)}
				h.hand()
				h.order(h.papers.Permit(t, nil))
				got := h.outcome()
				if got.State != evidence.Answered || got.Messages != 2 || got.Engine == nil || !strings.HasPrefix(got.Credential, "10-1 usm ") {
					t.Fatalf("outcome %+v", got)
				}
				for _, r := range h.records() { // its signature is one that a pass phrase could be guessed from
					if len(r.Octets) > 0 {
						t.Errorf("the record keeps %s: %x", r.Words, r.Octets)
					}
				}
				var description string
				for _, f := range got.Facts {
					if f.Field == "description" {
						description = f.Value
					}
				}
				if description != "Testmaker Testmodel software 1.0" {
					t.Errorf("facts %v", got.Facts)
				}
				lines := seen.lines()
				to, from := count(lines, `> 127\.0\.0\.1\.10161:`), count(lines, `127\.0\.0\.1\.10161 >`)
				if to != 2 || from != 2 || len(lines) != 4 {
					t.Errorf("%d packets to the device, %d from it, %d in all:\n%s", to, from, len(lines), strings.Join(lines, "\n"))
				}
				wire, err := os.ReadFile(seen.file)
				if err != nil {
					t.Fatal(err)
				}
				if clear := strings.Contains(string(wire), "Testmodel"); clear != (privacy == "") {
					t.Errorf("the answer is in clear: %v", clear)
				}
				if strings.Contains(string(wire), "phrase") {
					t.Error("a pass phrase is on the wire")
				}
			})
		}
	}
}

// S5: version 1, one datagram each way; and one that lacks an object is not asked again without it.
func TestRealSnmpdAnswersVersion1Once(t *testing.T) {
	startSnmpd(t, t.TempDir(), 10161)
	for name, c := range map[string]struct {
		oids  string
		state evidence.State
	}{
		"all objects there":     {"1.3.6.1.2.1.1.1.0, 1.3.6.1.2.1.1.5.0", evidence.Answered},
		"one that is not there": {"1.3.6.1.2.1.1.1.0, 1.3.6.1.2.1.1.99.0", evidence.Declined},
	} {
		t.Run(name, func(t *testing.T) {
			seen := startCapture(t, "udp port 10161 or icmp")
			p := papertest.Make(t, time.Now(), papertest.Options{Question: `{kind: snmp.get, port: "10161", snmp_version: "1", oids: [` + c.oids + `]}`,
				Device: func(d *list.Device) { d.SNMPVersion = list.SNMPv1 }})
			h := newAgent(t, p, nil)
			h.hand()
			h.order(p.Permit(t, nil))
			if got := h.outcome(); got.State != c.state || got.Messages != 1 {
				t.Errorf("outcome %+v", got)
			}
			if lines := seen.lines(); len(lines) != 2 {
				t.Errorf("%d packets:\n%s", len(lines), strings.Join(lines, "\n"))
			}
		})
	}
}

// S4, H-027: a credential that the device does not take is used once, and not again until there is a newer one.
func TestACredentialThatADeviceDoesNotTakeIsUsedOnce(t *testing.T) {
	startSnmpd(t, t.TempDir(), 10161)
	for name, c := range map[string]struct{ user, auth, privacy string }{
		"a wrong pass phrase":      {"SHA256AES128", "another-phrase", privPhrase},
		"another for privacy":      {"SHA256AES128", authPhrase, "another-phrase"},
		"a user it does not know":  {"nobody", authPhrase, privPhrase},
		"the protocols of another": {"SHA512AES128", authPhrase, privPhrase},
	} {
		t.Run(name, func(t *testing.T) {
			seen := startCapture(t, "udp port 10161 or icmp")
			h := securedAgent(t, 10161, "SHA256", "AES128")
			h.secrets = []*controlv1.Secret{usm(t, h.Agent.secrets.PublicKey(), c.user, c.auth, c.privacy, 1)}
			h.hand()
			h.order(h.papers.Permit(t, nil))
			got := h.outcome()
			if c.privacy != privPhrase {
				// snmpd drops what it cannot decrypt: a silence after an answer is distress (DESIGN 6.6)
				if got.State != evidence.Distress && got.Reason != list.CredentialRefused || got.Messages != 2 {
					t.Errorf("outcome %+v", got)
				}
			} else if got.State != evidence.Incident || got.Reason != list.CredentialRefused || got.Messages != 2 {
				t.Errorf("outcome %+v", got)
			}
			if lines := seen.lines(); count(lines, `> 127\.0\.0\.1\.10161:`) != 2 {
				t.Errorf("sent more than discovery and request:\n%s", strings.Join(lines, "\n"))
			}
			if got.Reason == list.CredentialRefused && (!h.guard.CredentialRefused(sealed(h.secrets[0]).Name()) || h.guard.CredentialRefused("10-1 usm 1")) {
				t.Error("the credential is not the one that is remembered")
			}
		})
	}
}

// S6, S7: an engine that is known gets no discovery; one whose clock went another way gets one repeat; another
// engine at the address is an incident, and the request is not tried with its identity.
func TestAKnownEngineIsAskedWithoutDiscoveryAndAnotherOneIsAnIncident(t *testing.T) {
	startSnmpd(t, t.TempDir(), 10161)
	ask := func(known *evidence.Engine) (evidence.Result, int) {
		seen := startCapture(t, "udp port 10161 or icmp")
		h := securedAgent(t, 10161, "SHA256", "AES128")
		defer h.stop()
		h.secrets = []*controlv1.Secret{usm(t, h.Agent.secrets.PublicKey(), "SHA256AES128", authPhrase, privPhrase, 1)}
		h.hand()
		if known != nil { // as an earlier visit has left it
			h.guard.Note(evidence.Record{At: time.Now(), Kind: evidence.Outcome, Device: "10-1", Result: &evidence.Result{State: evidence.Answered, Engine: known}})
		}
		h.order(h.papers.Permit(t, nil))
		got := h.outcome()
		return got, len(seen.lines())
	}
	first, packets := ask(nil)
	if first.State != evidence.Answered || first.Engine == nil || packets != 4 {
		t.Fatalf("%d packets, outcome %+v", packets, first)
	}
	for name, c := range map[string]struct {
		engine  evidence.Engine
		packets int
		state   evidence.State
		reason  list.Reason
	}{
		"known":                {*first.Engine, 2, evidence.Answered, ""},
		"it has started anew":  {evidence.Engine{ID: first.Engine.ID, Boots: first.Engine.Boots - 1, Time: 77}, 4, evidence.Answered, ""},
		"its clock is another": {evidence.Engine{ID: first.Engine.ID, Boots: first.Engine.Boots, Time: first.Engine.Time + 4000}, 4, evidence.Answered, ""},
		"another engine":       {evidence.Engine{ID: "80001f8804" + "6f74686572", Boots: 1, Time: 1}, 2, evidence.Incident, list.EngineChanged},
	} {
		t.Run(name, func(t *testing.T) {
			got, packets := ask(&c.engine)
			if got.State != c.state || got.Reason != c.reason || packets != c.packets {
				t.Errorf("%d packets, outcome %+v", packets, got)
			}
		})
	}
}
