package sdktest

import (
	"bytes"
	"context"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"primum/plugins/sandbox"
	"primum/plugins/sdk"
	probev1 "primum/proto/probe/v1"
)

// bench is one certification: a plugin in the sandbox, started again when it has died, and what was found.
type bench struct {
	ctx         context.Context
	spec        sandbox.Spec
	step        time.Duration
	process     *sandbox.Process
	description sdk.Description
	report      Report
	now         *Check
	hung        bool
}

// maxFindings of one check are told; who has so many needs no more.
const maxFindings = 3

func (b *bench) check(name string, run func()) {
	b.report.Checks = append(b.report.Checks, Check{Name: name})
	b.now = &b.report.Checks[len(b.report.Checks)-1]
	run()
}

// found notes a fault, once in a check.
func (b *bench) found(f Fault, detail string) {
	b.now.Findings++
	b.hung = b.hung || f == FaultHang
	if !slices.ContainsFunc(b.report.Findings, func(have Finding) bool { return have.Fault == f && have.Check == b.now.Name }) {
		b.report.Findings = append(b.report.Findings, Finding{f, b.now.Name, detail})
	}
}

// enough says that a check need not go on.
func (b *bench) enough() bool { return b.now.Findings >= maxFindings || b.hung || b.ctx.Err() != nil }

func (b *bench) close() {
	if b.process != nil {
		_ = b.process.Close() // it may have died
		b.process = nil
	}
}

// running is the process, started when there is none.
func (b *bench) running() (*sandbox.Process, error) {
	if b.process != nil {
		select {
		case <-b.process.Done():
			b.close()
		default:
			return b.process, nil
		}
	}
	p, err := sandbox.Start(b.ctx, b.spec)
	b.process = p
	return p, err
}

func (b *bench) describe() (sdk.Description, error) {
	b.now.Conversations++
	p, err := b.running()
	if err != nil {
		return sdk.Description{}, err
	}
	d, err := p.Describe(b.ctx)
	if err != nil {
		return sdk.Description{}, err
	}
	return descriptionOf(d), nil
}

// talk is one conversation as it went.
type talk struct {
	sent   [][]byte
	result sdk.Result
	err    error // a *failure when it is the plugin's
}

// converse holds one conversation. device takes the nth message and replies, or ends it.
func (b *bench) converse(q sdk.Question, device func(n int, message []byte) ([]byte, sdk.Ending)) (o talk) {
	b.now.Conversations++
	p, err := b.running()
	if err != nil {
		return talk{err: &failure{fault: FaultPanic, words: err.Error()}}
	}
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	stream, err := p.Run(ctx)
	if err != nil {
		return talk{err: failed(err, false, false)}
	}
	frame, ended := startFrame(q), sdk.Ending(0)
	for {
		late := time.AfterFunc(b.step, cancel)
		send(stream, frame)
		got, err := stream.Recv()
		inTime := late.Stop()
		if err != nil {
			o.err = failed(err, b.gone(p), !inTime && b.ctx.Err() == nil)
			if !inTime {
				b.close() // what hangs goes on hanging
			}
			return o
		}
		switch step := got.GetStep().(type) {
		case *probev1.PluginFrame_Result:
			o.result = resultOf(step.Result)
			return o
		case *probev1.PluginFrame_Send:
			message := step.Send.GetMessage()
			switch {
			case ended == sdk.EndRefused:
				o.err = &failure{fault: FaultRefusal, words: "it was told that its message is refused, and sends another"}
				return o
			case ended != 0:
				o.err = &failure{fault: FaultAfterEnd, words: "it sends a message after: " + ended.String()}
				return o
			}
			o.sent = append(o.sent, message)
			reply, end := device(len(o.sent), message)
			if ended = end; end != 0 {
				frame = closedFrame(end)
			} else {
				frame = replyFrame(reply)
			}
		default:
			o.err = &failure{fault: FaultContract, words: fmt.Sprintf("a frame %T has no place here", step)}
			return o
		}
	}
}

// gone waits a moment for a process whose stream has ended to be seen dead.
func (b *bench) gone(p *sandbox.Process) bool {
	timer := time.NewTimer(500 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-p.Done():
		return true
	case <-timer.C:
		return false
	}
}

// play holds a conversation with the device of a transcript, whose nth reply bend may change. Each message is
// held against the recorded one, as a guard does; the first that differs is refused and noted. After a reply that
// was bent a conversation may go on with a later message, such as one that takes leave.
func (b *bench) play(tr Transcript, bend func(n int, reply []byte) ([]byte, sdk.Ending)) (o talk, sound bool) {
	sound = true
	place := 0
	o = b.converse(tr.Question, func(_ int, message []byte) ([]byte, sdk.Ending) {
		place++
		if bend != nil && place > 1 {
			for later := place; later <= len(tr.Exchanges); later++ {
				if bytes.Equal(tr.Exchanges[later-1].Send, message) {
					place = later
					break
				}
			}
		}
		n := place
		if f, detail := differs(tr, n, message); f != "" {
			b.found(f, detail)
			sound = false
			return nil, sdk.EndRefused
		}
		reply := tr.Exchanges[n-1].Reply
		if bend != nil {
			return bend(n, slices.Clone(reply))
		}
		if reply == nil {
			return nil, sdk.EndTimeout
		}
		return reply, 0
	})
	var f *failure
	if errors.As(o.err, &f) {
		b.found(f.fault, f.words)
		return o, false
	}
	if err := sdk.Check(b.description, o.result); err != nil {
		b.found(FaultUndeclared, err.Error())
		return o, false
	}
	return o, sound
}

// differs names what is wrong with the nth message.
func differs(tr Transcript, n int, message []byte) (Fault, string) {
	is := func(want Exchange) bool { return bytes.Equal(want.Send, message) }
	switch {
	case len(message) == 0 || len(message) > 1024:
		return FaultOversize, fmt.Sprintf("message %d has %d octets; 1 to 1024", n, len(message))
	case n > len(tr.Exchanges) && is(tr.Exchanges[0]):
		return FaultSecond, fmt.Sprintf("message %d begins the conversation again", n)
	case n > len(tr.Exchanges):
		return FaultExtra, fmt.Sprintf("message %d comes after the last one", n)
	case is(tr.Exchanges[n-1]):
		return "", ""
	case slices.ContainsFunc(tr.Exchanges, is):
		return FaultOrder, fmt.Sprintf("message %d is another one of the conversation", n)
	}
	if get, ok := tr.Question.(sdk.SNMPGet); ok {
		for _, oid := range get.OIDs {
			if name := encoded(oid); name == nil || !bytes.Contains(message, name) {
				return FaultOID, fmt.Sprintf("message %d asks for other objects: %s is not in it", n, oid)
			}
		}
	}
	at := 0
	for want := tr.Exchanges[n-1].Send; at < min(len(message), len(want)) && message[at] == want[at]; {
		at++
	}
	return FaultOther, fmt.Sprintf("message %d differs from the recorded one at octet %d", n, at+1)
}

// encoded is the name of an object in BER.
func encoded(oid string) []byte {
	var arcs asn1.ObjectIdentifier
	for arc := range strings.SplitSeq(oid, ".") {
		n, err := strconv.Atoi(arc)
		if err != nil {
			return nil
		}
		arcs = append(arcs, n)
	}
	b, err := asn1.Marshal(arcs)
	if err != nil {
		return nil
	}
	return b
}
