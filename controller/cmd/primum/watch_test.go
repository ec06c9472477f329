package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "primum/proto/admin/v1"
)

func runOf(state string, tasks map[string]uint32) *adminv1.Run {
	return &adminv1.Run{Name: "runs/1", State: state, Planned: 21, Tasks: tasks}
}

// sends is a watch that says these states and ends.
func sends(all ...*adminv1.Run) func(string, func(*adminv1.Run) error, context.Context) error {
	return func(_ string, send func(*adminv1.Run) error, _ context.Context) error {
		for _, r := range all {
			if err := send(r); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestProgressSaysWhatIsDoneAndWhatIsToGo(t *testing.T) {
	for _, c := range []struct {
		run  *adminv1.Run
		want string
	}{
		{runOf("RUNNING", map[string]uint32{"ANSWERED": 10, "ABSENT": 1, "REFUSED": 1, "QUEUED": 8, "DISPATCHED": 1}), "12 of 21 done: 10 answered, 1 absent, 1 refused, 9 to go"},
		{runOf("PENDING", nil), "0 of 21 done: 21 to go"},
		{runOf("SUCCEEDED", map[string]uint32{"ANSWERED": 20, "OF_NEXT_YEAR": 1}), "21 of 21 done: 20 answered, 1 of_next_year"},
		{&adminv1.Run{}, "no question"},
	} {
		if got := progress(c.run); got != c.want {
			t.Errorf("%q, not %q", got, c.want)
		}
	}
}

func TestWatchPrintsOneLineForEachChangeAndEndsAsTheRunDid(t *testing.T) {
	half, full := map[string]uint32{"ANSWERED": 10, "QUEUED": 11}, map[string]uint32{"ANSWERED": 21}
	for name, c := range map[string]struct {
		states []*adminv1.Run
		code   int
		out    string
		says   string
	}{
		"succeeded": {[]*adminv1.Run{runOf("RUNNING", half), runOf("RUNNING", half), runOf("SUCCEEDED", full)}, exitDone,
			"1 RUNNING: 10 of 21 done: 10 answered, 11 to go\n1 SUCCEEDED: 21 of 21 done: 21 answered\n", ""},
		"partial":            {[]*adminv1.Run{runOf("PARTIAL", half)}, exitDone, "1 PARTIAL: 10 of 21 done: 10 answered, 11 to go\n", ""},
		"cancelled":          {[]*adminv1.Run{runOf("CANCELLED", full)}, exitRefused, "1 CANCELLED: 21 of 21 done: 21 answered\n", "ended CANCELLED"},
		"expired":            {[]*adminv1.Run{runOf("EXPIRED", full)}, exitRefused, "1 EXPIRED: 21 of 21 done: 21 answered\n", "ended EXPIRED"},
		"ended in mid run":   {[]*adminv1.Run{runOf("HELD", half)}, exitRefused, "1 HELD: 10 of 21 done: 10 answered, 11 to go\n", "still HELD"},
		"nothing ever comes": {nil, exitFailed, "", "without saying anything"},
	} {
		s := serve(t, answers{})
		s.watch = sends(c.states...)
		out, complaints, code := s.primum(nil, "watch", "1")
		want(t, name, complaints, code, c.code, c.says)
		if out != c.out {
			t.Errorf("%s: prints %q, not %q", name, out, c.out)
		}
	}
}

func TestWatchRewritesItsLineOnATerminal(t *testing.T) {
	var out bytes.Buffer
	states := []*adminv1.Run{runOf("RUNNING\x1b[2J", map[string]uint32{"QUEUED": 21}), runOf("SUCCEEDED", map[string]uint32{"ANSWERED": 21})}
	e := &env{out: &out, live: true}
	last, err := e.follow(func() (*adminv1.Run, error) {
		if len(states) == 0 {
			return nil, io.EOF
		}
		r := states[0]
		states = states[1:]
		return r, nil
	})
	if err != nil || last.GetState() != "SUCCEEDED" {
		t.Fatalf("%v: %v", last, err)
	}
	if want := "\r\x1b[K1 RUNNING?[2J: 0 of 21 done: 21 to go\r\x1b[K1 SUCCEEDED: 21 of 21 done: 21 answered\n"; out.String() != want {
		t.Errorf("%q, not %q", out.String(), want)
	}
}

func TestWatchOfAPlanWaitsForItsRun(t *testing.T) {
	var looks atomic.Int32
	s := serve(t, answers{"GetPlan": func(m proto.Message) (proto.Message, error) {
		if looks.Add(1) < 3 {
			return &adminv1.Plan{Name: "plans/1", State: "APPROVED", Opens: timestamppb.New(time.Date(2026, 11, 27, 2, 0, 0, 0, time.UTC))}, nil
		}
		return &adminv1.Plan{State: "FIRED", Run: "runs/8"}, nil
	}})
	s.watch = sends(runOf("SUCCEEDED", map[string]uint32{"ANSWERED": 21}))
	out, complaints, code := s.primum(nil, "watch", "plans/1")
	want(t, "watch", out+complaints, code, exitDone, "SUCCEEDED")
	if first := "1 is APPROVED, 0 of 0 signed; its approved time opens at 2026-11-27 02:00:00 UTC. Waiting for the run.\n"; !strings.HasPrefix(out, first) || strings.Count(out, "Waiting") != 1 {
		t.Errorf("it waits and does not say so once: %q", out)
	}
	if r := one[*adminv1.WatchRunRequest](t, s); r.GetName() != "runs/8" || looks.Load() != 3 {
		t.Errorf("watched %v after %d looks", r, looks.Load())
	}
}

// The first steps say "primum watch PLAN": a plan without its collection is found where there is no such run.
func TestWatchTakesTheBareNameOfAPlan(t *testing.T) {
	s := serve(t, answers{"GetPlan": says(&adminv1.Plan{Name: "plans/8", State: "FIRED", Run: "runs/9"})})
	s.watch = func(name string, send func(*adminv1.Run) error, _ context.Context) error {
		if name != "runs/9" {
			return status.Error(codes.NotFound, "there is no run and no plan 8")
		}
		return send(runOf("SUCCEEDED", map[string]uint32{"ANSWERED": 21}))
	}
	out, complaints, code := s.primum(nil, "watch", "8")
	want(t, "watch 8", out+complaints, code, exitDone, "SUCCEEDED")
	s = serve(t, answers{"GetPlan": fails(status.Error(codes.NotFound, "there is no plan 8"))})
	s.watch = func(string, func(*adminv1.Run) error, context.Context) error {
		return status.Error(codes.NotFound, "there is no run and no plan 8")
	}
	_, complaints, code = s.primum(nil, "watch", "8")
	want(t, "neither", complaints, code, exitUsage, "there is no run and no plan 8")
}

func TestWatchDoesNotWaitForEver(t *testing.T) {
	for name, c := range map[string]struct {
		plan  func(proto.Message) (proto.Message, error)
		watch func(string, func(*adminv1.Run) error, context.Context) error
		code  int
		says  []string
	}{
		"the plan expires":   {says(&adminv1.Plan{State: "EXPIRED"}), nil, exitRefused, []string{"EXPIRED", "not carried out"}},
		"nobody approves it": {says(&adminv1.Plan{State: "DRAFT"}), nil, exitRefused, []string{"300ms passed", "still DRAFT", "--timeout"}},
		"the run goes on": {says(&adminv1.Plan{State: "FIRED", Run: "runs/1"}), func(_ string, send func(*adminv1.Run) error, ctx context.Context) error {
			if err := send(runOf("HELD", nil)); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		}, exitRefused, []string{"still HELD"}},
		"nothing is said": {says(&adminv1.Plan{State: "FIRED", Run: "runs/1"}), func(_ string, _ func(*adminv1.Run) error, ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}, exitUnreachable, []string{"did not answer in time"}},
		"the controller goes": {says(&adminv1.Plan{State: "FIRED", Run: "runs/1"}), func(string, func(*adminv1.Run) error, context.Context) error {
			return status.Error(codes.Unavailable, "going down")
		}, exitUnreachable, []string{"cannot be reached"}},
	} {
		s := serve(t, answers{"GetPlan": c.plan})
		s.watch = c.watch
		began := time.Now()
		_, complaints, code := s.primum(nil, "watch", "plans/1", "--timeout", "300ms")
		want(t, name, complaints, code, c.code, c.says...)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

func TestWatchInJSONIsOneObjectALine(t *testing.T) {
	s := serve(t, answers{})
	s.watch = sends(runOf("RUNNING\u009b", nil), runOf("SUCCEEDED", nil))
	out, _, code := s.primum(nil, "--output", "json", "watch", "1")
	want(t, "watch", out, code, exitDone)
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), out)
	}
	for i, state := range []string{"RUNNING\u009b", "SUCCEEDED"} {
		var r struct{ Name, State string }
		if err := json.Unmarshal([]byte(lines[i]), &r); err != nil || r.State != state || r.Name != "runs/1" {
			t.Errorf("line %s: %v", lines[i], err)
		}
	}
	if strings.ContainsRune(out, '\u009b') {
		t.Errorf("a control character stands in the JSON: %q", out)
	}
}
