package agent

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"primum/agent/internal/guard"
	"primum/agent/internal/journal"
	"primum/agent/internal/papertest"
	"primum/agent/internal/pluginhost"
	"primum/agent/internal/secret"
	"primum/agent/internal/trust"
	"primum/agent/internal/whereabouts"
	"primum/plugins/lab"
	controlv1 "primum/proto/control/v1"
	list "primum/safetylists"
	"primum/safetylists/evidence"
	"primum/safetylists/permit"
)

const victim = "PRIMUM_TEST_VICTIM"

// life is what one life of the agent that is killed is told.
type life struct {
	Data      string
	Leases    string
	Epoch     uint64
	ListRoot  []byte
	PermitKey []byte
	Bundle    []byte
	Document  []byte
	Signature []byte
	Plan      []byte
	Permits   [][]byte
	Builtins  []pluginhost.Binary
	Secret    *controlv1.Secret
	Stored    uint64 // records that a controller has, and that may be trimmed

	program string // that lives it
}

// unraced builds the program of a life as agents are shipped: with the race detector on, most of each life would go
// into its start.
func unraced(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.test")
	if out, err := exec.Command("go", "test", "-c", "-race=false", "-o", path, "primum/agent").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// live is the agent that is killed: the whole agent but for the uplink, on a directory that its
// earlier lives have left.
func live(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var l life
	if err := json.Unmarshal(b, &l); err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	a := &Agent{cfg: Config{Data: l.Data, Policy: list.Lab, Log: log, Running: 4, Journal: 8 << 10}, id: Identity{Name: papertest.Agent}, permitKey: ed25519.PublicKey(l.PermitKey), log: log,
		places: whereabouts.Prover{Leases: whereabouts.Leases{Path: l.Leases}}, wake: make(chan struct{}, 1)}
	if a.trust, err = trust.Open(filepath.Join(l.Data, "papers"), list.Lab, l.ListRoot); err != nil {
		return err
	}
	if a.secrets, err = secret.Open(filepath.Join(l.Data, "secrets")); err != nil {
		return err
	}
	if err := a.openJournal(); err != nil {
		return err
	}
	if a.plugins, err = pluginhost.Start(context.Background(), a.pluginConfig(l.Builtins, l.Data, proven())); err != nil {
		return err
	}
	local := (*local)(a)
	local.Acknowledged(l.Stored)
	go a.keepTrimmed(context.Background()) // until it is killed
	local.Release(l.Bundle)
	local.Plan(l.Document, &controlv1.Approval{PlanSignatures: []*controlv1.Signature{{By: papertest.Approver, Sig: l.Signature}}})
	if _, err := local.Begin(l.Epoch); err != nil {
		return err
	}
	local.Holds(&controlv1.HoldState{})
	a.guard.SetLease(guard.Lease{Until: bootTime() + time.Minute, DurableLSN: 1 << 60, Wall: time.Now(), Boot: bootTime()})
	for i := 0; i < len(l.Permits); i += 100 {
		o := &controlv1.WorkOrder{Order: fmt.Sprintf("o%d", i/100), Epoch: l.Epoch, Plan: l.Plan, Permits: l.Permits[i:min(i+100, len(l.Permits))], Secrets: []*controlv1.Secret{l.Secret}}
		if _, err := local.Order(o); err != nil {
			return err
		}
	}
	if _, err := fmt.Println("working"); err != nil {
		return err
	}
	a.work(context.Background()) // until it is killed
	return nil
}

// victimDevice is a monitor that takes 40 ms to answer, so that a kill finds it in the middle.
func victimDevice(tag string, address netip.Addr) lab.DeviceConfig {
	return lab.DeviceConfig{Tag: tag, Manufacturer: "Aldane Medical", Model: "Vela 3", Version: "3.2.1", Address: address.String(), Hostname: tag, Fragile: true,
		SNMP: &lab.SNMPConfig{Port: 10161, Descr: "Aldane Medical Vela 3 patient monitor, software 3.2.1", ObjectID: "1.3.6.1.4.1.99991.3"}, Behaviour: lab.Behaviour{Delay: 40 * time.Millisecond}}
}

// victims are some monitors in 127.N.0.0/16, their papers, and what each life of the agent that asks them is told.
func victims(t *testing.T, devices int, network byte) (*lab.Hospital, *papertest.Papers, life) {
	t.Helper()
	builtins, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	config := lab.Config{Name: "victims", Community: community}
	var sheet []list.Device
	var leases bytes.Buffer
	for i := range devices {
		address := netip.AddrFrom4([4]byte{127, network, byte(i / 200), byte(1 + i%200)})
		tag, mac := fmt.Sprintf("20-%04d", i), fmt.Sprintf("02:00:00:00:%02x:%02x", i/256, i%256)
		config.Devices = append(config.Devices, victimDevice(tag, address))
		sheet = append(sheet, list.Device{ID: tag, Name: "Aldane Medical Vela 3", Class: list.OtherClass, MAC: mac, Address: address,
			Claims:    []list.Claim{{Source: list.CMMS, Manufacturer: "Aldane Medical", Model: "Vela 3", Version: "3.2.1", At: time.Now().UTC().Truncate(time.Second)}},
			Endpoints: list.Endpoints{SNMPPort: 10161}})
		fmt.Fprintf(&leases, "0 %s %s x *\n", mac, address)
	}
	h, err := lab.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	dir, err := os.MkdirTemp("", "pk-") // short: the path of a socket stands in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	leaseFile := filepath.Join(dir, "leases")
	if err := os.WriteFile(leaseFile, leases.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	secrets, err := secret.Open(filepath.Join(dir, "secrets"))
	if err != nil {
		t.Fatal(err)
	}
	p := papertest.Hospital(t, time.Now(), "demo", "DEMOSITE", labLists(t), sheet)
	return h, p, life{Data: dir, Leases: leaseFile, ListRoot: p.ListRoot, PermitKey: p.PermitKey, Bundle: p.Bundle, Document: p.Document,
		Signature: p.Signature, Plan: p.Digest[:], Builtins: needed(builtins, p), Secret: forAll(t, secrets.PublicKey(), community)}
}

// H-013, H-042: an agent that is killed 50 times at random in the middle of its work, and of the trims of its journal, asks no
// device twice, loses no record that was on disk, and every question that it began ends in a named state.
func TestAnAgentKilledFiftyTimesAsksNobodyTwice(t *testing.T) {
	const kills, devices = 50, 320
	h, p, first := victims(t, devices, 9)
	dir := first.Data
	program := unraced(t)
	ids := map[int]permit.ID{}
	var stored [][]byte // as a controller has them
	lives, spent := 0, map[string]bool{}
	for n := range kills {
		if len(spent) == devices { // a quick machine has come to the end of them, and a life would wait for its first message in vain
			break
		}
		lives++
		l := first
		l.Epoch, l.Stored, l.program = uint64(n+1), uint64(len(stored)), program
		for i, item := range p.Plan.Items {
			l.Permits = append(l.Permits, p.Permit(t, func(pm *permit.Permit) {
				if id, ok := ids[i]; ok {
					pm.ID = id // the same permit again: the worst that a controller can do
				}
				ids[i] = pm.ID
				pm.Epoch, pm.Item, pm.Device = l.Epoch, uint32(i), item.Device.ID
				pm.Order, pm.Ordinal = fmt.Sprintf("o%d", i/100), uint32(i%100)
				pm.Address = netip.AddrPortFrom(item.Device.Address, item.Query.Port())
			}))
		}
		fresh := kill(t, dir, l, func() int { return h.Report().Totals.Messages })
		for _, b := range fresh {
			r, _, err := evidence.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if r.Kind == evidence.Started {
				spent[r.Permit] = true
			}
		}
		stored = append(stored, fresh...)
	}
	report := h.Report()
	asked := 0
	for _, d := range report.Devices {
		asked += int(d.Messages)
		if d.Messages > 1 {
			t.Errorf("%s was asked %d times", d.Tag, d.Messages)
		}
	}
	if report.Totals.Harmed != 0 {
		t.Errorf("devices harmed: %d", report.Totals.Harmed)
	}
	// The last look: started and outcome must match one to one after a final start.
	states, begun := map[evidence.State]int{}, map[string]int{}
	last := &Agent{cfg: Config{Data: dir, Policy: list.Lab}}
	if err := last.openJournal(); err != nil {
		t.Fatal(err)
	}
	defer last.journal.Close()
	rest, err := last.journal.Read(uint64(len(stored))+1, 1<<20, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	all := append(stored, rest...)
	if head, err := evidence.Verify(evidence.Head{}, all); err != nil || head != last.journal.Head() {
		t.Fatalf("the chain of what was stored ends at %v, the journal at %v: %v", head, last.journal.Head(), err)
	}
	if last.journal.First() == 1 {
		t.Error("the journal was never trimmed")
	}
	for _, b := range all {
		r, _, err := evidence.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case r.Kind == evidence.Started:
			begun[r.Permit]++
		case r.Kind == evidence.Outcome && r.Permit != "":
			begun[r.Permit]--
			states[r.Result.State]++
		}
	}
	for id, n := range begun {
		if n != 0 {
			t.Errorf("permit %s: begun less ended is %d", id, n)
		}
	}
	if lives < kills/2 || asked < lives || states[evidence.Unknown] == 0 {
		t.Errorf("the kills hit too little: %d of them, %d asked, %v", lives, asked, states)
	}
	t.Logf("%d kills, %d devices asked once, outcomes %v, %d records, %d of them trimmed", lives, asked, states, len(all), last.journal.First()-1)
}

// kill starts one life, lets it work for a random time from its first message on, and kills it. It returns the
// records that are new since the life before.
func kill(t *testing.T, dir string, l life, heard func() int) [][]byte {
	t.Helper()
	b, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "life.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(l.program)
	cmd.Env = append(os.Environ(), victim+"="+path, confiner+"="+proven().Program())
	var said words
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(func() { _ = cmd.Wait() }) // killed: its error says only that
	deadline := time.Now().Add(20 * time.Second)
	for before := heard(); (!strings.Contains(said.String(), "working") || heard() == before) && time.Now().Before(deadline); {
		time.Sleep(2 * time.Millisecond)
	}
	time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatalf("the agent ended by itself: %v: %s", err, said.String())
	}
	wait.Wait()
	j, err := journal.Open(filepath.Join(dir, "journal"), time.Now(), guard.New(guard.Config{Boot: bootTime}))
	if err != nil {
		t.Fatalf("after life %d: %v: %s", l.Epoch, err, said.String())
	}
	fresh, err := j.Read(l.Stored+1, 1<<20, 1<<30)
	if err != nil {
		t.Fatalf("after life %d: %v: %s", l.Epoch, err, said.String())
	}
	head := j.Head().Seq
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if len(fresh) == 0 || head != l.Stored+uint64(len(fresh)) {
		t.Fatalf("life %d left record %d, and %d new ones after %d: %s", l.Epoch, head, len(fresh), l.Stored, said.String())
	}
	return fresh
}
