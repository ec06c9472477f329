package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"primum/agent/internal/guard"
	"primum/agent/internal/pluginhost"
	"primum/agent/internal/secret"
	"primum/agent/internal/task"
	"primum/agent/internal/wire"
	list "primum/safetylists"
	"primum/safetylists/budget"
	"primum/safetylists/evidence"
)

// pending is a verified task that waits for its turn.
type pending struct {
	task       task.Task
	order      string
	ordinal    uint32
	credential *secret.Sealed // for this one permit; nil: none came
	opens      bool           // the credential was opened once
	receipt    uint64         // record that holds its receipt
	again      time.Time
	line       budget.Line // that it waits in
}

// maxRunning bounds the conversations of one agent at a time.
const maxRunning = 64

func (a *Agent) most() int {
	if a.cfg.Running > 0 {
		return a.cfg.Running
	}
	return maxRunning
}

// poke wakes the worker; the caller holds a.mu.
func (a *Agent) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// work admits what is due, one look at a time, until ctx ends; it returns when all conversations have
// ended.
func (a *Agent) work(ctx context.Context) {
	var visits sync.WaitGroup
	defer visits.Wait()
	for {
		wait := a.admitDue(&visits)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-a.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// admitDue goes through the queue once and returns how long the worker may sleep.
func (a *Agent) admitDue(visits *sync.WaitGroup) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	next := now.Add(time.Second)
	var keep []*pending
	waits := map[string]bool{}      // devices whose next question waits for a process: the one after it does not overtake it
	lines := map[budget.Line]bool{} // budgets that an earlier question waits for, which a cheaper one would spend for ever
	overtakes := func(p *pending) bool {
		return len(lines) > 0 && slices.ContainsFunc(a.guard.Lines(p.task), func(l budget.Line) bool { return lines[l] })
	}
	for _, p := range a.queue {
		if now.Before(p.again) || a.running >= a.most() || waits[p.task.Device().ID] || overtakes(p) {
			if p.line != (budget.Line{}) {
				lines[p.line] = true
			}
			if p.again.After(now) && p.again.Before(next) {
				next = p.again
			}
			keep = append(keep, p)
			continue
		}
		seat, coming := a.plugins.Reserve(string(p.task.Query().Kind()))
		if coming {
			waits[p.task.Device().ID] = true
			if again := now.Add(processWait); again.Before(next) {
				next = again
			}
			keep = append(keep, p)
			continue
		}
		v := a.admit(p, seat, now)
		switch {
		case v.Ticket != nil:
			a.running++
			visits.Go(func() { a.visit(v.Ticket, p.credential, seat) })
		case v.Refusal != nil:
			if _, err := a.note(refusal(p.order, p.ordinal, p.task.Device().ID, v.Refusal, now)); err != nil {
				a.log.Error("write refusal to journal", "error", err)
			}
		default:
			p.again, p.line = v.Again, v.Line
			if p.line != (budget.Line{}) {
				lines[p.line] = true
			}
			if p.again.Before(next) {
				next = p.again
			}
			keep = append(keep, p)
		}
	}
	a.queue = keep
	return max(time.Until(next), 10*time.Millisecond)
}

// processWait is how often a question that waits for a process of its plugin is looked at.
const processWait = 100 * time.Millisecond

// admit asks for what the conversation will need before the guard spends the permit. Without a ticket the
// process of the plugin is given back.
func (a *Agent) admit(p *pending, seat *pluginhost.Seat, now time.Time) (v guard.Verdict) {
	kind := p.task.Query().Kind()
	if seat == nil {
		return guard.Verdict{Refusal: list.Refuse(list.NoPlugin, string(kind))}
	}
	defer func() {
		if v.Ticket == nil {
			seat.Release()
		}
	}()
	if kind == list.SNMPGet {
		if p.credential == nil {
			return guard.Verdict{Refusal: list.Refuse(list.NoSecret, "")}
		}
		if a.guard.CredentialRefused(p.credential.Name()) {
			return guard.Verdict{Refusal: list.Refuse(list.CredentialRefused, "it was refused before, and the device was not asked again")}
		}
		if !p.opens { // once is enough: it is looked at many times while it waits
			c, err := a.secrets.Open(*p.credential)
			if err != nil {
				return guard.Verdict{Refusal: list.Refuse(list.NoSecret, err.Error())}
			}
			c.Clear()
			p.opens = true
		}
	}
	return a.guard.Admit(p.task, p.receipt, now)
}

// mostKept bounds a message of ours whose octets are kept: an approved question is a few hundred.
const mostKept = 4096

// recorder writes each message of one conversation. What the device says is kept as its digest alone: it may tell of
// patients (WIRE-RULES hazard 25).
type recorder struct {
	a    *Agent
	base evidence.Record
	keep bool // the octets of our messages, which hold no secret then
}

func (r recorder) write(kind evidence.Kind, at time.Time, words string, message []byte) error {
	sum := sha256.Sum256(message)
	rec := r.base
	rec.Kind, rec.At, rec.Words, rec.Digest, rec.Length = kind, at, words, hex.EncodeToString(sum[:]), len(message)
	if kind == evidence.Sent && r.keep && len(message) <= mostKept {
		rec.Octets = message
	}
	r.a.mu.Lock()
	defer r.a.mu.Unlock()
	_, err := r.a.note(rec)
	return err
}

// Sent implements wire.Recorder.
func (r recorder) Sent(at time.Time, words string, message []byte) error {
	return r.write(evidence.Sent, at, words, message)
}

// Got implements wire.Recorder.
func (r recorder) Got(at time.Time, message []byte) error {
	return r.write(evidence.Got, at, "", message)
}

var _ wire.Recorder = recorder{}

// visit holds the one conversation of a ticket and writes its outcome.
func (a *Agent) visit(ticket *guard.Ticket, sealed *secret.Sealed, seat *pluginhost.Seat) {
	t := ticket.Task()
	order, ordinal := t.Order()
	base := evidence.Record{Order: order, Ordinal: ordinal, Permit: t.ID().String(), Device: t.Device().ID}
	result := a.converse(ticket, sealed, seat, recorder{a: a, base: base, keep: shows(t.Query())})
	out := base
	out.Kind, out.At, out.Result = evidence.Outcome, time.Now(), &result
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running--
	if _, err := a.note(out); err != nil {
		a.log.Error("write outcome to journal", "device", t.Device().ID, "error", err)
	}
	a.poke()
}

// shows reports whether our messages may stand in the record: those of SNMPv3 carry a signature that a pass phrase
// could be guessed from, whoever has the record.
func shows(q list.Query) bool { return q.Spec().SNMPVersion != list.SNMPv3 }

// converse opens the conversation, lets the plugin speak through it, and closes it.
func (a *Agent) converse(ticket *guard.Ticket, sealed *secret.Sealed, seat *pluginhost.Seat, rec wire.Recorder) evidence.Result {
	t := ticket.Task()
	var credential *secret.Credential
	if sealed != nil {
		var err error
		if credential, err = a.secrets.Open(*sealed); err != nil {
			ticket.Done()
			seat.Release()
			return evidence.Result{State: evidence.Refused, Reason: list.NoSecret, Detail: err.Error()}
		}
	}
	conv, err := a.dialer.Open(ticket, credential, rec)
	if err != nil {
		credential.Clear()
		ticket.Done()
		seat.Release()
		return evidence.Result{State: evidence.Refused, Reason: list.NotDecided, Detail: err.Error()}
	}
	within, stop := context.WithTimeout(context.Background(), ticket.Limits().Cap)
	defer stop()
	ctx, cancel := context.WithCancelCause(within)
	watched := make(chan delay, 1)
	go func() { watched <- breakOff(ctx, cancel, ticket) }()
	claim, err := seat.Run(ctx, told(question(t.Query(), conv.Nonce())), &bridge{conv})
	conv.Close()
	cancel(nil)
	result := alive(ownDelay(outcome(t, conv.Summary(), claim, err), conv.Summary(), <-watched), conv.Summary().Refused, ticket.Before(), time.Now())
	if ticket.First() {
		result = a.introduced(ticket, result)
	}
	result.Plugin = seat.Plugin()
	result.Sandbox = string(a.plugins.Level())
	result.Statements = t.Statements()
	if sealed != nil {
		result.Credential = sealed.Name()
	}
	return result
}

// The pace of breakOff. Both together, and what closing takes, are less than the second of DESIGN 6.7.
const (
	stopLook  = 100 * time.Millisecond
	stopGrace = 400 * time.Millisecond
)

// breakOff ends a conversation within a second of a hold, of the end of the lease, or of the approved time,
// whatever it waits for: the device or the probe. The grace lets a reply that is on its way come, and an
// association be released (DESIGN 6.7, H-035). It returns by how much it came late to one of its looks at most: for that
// long the machine kept the agent from running.
func breakOff(ctx context.Context, cancel context.CancelCauseFunc, ticket *guard.Ticket) (late delay) {
	look := time.NewTicker(stopLook)
	defer look.Stop()
	var why *list.Refusal
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return late.or(last)
		case <-look.C:
			late = late.or(last)
			last = time.Now()
			if why = ticket.Look(last); why == nil {
				continue
			}
		}
		grace := time.NewTimer(stopGrace)
		defer grace.Stop()
		select {
		case <-ctx.Done():
		case <-grace.C:
			cancel(errors.New(strings.TrimSpace(string(why.Reason) + " " + why.Detail)))
		}
		return late
	}
}

// delay is how long the machine once kept the agent from running at most, and until when.
type delay struct {
	long time.Duration
	end  time.Time
}

// or is the longer one of two: that between a look and now, beyond the pace of looks, is the other.
func (d delay) or(last time.Time) delay {
	now := time.Now()
	if long := now.Sub(last) - stopLook; long > d.long {
		return delay{long, now}
	}
	return d
}

// ownDelay says in an outcome what of the time of the slowest answer the agent was late itself, and takes out of it what the machine kept
// it from running, if the answer was there when it ran again: of one that came later, the device had all the time (H-048).
func ownDelay(r evidence.Result, s wire.Summary, d delay) evidence.Result {
	words := ""
	switch {
	case s.Replies == 0:
		return r
	case s.RTTOwn > 0:
		words = fmt.Sprintf("the agent's record took %s meanwhile", s.RTTOwn.Round(time.Millisecond))
	case d.long > wire.OwnDelay && !s.RTTAt.Before(d.end.Add(-d.long)) && !s.RTTAt.After(d.end.Add(wire.OwnDelay)):
		r.TookUS = max(0, r.TookUS-d.long.Microseconds())
		words = fmt.Sprintf("the agent's machine kept it from running for %s meanwhile", d.long.Round(time.Millisecond))
	default:
		return r
	}
	if r.Detail != "" {
		words = r.Detail + "; " + words
	}
	r.Detail = words
	return r
}
