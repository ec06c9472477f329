package sdktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"primum/plugins/sandbox"
	"primum/plugins/sdk"
	probev1 "primum/proto/probe/v1"
)

// conversationTime bounds one conversation with a scripted device.
const conversationTime = 10 * time.Second

// Host plays the agent's part.
type Host struct {
	run func(context.Context) (probev1.Probe_RunClient, error)
}

// InProcess serves the probe inside the test, over the same stream as a plugin process would.
func InProcess(t testing.TB, p sdk.Probe) *Host {
	t.Helper()
	l := bufconn.Listen(1 << 16)
	s := grpc.NewServer()
	probev1.RegisterProbeServer(s, sdk.NewServer(p))
	var g sync.WaitGroup
	g.Go(func() { _ = s.Serve(l) })
	conn, err := grpc.NewClient("passthrough:///probe",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); s.Stop(); g.Wait() })
	client := probev1.NewProbeClient(conn)
	return &Host{run: func(ctx context.Context) (probev1.Probe_RunClient, error) { return client.Run(ctx) }}
}

// Built builds the main package, for example "./cmd/primum-probe-acme", and starts it through
// plugins/sandbox as an agent would, as well confined as this machine can; the log says how well.
func Built(t testing.TB, pkg string) *Host {
	t.Helper()
	// Short, because the path of a unix socket is.
	dir, err := os.MkdirTemp("", "probe")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, filepath.Base(pkg))
	build(t, path, pkg)
	return Binary(t, path)
}

// Binary is Built for a plugin that was built already, in whatever language.
func Binary(t testing.TB, path string) *Host {
	t.Helper()
	dir, err := os.MkdirTemp("", "probe")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	shim := filepath.Join(dir, "primum-confine")
	build(t, shim, "primum/plugins/sandbox/cmd/primum-confine") // so that no author's TestMain has to know of it
	binary, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	proof := sandbox.Prove(t.Context(), shim)
	t.Logf("this machine confines a plugin at the level %q %v", proof.Level(), proof.Why())
	began := time.Now()
	p, err := sandbox.Start(t.Context(), sandbox.Spec{Path: path, SHA256: sha256.Sum256(binary), Dir: dir,
		Trust: sandbox.BuiltIn, Confinement: proof, Unconfined: true}) // the author's own, on the author's machine
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s started and described itself in %s", filepath.Base(path), time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close %s: %v", path, err)
		}
	})
	return &Host{run: p.Run}
}

func build(t testing.TB, path, pkg string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, text)
	}
}

// Describe asks what the probe speaks.
func (h *Host) Describe(t testing.TB) sdk.Description {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), conversationTime)
	defer cancel()
	stream, err := h.run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&probev1.HostFrame{Step: &probev1.HostFrame_Describe{Describe: &probev1.Describe{}}})
	frame, err := stream.Recv()
	if err != nil {
		t.Fatalf("describe: %v", err)
	}
	d := frame.GetDescription()
	if d == nil {
		t.Fatalf("describe was answered with %T", frame.GetStep())
	}
	return descriptionOf(d)
}

// Outcome is one conversation as the host saw it.
type Outcome struct {
	// Sent are the messages that the probe proposed.
	Sent [][]byte
	// Result of the probe; zero when the stream ended without one.
	Result sdk.Result
	// Err is how the stream ended without a result: a gRPC status.
	Err error
}

// Ask plays one conversation with the scripted device. It fails the test when a message is not the
// one the script wants, or when the script was not played to its end.
func (h *Host) Ask(t testing.TB, q sdk.Question, peer Peer) Outcome {
	t.Helper()
	n := 0
	o := h.converse(t, q, func(message []byte) (reply []byte, end sdk.Ending) {
		n++
		if len(peer) > 0 && peer[0].kind == stepRecv {
			if !bytes.Equal(message, peer[0].recv) {
				t.Errorf("message %d is\n% x\nwant\n% x", n, message, peer[0].recv)
			}
			peer = peer[1:]
		}
		if len(peer) == 0 || peer[0].kind == stepRecv {
			return nil, sdk.EndTimeout
		}
		step := peer[0]
		peer = peer[1:]
		return step.reply, step.ending
	})
	if o.Err == nil && len(peer) != 0 {
		t.Errorf("the conversation ended %d steps before the script", len(peer))
	}
	return o
}

// converse holds one conversation: device takes each message, and replies or ends it.
func (h *Host) converse(t testing.TB, q sdk.Question, device func([]byte) (reply []byte, end sdk.Ending)) (o Outcome) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), conversationTime)
	defer cancel()
	stream, err := h.run(ctx)
	if err != nil {
		o.Err = err
		return o
	}
	send(stream, startFrame(q))
	for {
		frame, err := stream.Recv()
		if err != nil {
			o.Err = err
			return o
		}
		switch step := frame.GetStep().(type) {
		case *probev1.PluginFrame_Result:
			o.Result = resultOf(step.Result)
			return o
		case *probev1.PluginFrame_Send:
			message := step.Send.GetMessage()
			o.Sent = append(o.Sent, message)
			if reply, end := device(message); end != 0 {
				send(stream, closedFrame(end))
			} else {
				send(stream, replyFrame(reply))
			}
		default:
			t.Fatalf("the probe answered a question with %T", step)
		}
	}
}

// send sends a frame; where that fails, Recv says why.
func send(stream probev1.Probe_RunClient, f *probev1.HostFrame) { _ = stream.Send(f) }
