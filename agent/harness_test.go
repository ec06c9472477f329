package agent

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"primum/agent/internal/guard"
	"primum/agent/internal/papertest"
	"primum/agent/internal/pluginhost"
	"primum/agent/internal/secret"
	"primum/agent/internal/trust"
	"primum/agent/internal/whereabouts"
	"primum/plugins/sandbox"
	"primum/plugins/sandbox/confine"
	controlv1 "primum/proto/control/v1"
	"primum/safetylists/evidence"
	"primum/safetylists/permit"
)

const community = "ward-7-read"

var buildOnce = sync.OnceValues(func() ([]pluginhost.Binary, error) {
	dir, err := os.MkdirTemp("", "primum-probes-")
	if err != nil {
		return nil, err
	}
	var out []pluginhost.Binary
	for _, name := range []string{"snmp", "dicom", "hl7"} {
		path := filepath.Join(dir, "primum-probe-"+name)
		cmd := exec.Command("go", "build", "-o", path, "primum/plugins/"+name+"/cmd/primum-probe-"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build plugin %s: %w: %s", name, err, text)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		out = append(out, pluginhost.Binary{Name: name, Path: path, SHA256: sha256.Sum256(b), Trust: sandbox.BuiltIn})
	}
	return out, nil
})

// confiner is the small program that confines plugins; it starts faster than this one, which could do it too.
const confiner = "PRIMUM_TEST_CONFINER"

// proven is how well this machine confines plugins; tried once.
var proven = sync.OnceValue(func() confine.Proof {
	path := os.Getenv(confiner)
	if path == "" {
		dir, err := os.MkdirTemp("", "primum-confine-")
		if err != nil {
			panic(err)
		}
		path = filepath.Join(dir, "primum-confine")
		cmd := exec.Command("go", "build", "-o", path, "primum/plugins/sandbox/cmd/primum-confine")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			panic(fmt.Sprintf("%v: %s", err, text))
		}
	}
	return sandbox.Prove(context.Background(), path)
})

// testAgent is a whole agent but for the uplink: real journal, trust, guard, wire, and real plugin
// processes.
type testAgent struct {
	*Agent
	t       *testing.T
	papers  *papertest.Papers
	secrets []*controlv1.Secret // that come with each order
	stop    func()
}

// newAgent makes an agent that holds the papers, a lease, a credential and an address proof; bend
// takes one of them away before the agent starts to work.
func newAgent(t *testing.T, p *papertest.Papers, bend func(*testAgent)) *testAgent {
	t.Helper()
	builtins, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return newAgentWith(t, p, needed(builtins, p), bend)
}

// needed leaves the probes that the plan asks through: each takes a process, and its start most of a test's time.
func needed(builtins []pluginhost.Binary, p *papertest.Papers) (out []pluginhost.Binary) {
	for _, b := range builtins {
		if slices.ContainsFunc(p.Plan.Items, func(it permit.Item) bool { return strings.HasPrefix(string(it.Query.Kind()), b.Name+".") }) {
			out = append(out, b)
		}
	}
	return out
}

// newAgentWith is newAgent with other plugins.
func newAgentWith(t *testing.T, p *papertest.Papers, plugins []pluginhost.Binary, bend func(*testAgent)) *testAgent {
	t.Helper()
	dir := t.TempDir()
	leases := filepath.Join(dir, "leases")
	item := p.Plan.Items[0]
	line := fmt.Sprintf("%d %s %s device *\n", time.Now().Add(time.Hour).Unix(), item.Device.MAC, item.Device.Address)
	if err := os.WriteFile(leases, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	policy := p.Release.List.Site().Policy
	a := &Agent{cfg: Config{Data: dir, Policy: policy, Log: log}, id: Identity{Name: papertest.Agent}, permitKey: p.PermitKey, log: log,
		places: whereabouts.Prover{Leases: whereabouts.Leases{Path: leases}}, wake: make(chan struct{}, 1)}
	var err error
	if a.trust, err = trust.Open(filepath.Join(dir, "papers"), policy, p.ListRoot); err != nil {
		t.Fatal(err)
	}
	if a.secrets, err = secret.Open(filepath.Join(dir, "secrets")); err != nil {
		t.Fatal(err)
	}
	if err := a.openJournal(); err != nil {
		t.Fatal(err)
	}
	sockets, err := os.MkdirTemp("", "pt-")
	if err != nil {
		t.Fatal(err)
	}
	if a.plugins, err = pluginhost.Start(t.Context(), a.pluginConfig(plugins, sockets, proven())); err != nil {
		t.Fatal(err)
	}
	h := &testAgent{Agent: a, t: t, papers: p, secrets: []*controlv1.Secret{forAll(t, a.secrets.PublicKey(), community)}}
	if bend != nil {
		bend(h)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var worker sync.WaitGroup
	worker.Go(func() { a.work(ctx) })
	worker.Go(func() { a.watchStop(ctx) })
	h.stop = sync.OnceFunc(func() {
		cancel()
		worker.Wait()
		ended, over := context.WithCancel(context.Background())
		over()
		a.dialer.Wait(ended)
		a.plugins.Close()
		if err := a.journal.Close(); err != nil {
			t.Error(err)
		}
		os.RemoveAll(sockets)
	})
	t.Cleanup(h.stop)
	return h
}

// forAll is a community for every device, as an order brings it.
func forAll(t *testing.T, public []byte, community string) *controlv1.Secret {
	t.Helper()
	return &controlv1.Secret{Device: "*", Kind: controlv1.Secret_KIND_COMMUNITY, Version: 1, Sealed: seal(t, public, "primum secret 1", "*", community)}
}

func seal(t *testing.T, public []byte, info, device, plain string) []byte {
	t.Helper()
	point, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := hpke.NewDHKEMPublicKey(point)
	if err != nil {
		t.Fatal(err)
	}
	enc, s, err := hpke.NewSender(pk, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(info))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := s.Seal([]byte(device), []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return append(enc, sealed...)
}

// papers hands the list and the approved plan over, as the controller does.
func (h *testAgent) hand() {
	h.t.Helper()
	if reason, detail := (*local)(h.Agent).Release(h.papers.Bundle); reason != "" {
		h.t.Logf("list refused: %s %s", reason, detail)
	}
	approval := &controlv1.Approval{PlanSignatures: []*controlv1.Signature{{By: papertest.Approver, Sig: h.papers.Signature}}}
	if reason, detail := (*local)(h.Agent).Plan(h.papers.Document, approval); reason != "" {
		h.t.Logf("plan refused: %s %s", reason, detail)
	}
	h.begin()
	h.hold(0)
	h.lease(time.Minute)
}

func (h *testAgent) begin() {
	if _, err := (*local)(h.Agent).Begin(1); err != nil {
		h.t.Fatal(err)
	}
}

func (h *testAgent) hold(version uint64, scopes ...*controlv1.HoldScope) {
	h.t.Helper()
	if !(*local)(h.Agent).Holds(&controlv1.HoldState{Version: version, Holds: scopes}) {
		h.t.Fatal("the hold state was not taken")
	}
}

func (h *testAgent) lease(d time.Duration) {
	_, version := h.guard.Seen()
	h.guard.SetLease(guard.Lease{Until: bootTime() + d, HoldVersion: version, DurableLSN: 1 << 60, Wall: time.Now(), Boot: bootTime()})
	h.mu.Lock()
	h.poke()
	h.mu.Unlock()
}

// order hands over one permit.
func (h *testAgent) order(raw []byte) {
	h.t.Helper()
	o := &controlv1.WorkOrder{Order: "o1", Epoch: 1, Plan: h.papers.Digest[:], Permits: [][]byte{raw}, Secrets: h.secrets}
	if _, err := (*local)(h.Agent).Order(o); err != nil {
		h.t.Fatal(err)
	}
}

// records returns the whole journal, its chain verified.
func (h *testAgent) records() []evidence.Record {
	h.t.Helper()
	h.mu.Lock() // with which a record is written and noted by the guard
	all, err := h.journal.Read(1, 1<<20, 1<<30)
	h.mu.Unlock()
	if err != nil {
		h.t.Fatal(err)
	}
	var out []evidence.Record
	head := evidence.Head{}
	for _, b := range all {
		r, next, err := head.Follow(b)
		if err != nil {
			h.t.Fatal(err)
		}
		out, head = append(out, r), next
	}
	return out
}

// outcome waits for the outcome of the one task.
func (h *testAgent) outcome() evidence.Result {
	h.t.Helper()
	return h.outcomeOf("")
}

// outcomeOf waits for the outcome of a device, or of any.
func (h *testAgent) outcomeOf(device string) evidence.Result {
	h.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		grown := h.journal.Grown()
		for _, r := range h.records() {
			if r.Kind == evidence.Outcome && (device == "" || r.Device == device) {
				return *r.Result
			}
		}
		select {
		case <-grown:
		case <-time.After(time.Second):
		}
	}
	h.t.Fatal("no outcome within 30 s")
	return evidence.Result{}
}

// capture is tcpdump, as the witness.
type capture struct {
	t    *testing.T
	cmd  *exec.Cmd
	file string
}

func startCapture(t *testing.T, filter string) *capture {
	t.Helper()
	return startCaptureOn(t, "lo", filter)
}

func startCaptureOn(t *testing.T, name, filter string) *capture {
	t.Helper()
	c := &capture{t: t, file: filepath.Join(t.TempDir(), "wire.pcap")}
	args := []string{"-i", name, "-U", "--immediate-mode", "-w", c.file}
	if os.Getuid() == 0 {
		args = append(args, "-Z", "root")
	}
	c.cmd = exec.Command("tcpdump", append(args, filter)...)
	startAndAwait(t, c.cmd, "listening on")
	return c
}

// lines ends the capture and returns one line a packet.
func (c *capture) lines() []string {
	c.t.Helper()
	time.Sleep(100 * time.Millisecond) // tcpdump has no word for "the ring is empty"
	if err := c.cmd.Process.Signal(syscall.SIGINT); err != nil {
		c.t.Fatal(err)
	}
	if err := c.cmd.Wait(); err != nil {
		c.t.Fatal(err)
	}
	out, err := exec.Command("tcpdump", "-nn", "-t", "-r", c.file).Output()
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}

func count(lines []string, pattern string) int {
	re, n := regexp.MustCompile(pattern), 0
	for _, l := range lines {
		if re.MatchString(l) {
			n++
		}
	}
	return n
}

// words is what a process has printed so far.
type words struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// startAndAwait starts a process of the test's own and waits until it has printed a text. It is ended
// with the test.
func startAndAwait(t *testing.T, cmd *exec.Cmd, text string) *words {
	t.Helper()
	w := &words{}
	cmd.Stdout, cmd.Stderr = w, w
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s is needed for this test: %v", cmd.Path, err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // it may have ended by itself
			_ = cmd.Wait()
		}
	})
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(w.String(), text) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not print %q within 20 s, but %q", cmd.Path, text, w.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
	return w
}
