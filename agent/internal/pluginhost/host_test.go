package pluginhost

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"primum/plugins/sandbox"
	probev1 "primum/proto/probe/v1"
)

// fake is a process that does what its plan says, one item a frame.
type fake struct {
	plan  []string
	mu    sync.Mutex
	usage sandbox.Usage
	done  chan struct{}
	once  sync.Once
	how   error
}

func (f *fake) Done() <-chan struct{} { return f.done }
func (f *fake) Err() error            { return f.how }
func (f *fake) Usage() (sandbox.Usage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.usage, nil
}
func (f *fake) use(u sandbox.Usage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.usage = u
}
func (f *fake) Close() error  { f.die(errors.New("signal: killed")); return nil }
func (f *fake) die(how error) { f.once.Do(func() { f.how = how; close(f.done) }) }
func (f *fake) Describe(context.Context) (*probev1.Description, error) {
	return &probev1.Description{Name: "fake", Version: "1", Kinds: []string{"snmp.get"}, Attributes: []*probev1.Declaration{
		{Name: "fake.hours", Kind: probev1.Declaration_KIND_NUMBER, MaxLength: 4}, {Name: "fake.value.*", Kind: probev1.Declaration_KIND_TEXT, MaxLength: 9}}}, nil
}
func (f *fake) Run(ctx context.Context) (probev1.Probe_RunClient, error) {
	return &stream{ctx: ctx, f: f}, nil
}

type stream struct {
	probev1.Probe_RunClient
	ctx context.Context
	f   *fake
	at  int
}

func (s *stream) Send(*probev1.HostFrame) error { return nil }

func (s *stream) Recv() (*probev1.PluginFrame, error) {
	what := "result"
	if s.at < len(s.f.plan) {
		what = s.f.plan[s.at]
	}
	s.at++
	switch what {
	case "send":
		return &probev1.PluginFrame{Step: &probev1.PluginFrame_Send{Send: &probev1.Send{Message: []byte("m")}}}, nil
	case "nothing":
		return &probev1.PluginFrame{}, nil
	case "die":
		s.f.die(errors.New("exit status 2"))
		return nil, status.Error(codes.Unavailable, "gone")
	case "declared", "undeclared", "words for a number", "too long", "no object":
		claim := map[string]*probev1.Attribute{"declared": {Name: "fake.hours", Value: "12.5"}, "undeclared": {Name: "fake.colour", Value: "1"},
			"words for a number": {Name: "fake.hours", Value: "many"}, "too long": {Name: "fake.hours", Value: "12345"}, "no object": {Name: "fake.value.x", Value: "1"}}[what]
		attributes := []*probev1.Attribute{{Name: "fake.value.1.3", Value: "a b"}, claim}
		return &probev1.PluginFrame{Step: &probev1.PluginFrame_Result{Result: &probev1.Result{Status: probev1.Result_STATUS_ANSWERED, Attributes: attributes}}}, nil
	case "panic":
		return nil, status.Error(codes.Internal, "probe panicked: \x1b[31mforged")
	case "giant":
		return nil, status.Error(codes.ResourceExhausted, "too large")
	case "hang":
		<-s.ctx.Done()
		return nil, status.FromContextError(s.ctx.Err()).Err()
	}
	return &probev1.PluginFrame{Step: &probev1.PluginFrame_Result{Result: &probev1.Result{Status: probev1.Result_STATUS_ANSWERED}}}, nil
}

// wire takes every message, or finds that nobody approved it.
type wire struct{ breach bool }

func (w wire) Exchange(context.Context, []byte) (Reply, error) {
	if w.breach {
		return Reply{}, errors.New("octet 3 differs")
	}
	return Reply{Message: []byte("r")}, nil
}

func (w wire) Why() (probev1.Closed_Reason, bool) { return probev1.Closed_REASON_REFUSED, w.breach }

// world is a host of one plugin with its journal.
type world struct {
	*Host
	t       *testing.T
	dir     string
	plan    []string
	started []*fake
	fails   error
	noted   []Incident
	mu      sync.Mutex
}

func (w *world) open() {
	w.t.Helper()
	h, err := Start(w.t.Context(), Config{
		Binaries: []Binary{{Name: "fake", SHA256: sha256.Sum256([]byte("fake")), Trust: sandbox.BuiltIn}},
		Faults:   w.dir, Log: slog.New(slog.DiscardHandler),
		Note: func(i Incident) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.noted = append(w.noted, i)
			return nil
		},
		start: func(context.Context, Binary) (process, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.fails != nil {
				return nil, w.fails
			}
			f := &fake{plan: w.plan, done: make(chan struct{})}
			w.started = append(w.started, f)
			return f, nil
		}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.Host = h
}

func (w *world) count() int {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.started)
}

func (w *world) kinds() string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, i := range w.noted {
		out = append(out, i.What+" "+strings.SplitN(i.Words, ":", 2)[0])
	}
	return strings.Join(out, ", ")
}

// seat waits for a process as the agent's worker does.
func (w *world) seat() *Seat {
	w.t.Helper()
	for range 200 {
		if s, _ := w.Reserve("snmp.get"); s != nil {
			return s
		}
		time.Sleep(time.Second)
	}
	w.t.Fatal("no process")
	return nil
}

func inWorld(t *testing.T, plan []string, do func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, dir: t.TempDir(), plan: plan}
		w.open()
		defer func() { w.Close() }()
		do(w)
	})
}

func TestEachFaultHasItsName(t *testing.T) {
	for name, c := range map[string]struct {
		plan []string
		wire wire
		want Kind
		took time.Duration
	}{
		"killed":                   {[]string{"die"}, wire{}, Died, 0},
		"killed in mid-question":   {[]string{"send", "die"}, wire{}, Died, 0},
		"hangs":                    {[]string{"hang"}, wire{}, Hung, stepTime},
		"hangs in mid-question":    {[]string{"send", "hang"}, wire{}, Hung, stepTime},
		"panics":                   {[]string{"panic"}, wire{}, Broke, deathTime},
		"an empty frame":           {[]string{"nothing"}, wire{}, Broke, 0},
		"one giant frame":          {[]string{"giant"}, wire{}, Flooded, deathTime},
		"frames without end":       {slices.Repeat([]string{"send"}, 100), wire{}, Flooded, 0},
		"bytes nobody approved":    {[]string{"send"}, wire{breach: true}, Breached, 0},
		"an undeclared attribute":  {[]string{"undeclared"}, wire{}, Broke, 0},
		"words for a number":       {[]string{"words for a number"}, wire{}, Broke, 0},
		"longer than declared":     {[]string{"too long"}, wire{}, Broke, 0},
		"a name of no object":      {[]string{"no object"}, wire{}, Broke, 0},
		"no fault: as declared":    {[]string{"declared"}, wire{}, "", 0},
		"no fault: it is closed":   {[]string{"send"}, wire{}, "", 0},
		"no fault: result at once": {nil, wire{}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, c.plan, func(w *world) {
				began := time.Now()
				_, err := w.seat().Run(w.t.Context(), &probev1.Start{}, c.wire)
				var f *Fault
				if errors.As(err, &f); (f == nil) != (c.want == "") || f != nil && f.Kind != c.want {
					t.Fatalf("%v", err)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("it took %s", took)
				}
				if f != nil && strings.ContainsAny(f.Detail, "\x1b\n") {
					t.Errorf("escapes in %q", f.Detail)
				}
				switch kinds := w.kinds(); {
				case c.want == "" && kinds != "":
					t.Errorf("noted %q", kinds)
				case c.want != "" && !strings.HasPrefix(kinds, "FAULTED "+string(c.want)):
					t.Errorf("noted %q", kinds)
				}
			})
		})
	}
}

// H-008: what one process does costs the conversation that it is in.
func TestAFaultCostsItsOwnConversationAlone(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		good := w.seat()
		w.mu.Lock()
		w.plan = []string{"send", "die"}
		w.mu.Unlock()
		bad := w.seat()
		w.mu.Lock()
		w.plan = nil
		w.mu.Unlock()
		if good.process == bad.process {
			t.Fatal("one process for two conversations")
		}
		if _, err := bad.Run(w.t.Context(), &probev1.Start{}, wire{}); err == nil {
			t.Error("a dead process gave a result")
		}
		if _, err := good.Run(w.t.Context(), &probev1.Start{}, wire{}); err != nil {
			t.Errorf("the conversation beside it: %v", err)
		}
		if _, err := w.seat().Run(w.t.Context(), &probev1.Start{}, wire{}); err != nil {
			t.Errorf("the one after it: %v", err)
		}
	})
}

// A conversation that the agent itself ends is nobody's fault, and its process is not used again.
func TestAConversationThatTheAgentEndsIsNoFault(t *testing.T) {
	inWorld(t, []string{"hang"}, func(w *world) {
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		s := w.seat()
		_, err := s.Run(ctx, &probev1.Start{}, wire{})
		var f *Fault
		if err == nil || errors.As(err, &f) || w.kinds() != "" {
			t.Errorf("%v, noted %q", err, w.kinds())
		}
		if next := w.seat(); next.process == s.process {
			t.Error("the process is used again")
		}
	})
}

func TestAPluginIsRestartedWithBackoffAndPutAsideAfterThreeFaultsWithinAnHour(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		for i, wait := range []time.Duration{time.Second, 2 * time.Second} {
			w.started[i].die(errors.New("signal: killed"))
			time.Sleep(wait - time.Millisecond)
			if n := w.count(); n != i+1 {
				t.Fatalf("%d processes before %s had passed", n, wait)
			}
			time.Sleep(lookEvery)
			if n := w.count(); n != i+2 {
				t.Fatalf("%d processes after %s", n, wait+lookEvery)
			}
		}
		w.started[2].die(errors.New("signal: killed"))
		time.Sleep(2 * time.Hour)
		if n := w.count(); n != 3 {
			t.Errorf("%d processes although it is put aside", n)
		}
		if s, coming := w.Reserve("snmp.get"); s != nil || coming || len(w.Plugins()) != 0 {
			t.Error("it serves although it is put aside")
		}
		if want := "FAULTED DIED, FAULTED DIED, FAULTED DIED, BARRED 3 faults within 1h0m0s, the last one DIED"; w.kinds() != want {
			t.Errorf("noted %q", w.kinds())
		}

		// It stays so when the agent starts again, and under another name.
		w.Close()
		w.open()
		if n := w.count(); n != 3 {
			t.Errorf("%d processes after a restart", n)
		}
		barred, err := ListBarred(w.dir)
		if err != nil || len(barred) != 1 || barred[0].Plugin != "fake 1" {
			t.Fatalf("%+v, %v", barred, err)
		}

		// A person lifts it, with name and reason, in a running agent.
		if err := Clear(w.dir, barred[0].SHA256, "anna", "the maker has\nexplained", time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * lookEvery)
		if n := w.count(); n != 4 {
			t.Errorf("%d processes after it was cleared", n)
		}
		if !strings.HasSuffix(w.kinds(), "CLEARED by anna") || strings.Contains(w.noted[len(w.noted)-1].Words, "\n") {
			t.Errorf("noted %+v", w.noted[len(w.noted)-1])
		}
		if left, _ := filepath.Glob(w.dir + "/*"); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

func TestFaultsOverAnHourApartPutNothingAside(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		for i := range 6 {
			w.started[i].die(errors.New("signal: killed"))
			time.Sleep(31 * time.Minute)
			if n := w.count(); n != i+2 {
				t.Fatalf("%d processes after %d deaths", n, i+1)
			}
		}
	})
}

// B1, B2: there is no second chance for bytes that nobody approved.
func TestABreachPutsTheVersionAsideAtOnceAndEndsAllItsProcesses(t *testing.T) {
	inWorld(t, []string{"send"}, func(w *world) {
		one, two := w.seat(), w.seat()
		if _, err := one.Run(w.t.Context(), &probev1.Start{}, wire{breach: true}); err == nil {
			t.Error("a breach gave a result")
		}
		for _, s := range []*Seat{one, two} {
			select {
			case <-s.process.Done():
			default:
				t.Error("a process of the version still runs")
			}
		}
		time.Sleep(time.Hour)
		if n := w.count(); n != 2 {
			t.Errorf("%d processes", n)
		}
		if want := "FAULTED BREACHED, BARRED it proposed bytes that nobody approved"; w.kinds() != want {
			t.Errorf("noted %q", w.kinds())
		}
		two.plugin.end(two, nil)
	})
}

func TestAGreedyProcessIsEndedIdleAndInAConversation(t *testing.T) {
	for name, u := range map[string]sandbox.Usage{
		"memory": {Memory: 200 << 20}, "threads": {Threads: 100}, "the processor": {CPU: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, []string{"send", "hang"}, func(w *world) {
				w.started[0].use(u)
				time.Sleep(cpuTime + lookEvery)
				if kinds := w.kinds(); kinds != "FAULTED GREEDY" {
					t.Fatalf("idle: noted %q", kinds)
				}
				if u.CPU > 0 {
					return // no conversation is as long as that takes to see
				}
				s := w.seat()
				w.started[1].use(u)
				_, err := s.Run(w.t.Context(), &probev1.Start{}, wire{})
				var f *Fault
				if !errors.As(err, &f) || f.Kind != Greedy || w.kinds() != "FAULTED GREEDY, FAULTED GREEDY" {
					t.Errorf("in a conversation: %v, noted %q", err, w.kinds())
				}
			})
		})
	}
}

func TestWhatCannotBeReadOrKeptPutsThePluginAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, dir: t.TempDir()}
		hash := sha256.Sum256([]byte("fake"))
		if err := os.WriteFile((ledger{w.dir}).path(hash, entrySuffix), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		w.open()
		if n := w.count(); n != 0 {
			t.Errorf("%d processes", n)
		}
		w.Close()
		w.dir = filepath.Join(w.dir, "other")
		w.open()
		defer w.Close()
		if err := os.RemoveAll(w.dir); err != nil {
			t.Fatal(err)
		}
		w.started[0].die(io.EOF)
		time.Sleep(time.Hour)
		if n := w.count(); n != 1 || !strings.Contains(w.kinds(), Aside) {
			t.Errorf("%d processes, noted %q", n, w.kinds())
		}
	})
}

func TestAPluginThatDoesNotStartIsTriedAgainAndOneThatMayNotRunFailsTheAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, dir: t.TempDir(), fails: errors.New("it was not ready")}
		w.open()
		time.Sleep(time.Hour)
		if want := "FAULTED NOT_READY, FAULTED NOT_READY, FAULTED NOT_READY, BARRED 3 faults within 1h0m0s, the last one NOT_READY"; w.kinds() != want {
			t.Errorf("noted %q", w.kinds())
		}
		w.Close()
		_, err := Start(t.Context(), Config{Binaries: []Binary{{Trust: sandbox.BuiltIn}}, Faults: t.TempDir(), Log: slog.New(slog.DiscardHandler),
			start: func(context.Context, Binary) (process, error) {
				return nil, fmt.Errorf("%w: another hash", sandbox.ErrNotRun)
			}})
		if !errors.Is(err, sandbox.ErrNotRun) {
			t.Errorf("%v", err)
		}
	})
}

func TestProcessesThatNobodyNeedsAreEnded(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		seats := []*Seat{w.seat(), w.seat(), w.seat()}
		for _, s := range seats {
			s.Release()
		}
		time.Sleep(idleTime + 2*lookEvery)
		synctest.Wait()
		alive := 0
		for _, f := range w.started {
			select {
			case <-f.done:
			default:
				alive++
			}
		}
		if alive != 1 || w.kinds() != "" {
			t.Errorf("%d processes are left, noted %q", alive, w.kinds())
		}
	})
}

// H-033: what a maker did not sign, and what another plugin speaks, is not taken from a signed plugin. The
// agent runs all the same.
func TestASignedPluginSpeaksWhatItsMakerSignedAndNothingOfAnothers(t *testing.T) {
	signed := Binary{Name: "fake", Version: "1", Kinds: []string{"snmp.get"}, Trust: sandbox.Signed}
	bend := func(do func(*Binary)) Binary { b := signed; do(&b); return b }
	builtIn := Binary{Name: "snmp", SHA256: [32]byte{1}, Trust: sandbox.BuiltIn}
	for name, c := range map[string]struct {
		binaries []Binary
		want     int
	}{
		"as signed":              {[]Binary{signed}, 1},
		"another name":           {[]Binary{bend(func(b *Binary) { b.Name = "other" })}, 0},
		"another version":        {[]Binary{bend(func(b *Binary) { b.Version = "2" })}, 0},
		"another question":       {[]Binary{bend(func(b *Binary) { b.Kinds = []string{"tcp.acme.x"} })}, 0},
		"that of a built-in one": {[]Binary{signed, builtIn}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, err := Start(t.Context(), Config{Binaries: c.binaries, Faults: t.TempDir(), Log: slog.New(slog.DiscardHandler), Note: func(i Incident) error { t.Errorf("%+v", i); return nil },
					start: func(context.Context, Binary) (process, error) { return &fake{done: make(chan struct{})}, nil }})
				if err != nil {
					t.Fatal(err)
				}
				defer h.Close()
				time.Sleep(time.Hour)
				got := h.Plugins()
				if len(got) != c.want || len(c.binaries) == 2 && got[0].SHA256 != builtIn.SHA256 {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

func TestFaultsOfOneMomentCountAsOneButForABreach(t *testing.T) {
	inWorld(t, []string{"send", "die"}, func(w *world) {
		seats := []*Seat{w.seat(), w.seat(), w.seat(), w.seat()}
		for _, s := range seats {
			_, _ = s.Run(w.t.Context(), &probev1.Start{}, wire{}) // each has its fault
		}
		if want := "FAULTED DIED, FAULTED DIED, FAULTED DIED, FAULTED DIED"; w.kinds() != want {
			t.Errorf("noted %q", w.kinds())
		}
		if _, err := w.seat().Run(w.t.Context(), &probev1.Start{}, wire{breach: true}); err == nil || !strings.Contains(w.kinds(), Aside) {
			t.Errorf("%v, noted %q", err, w.kinds())
		}
	})
}

func TestAMachineThatStoodStillIsNoFaultOfAPlugin(t *testing.T) {
	for after, want := range map[time.Duration]error{stepTime: errStep, stepTime + stallTime: errStep, stepTime + stallTime + 1: errStall, time.Hour: errStall} {
		if got := overdue(after); got != want {
			t.Errorf("after %s: %v", after, got)
		}
	}
}
