package sdktest

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"primum/plugins/sdk"
	probev1 "primum/proto/probe/v1"
)

// Example is a conversation that ends Answered: a question, and a device that answers it.
type Example struct {
	Question sdk.Question
	Peer     Peer
}

// Conform holds a probe to the contract of plugins/sdk. The examples are what its device says when all
// is well; from them come the replies that are cut short and spoilt. At least one is needed.
func Conform(t *testing.T, p sdk.Probe, examples ...Example) {
	t.Helper()
	if len(examples) == 0 {
		t.Fatal("conform needs an example of an answered question")
	}
	host := InProcess(t, p)
	t.Run("describes itself", func(t *testing.T) { describes(t, host) })
	t.Run("refuses unknown questions", func(t *testing.T) { refusesUnknown(t, p, host) })
	t.Run("keeps the order of frames", func(t *testing.T) { keepsOrder(t, host, examples[0]) })
	for i, e := range examples {
		t.Run(fmt.Sprintf("example %d", i+1), func(t *testing.T) {
			t.Run("is answered", func(t *testing.T) { isAnswered(t, host, e) })
			t.Run("builds identical messages", func(t *testing.T) { buildsIdentical(t, p, e) })
			t.Run("ends wherever it is closed", func(t *testing.T) { endsWhenClosed(t, host, e) })
			t.Run("answers no truncated reply", func(t *testing.T) { answersNoTruncated(t, p, e) })
			t.Run("answers no garbage", func(t *testing.T) { answersNoGarbage(t, p, e) })
			t.Run("survives spoilt replies", func(t *testing.T) { survivesSpoilt(t, p, e) })
		})
	}
}

func describes(t *testing.T, h *Host) {
	d := h.Describe(t)
	if !regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`).MatchString(d.Name) {
		t.Errorf("name %q is not a short lower-case word", d.Name)
	}
	if d.Version == "" || sdk.Text([]byte(d.Version)) != d.Version {
		t.Errorf("version %q is empty or not plain text", d.Version)
	}
	if len(d.Kinds) == 0 || len(d.Kinds) > 16 {
		t.Errorf("%d kinds, 1 to 16 are allowed", len(d.Kinds))
	}
	for i, k := range d.Kinds {
		if k == "" || slices.Contains(d.Kinds[:i], k) {
			t.Errorf("kind %q is empty or twice there", k)
		}
	}
	if again := h.Describe(t); again.Name != d.Name || again.Version != d.Version || !slices.Equal(again.Kinds, d.Kinds) {
		t.Errorf("describes itself as %v, then as %v", d, again)
	}
}

func refusesUnknown(t *testing.T, p sdk.Probe, h *Host) {
	kinds := p.Describe().Kinds
	for _, q := range []sdk.Question{sdk.SNMPGet{Version: sdk.SNMPv2c}, sdk.DICOMEcho{MessageID: 1}, sdk.HL7Ack{}, sdk.Vendor{Name: "tcp.nobody.nothing"}} {
		_, err := p.Begin(q)
		if slices.Contains(kinds, q.Kind()) {
			if err == nil {
				t.Errorf("began a %s without any parameter", q.Kind())
			}
			continue
		}
		if !errors.Is(err, sdk.ErrUnknownQuestion) {
			t.Errorf("%s: Begin returns %v", q.Kind(), err)
		}
		if o := h.Ask(t, q, nil); status.Code(o.Err) != codes.Unimplemented || len(o.Sent) != 0 {
			t.Errorf("%s: stream ended with %v after %d messages", q.Kind(), o.Err, len(o.Sent))
		}
	}
	if o := h.Ask(t, nil, nil); status.Code(o.Err) != codes.Unimplemented {
		t.Errorf("no question: stream ended with %v", o.Err)
	}
}

func keepsOrder(t *testing.T, h *Host, e Example) {
	for name, frames := range map[string][]*probev1.HostFrame{
		"reply first":       {replyFrame([]byte{1})},
		"closed first":      {closedFrame(sdk.EndTimeout)},
		"empty first":       {{}},
		"start twice":       {startFrame(e.Question), startFrame(e.Question)},
		"describe in start": {startFrame(e.Question), {Step: &probev1.HostFrame_Describe{Describe: &probev1.Describe{}}}},
		"empty in start":    {startFrame(e.Question), {}},
	} {
		stream, err := h.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			send(stream, f)
		}
		for err == nil {
			_, err = stream.Recv()
		}
		if status.Code(err) != codes.FailedPrecondition {
			t.Errorf("%s: stream ended with %v", name, err)
		}
	}
}

func isAnswered(t *testing.T, h *Host, e Example) {
	o := h.Ask(t, e.Question, e.Peer)
	if o.Err != nil || o.Result.Status != sdk.Answered {
		t.Fatalf("ended with %v, %v: %s", o.Result.Status, o.Err, o.Result.Detail)
	}
	if o.Result.Detail != "" {
		t.Errorf("answered, yet with the detail %q", o.Result.Detail)
	}
}

func buildsIdentical(t *testing.T, p sdk.Probe, e Example) {
	first, second := drive(t, p, e.Question, e.Peer.replies()), drive(t, p, e.Question, e.Peer.replies())
	if !slices.EqualFunc(first.Sent, second.Sent, bytes.Equal) {
		t.Errorf("equal questions and replies gave\n% x\nand\n% x", first.Sent, second.Sent)
	}
}

func endsWhenClosed(t *testing.T, h *Host, e Example) {
	replies := e.Peer.replies()
	for n := range replies {
		var peer Peer
		for _, r := range replies[:n] {
			peer = append(peer, Reply(r))
		}
		for _, ending := range []sdk.Ending{sdk.EndOfQuestion, sdk.EndTimeout, sdk.EndClosedByDevice, sdk.EndStopped, sdk.EndRefused} {
			o := h.Ask(t, e.Question, append(slices.Clone(peer), Close(ending)))
			if o.Err != nil {
				t.Errorf("after %d replies, %s: %v", n, ending, o.Err)
			}
			if n == 0 && o.Result.Status == sdk.Answered {
				t.Errorf("answered without a reply, %s", ending)
			}
		}
	}
}

func answersNoTruncated(t *testing.T, p sdk.Probe, e Example) {
	replies := e.Peer.replies()
	for i, r := range replies {
		for n := range len(r) {
			cut := append(slices.Clone(replies[:i]), r[:n])
			if o := drive(t, p, e.Question, cut); o.Result.Status == sdk.Answered {
				t.Errorf("reply %d cut to %d of %d octets is taken as an answer", i+1, n, len(r))
			}
		}
	}
}

func answersNoGarbage(t *testing.T, p sdk.Probe, e Example) {
	for i, g := range append(garbageReplies(), nil) {
		for n := range e.Peer.replies() {
			if o := drive(t, p, e.Question, append(slices.Clone(e.Peer.replies()[:n]), g)); o.Result.Status == sdk.Answered {
				t.Errorf("garbage %d after %d replies is taken as an answer", i, n)
			}
		}
	}
}

// survivesSpoilt turns each octet to others. What comes of it is for the agent to judge; it must
// come without a panic and with a status.
func survivesSpoilt(t *testing.T, p sdk.Probe, e Example) {
	replies := e.Peer.replies()
	for i, r := range replies {
		for at := range r {
			for _, mask := range []byte{0x01, 0x80, 0xff} {
				spoilt := slices.Clone(r)
				spoilt[at] ^= mask
				o := drive(t, p, e.Question, append(slices.Clone(replies[:i]), spoilt))
				if o.Result.Status < sdk.Answered || o.Result.Status > sdk.NoReply {
					t.Errorf("reply %d with octet %d spoilt gives no status", i+1, at)
				}
			}
		}
	}
}

// drive plays replies into a conversation without a stream, and then silence. A panic is a failure of
// its own.
func drive(t *testing.T, p sdk.Probe, q sdk.Question, replies [][]byte) (o Outcome) {
	t.Helper()
	defer func() {
		if err := sdk.Check(p.Describe(), o.Result); err != nil && !t.Failed() {
			t.Errorf("result: %v", err)
		}
	}()
	defer func() {
		if r := recover(); r != nil {
			t.Fatalf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	c, err := p.Begin(q)
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	for m := c.Next(); m != nil; m = c.Next() {
		if len(m) == 0 || len(m) > 1024 {
			t.Fatalf("message of %d octets", len(m))
		}
		if o.Sent = append(o.Sent, slices.Clone(m)); len(o.Sent) > 12 {
			t.Fatal("the conversation has no end: more than 12 messages")
		}
		if len(replies) == 0 {
			o.Result = c.Result(sdk.EndTimeout)
			return o
		}
		c.Read(sdk.Reply{Message: slices.Clone(replies[0])})
		replies = replies[1:]
	}
	o.Result = c.Result(sdk.EndOfQuestion)
	return o
}
