package pluginhost

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"primum/plugins/sandbox"
	"primum/plugins/sdk"
	"primum/plugins/snmp"
	probev1 "primum/proto/probe/v1"
	list "primum/safetylists"
	"primum/safetylists/frame"
)

// asked is the question that is asked of every device, with the answer of a pump.
type asked struct {
	query list.Query
	nonce frame.Nonce
	reply []byte
}

func ask(b *testing.B) asked {
	b.Helper()
	q, err := list.ParseQuery(list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: list.DefaultOIDs()})
	if err != nil {
		b.Fatal(err)
	}
	reply, err := hex.DecodeString("30760201010400a26f02041234567802010002010030" + "61301b06082b06010201010100040f41636d652070756d7020332e312e34301606082b06010201010200060a2b060104018f6501020a" +
		"301006082b060102010103004304000123453018" + "06082b06010201010500040c70756d702d6963752d303034")
	if err != nil {
		b.Fatal(err)
	}
	return asked{q, frame.Nonce{RequestID: 0x12345678}, reply}
}

// guarded is the agent's part of an exchange but for the socket: the proposal is held against the approved
// bytes, the reply is read.
func (a asked) guarded(proposed []byte) ([]byte, error) {
	if _, err := frame.Check(a.query, a.nonce, 0, proposed); err != nil {
		return nil, err
	}
	return frame.CheckResponse(a.reply, frame.V2c, a.nonce.RequestID, nil)
}

func (a asked) Exchange(_ context.Context, proposed []byte) (Reply, error) {
	shown, err := a.guarded(proposed)
	return Reply{Message: shown, Elapsed: time.Millisecond, Last: true}, err
}

func (asked) Why() (probev1.Closed_Reason, bool) { return probev1.Closed_REASON_REFUSED, true }

// bare is the same conversation in this process: codec and guard, no plugin.
func (a asked) bare() error {
	c, err := snmp.Probe{}.Begin(sdk.SNMPGet{Version: sdk.SNMPv2c, OIDs: a.query.Spec().OIDs, RequestID: a.nonce.RequestID})
	if err != nil {
		return err
	}
	shown, err := a.guarded(c.Next())
	if err != nil {
		return err
	}
	c.Read(sdk.Reply{Message: shown, Elapsed: time.Millisecond})
	if r := c.Result(sdk.EndOfQuestion); r.Status != sdk.Answered || len(r.Facts) == 0 {
		return errors.New("it is not answered")
	}
	return nil
}

// real is a host of the real SNMP probe, confined by the real agent.
func real(b *testing.B) *Host {
	b.Helper()
	dir, err := os.MkdirTemp("", "pb")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd := exec.Command("go", "build", "-trimpath", "-o", dir+"/", "primum/plugins/snmp/cmd/primum-probe-snmp", "primum/agent/cmd/primum-agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, text)
	}
	binary, err := os.ReadFile(dir + "/primum-probe-snmp")
	if err != nil {
		b.Fatal(err)
	}
	proof := sandbox.Prove(b.Context(), dir+"/primum-agent")
	h, err := Start(b.Context(), Config{Binaries: []Binary{{Name: "snmp", Path: dir + "/primum-probe-snmp", SHA256: sha256.Sum256(binary), Trust: sandbox.BuiltIn}},
		Dir: dir, Faults: filepath.Join(dir, "faults"), Confinement: proof, Log: slog.New(slog.DiscardHandler), Note: func(i Incident) error { b.Errorf("%+v", i); return nil }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(h.Close)
	b.Logf("level %q, groups %q", proof.Level(), proof.Groups())
	return h
}

// BenchmarkConversation is a question through the sandboxed plugin beside the bare codec, both with the guard; the
// ratio is of this very run.
func BenchmarkConversation(b *testing.B) {
	a, bare := ask(b), 0.0
	b.Run("codec", func(b *testing.B) {
		for b.Loop() {
			if err := a.bare(); err != nil {
				b.Fatal(err)
			}
		}
		bare = float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	})
	h := real(b)
	start := &probev1.Start{Question: &probev1.Start_SnmpGet{SnmpGet: &probev1.SnmpGet{Oids: a.query.Spec().OIDs, RequestId: a.nonce.RequestID, Version: probev1.SnmpGet_VERSION_2C}}}
	b.Run("sandboxed", func(b *testing.B) {
		for b.Loop() {
			seat, _ := h.Reserve("snmp.get")
			if seat == nil {
				b.Fatal("no process")
			}
			if r, err := seat.Run(b.Context(), start, a); err != nil || r.Status != probev1.Result_STATUS_ANSWERED {
				b.Fatal(err)
			}
		}
		if bare > 0 {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/bare, "x-codec")
		}
	})
}

// BenchmarkStart is the start of one more process of a plugin, to the end of its description, and its end.
func BenchmarkStart(b *testing.B) {
	h := real(b)
	var memory, resident int64
	for b.Loop() {
		p, err := h.cfg.start(b.Context(), h.plugins[0].binary)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		u, err := p.Usage()
		if err != nil {
			b.Fatal(err)
		}
		memory, resident = u.Memory, residentOf(b, p)
		b.StartTimer()
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(memory)/(1<<20), "own-MiB")
	b.ReportMetric(float64(resident)/(1<<20), "resident-MiB")
}

// residentOf is what the kernel counts for the process, with what it shares.
func residentOf(b *testing.B, p process) int64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.(*sandbox.Process).Pid()))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var kilobytes int64
			if _, err := fmt.Sscan(strings.TrimSpace(value), &kilobytes); err != nil {
				b.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	b.Fatal("no VmRSS")
	return 0
}
