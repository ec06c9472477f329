package dispatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"primum/controller/internal/distress"
	"primum/controller/internal/enroll"
	"primum/controller/internal/hold"
	"primum/controller/internal/ingest"
	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
	"primum/safetylists/permit"
)

type place struct {
	order   string
	ordinal uint32
}

// session is one stream. One goroutine serves it.
type session struct {
	*Service
	stream wire
	agent  string
	caller enroll.Caller
	epoch  uint64
	intake *ingest.Intake

	started map[place]bool // what the journal holds as begun
	told    uint64         // newest record that the agent had when it took up the session: that of the session itself
	resumed bool

	holdVersion              uint64 // sent
	holdAcked                uint64
	holds                    []hold.Hold
	list                     permit.Digest // that the agent uses
	listSent                 permit.Digest
	timestamp, timestampSent uint64                 // of the release that the agent uses, and of the one sent
	bundle                   permit.Digest          // of the paper that carries listSent
	stopLost                 bool                   // the site has stopped the agent, and its journal knows nothing of it
	untaken                  string                 // why the agent does not take it; empty: it does, or has not said
	plans                    map[string]*loaded     // by name
	papers                   map[permit.Digest]bool // plans sent; true once the agent has taken it
	refused                  map[permit.Digest][2]string
	secrets                  map[string]uint64
	cancelled                map[string]bool
	cleared                  map[permit.Digest]bool // clearances sent
}

// mostCounted is more than any agent counts to. What one claims to have seen becomes the controller's own number,
// for holds that of every agent, and there has to be a next one, which is believed of who has seen it (H-035).
const mostCounted = 1 << 48

// sandbox is the level that the agent told, in the words of admin/v1.
func sandbox(s controlv1.Hello_Sandbox) string {
	return map[controlv1.Hello_Sandbox]string{controlv1.Hello_SANDBOX_NONE: "NONE", controlv1.Hello_SANDBOX_FALLBACK: "FALLBACK", controlv1.Hello_SANDBOX_FULL: "FULL"}[s]
}

// clipped is at most as much of a reason as a person may give.
func clipped(s string) string {
	s = strings.ToValidUTF8(s, "?")
	return s[:min(len(s), 1024)]
}

// open judges the journal of an agent and begins the session.
func (s *Service) open(ctx context.Context, stream wire, caller enroll.Caller, h *controlv1.Hello) (*session, bool, error) {
	name := caller.Agent
	own, err := s.Store.HoldVersion(ctx)
	if err != nil {
		return nil, false, err
	}
	if h.GetHoldVersion() > max(mostCounted, own) || h.GetLastEpoch() > mostCounted || h.GetJournalLsn() > mostCounted || h.GetJournalFirst() > mostCounted {
		return nil, false, status.Error(codes.InvalidArgument, "the greeting names a number that no journal comes to")
	}
	if len(h.GetIncarnation()) != 16 {
		return nil, false, status.Error(codes.InvalidArgument, "the identity of the journal is not 16 octets")
	}
	now := s.Now()
	key, err := s.evidenceKey(ctx, name, h.GetEvidenceKey())
	if err != nil {
		return nil, false, err
	}
	o := store.Opening{Agent: name, Incarnation: h.GetIncarnation(), LastEpoch: h.GetLastEpoch(), JournalLSN: h.GetJournalLsn(), First: h.GetJournalFirst(),
		Version: h.GetAgentVersion(), ListDigest: h.GetListDigest(), At: now, Plugins: []string{}, Sandbox: sandbox(h.GetSandbox())}
	if at := h.GetStoppedAtSite(); at != nil {
		o.SiteStop = store.SiteStop{At: at.AsTime().Truncate(time.Microsecond), Why: clipped(h.GetStoppedWhy())}
	}
	for _, p := range h.GetPlugins() {
		o.Plugins = append(o.Plugins, fmt.Sprintf("%s %s %x", p.GetName(), p.GetVersion(), p.GetSha256()))
	}
	o.Judge = func(a store.Agent, retired bool, tasks []store.Dispatched) (bool, []store.Fate, string) {
		return judge(a, retired, h, tasks)
	}
	opened, err := s.Store.OpenSession(ctx, o)
	s.setLost(name, errors.Is(err, store.ErrLost))
	if errors.Is(err, store.ErrLost) {
		why := strings.TrimPrefix(err.Error(), "open session: ")
		s.Log.Error("records of an agent are lost, as after a restore from an old backup; it gets no session", "agent", name, "why", why)
		return nil, false, status.Error(codes.FailedPrecondition, why+". Restore a newer backup of the controller, or have the agent begin a new journal: primum-agent begin-journal")
	}
	if err != nil {
		return nil, false, err
	}
	if opened.Another {
		s.pace.forgets(name)
	}
	if err := s.twice(ctx, name, now); err != nil {
		return nil, false, err
	}
	a := opened.Agent
	ses := &session{Service: s, stream: stream, agent: name, caller: caller, epoch: a.Epoch, told: h.GetJournalLsn(), started: map[place]bool{},
		plans: map[string]*loaded{}, papers: map[permit.Digest]bool{}, refused: map[permit.Digest][2]string{}, secrets: map[string]uint64{}, cancelled: map[string]bool{},
		cleared: map[permit.Digest]bool{}, stopLost: a.StopLost()}
	copy(ses.list[:], h.GetListDigest())
	ses.timestamp = h.GetListTimestamp()
	for _, t := range h.GetOpen() {
		if t.GetState() != controlv1.TaskState_STATE_RECEIVED {
			ses.started[place{t.GetOrder(), t.GetOrdinal()}] = true
		}
	}
	gave, err := s.Store.GaveHoldVersion(ctx, h.GetHoldVersion())
	if err != nil {
		return nil, false, err
	}
	if !gave && !opened.Reset {
		if opened.HoldVersion, err = s.holdEverything(ctx, name, h.GetHoldVersion()); err != nil {
			return nil, false, err
		}
	}
	w := &controlv1.Welcome{SessionEpoch: a.Epoch, RecordHwm: a.RecordHWM, HoldVersion: opened.HoldVersion, ServerTime: timestamppb.New(now), Reset_: opened.Reset}
	if r, _, no := s.Safety.Current(now); no == nil {
		w.ListDigest = r.Digest[:]
	}
	if opened.Reset {
		s.Log.Warn("the agent's journal is not the one that is known; it is put aside", "agent", name)
	} else if ses.intake, err = ingest.New(ctx, s.Store, a, key); err != nil {
		return nil, false, err
	}
	return ses, opened.Reset, stream.Send(&toAgent{Kind: &controlv1.ControllerMessage_Welcome{Welcome: w}})
}

// judge says whether a journal is one to go on with, and what becomes of open tasks. While the journal
// is the known one, tasks wait until it has told all it knows.
func judge(a store.Agent, retired bool, h *controlv1.Hello, tasks []store.Dispatched) (reset bool, fates []store.Fate, why string) {
	known := bytes.Equal(a.Incarnation, h.GetIncarnation())
	rolledBack := known && (h.GetJournalLsn() < max(a.JournalLSN, a.RecordHWM) || h.GetLastEpoch() < a.Confirmed)
	reset = retired || rolledBack
	if known && !reset {
		return false, make([]store.Fate, len(tasks)), ""
	}
	why = "the agent's journal was lost; the device may have been asked"
	if reset {
		why = "the agent's journal was older than what the controller knows; the device may have been asked"
	}
	fates = make([]store.Fate, len(tasks))
	for i := range fates {
		fates[i] = store.Lost
	}
	return reset, fates, why
}

// holdEverything answers an agent that has seen a hold which the controller does not know of, as after a
// restore from a backup. Which hold was lost nobody knows, so that everything is held until a person
// has looked (H-035).
func (s *Service) holdEverything(ctx context.Context, agent string, seen uint64) (uint64, error) {
	now := s.Now()
	s.Log.Error("an agent has seen a hold that this controller does not know; everything is held", "agent", agent, "seen", seen)
	h := store.Hold{Scope: string(hold.All), PlacedBy: "controller", PlacedAt: now,
		Reason: "The controller knows less of holds than agent " + agent + ", as after a restore. Look at every hold that may be missing, then lift this one."}
	h, err := s.Store.HoldAbove(ctx, seen, h, store.Audit{At: now, Actor: "controller", Verb: "place hold", Detail: h.Reason})
	s.Bell.Ring()
	return h.Version, err
}

func (ses *session) serve(ctx context.Context, in <-chan *fromAgent) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	quiet := time.NewTimer(silence)
	defer quiet.Stop()
	if err := ses.weigh(ctx); err != nil { // what a controller that ended in between left
		return err
	}
	if err := ses.resume(ctx); err != nil {
		return err
	}
	for {
		rung := ses.Bell.Next()
		if err := enroll.StillEnrolled(ctx, ses.Store, ses.caller, ses.Now()); err != nil {
			return err
		}
		if err := ses.push(ctx); err != nil {
			return err
		}
		select {
		case m, ok := <-in:
			if !ok {
				return context.Canceled
			}
			quiet.Reset(silence)
			if err := ses.hear(ctx, m); err != nil {
				return err
			}
		case <-rung:
		case <-tick.C:
		case <-quiet.C:
			return status.Errorf(codes.DeadlineExceeded, "the agent was silent for %s", silence)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// weigh looks whether what is known of distress holds a model.
func (ses *session) weigh(ctx context.Context) error {
	w := distress.Watch{Store: ses.Store, Bell: ses.Bell, Now: ses.Now, Log: ses.Log}
	return w.Look(ctx)
}

// resume settles what earlier sessions left, once the journal has told all that it knew at Hello, and that it took up the session: where that
// record does not follow the last one that is stored, the journal is another than it was, however long it is.
func (ses *session) resume(ctx context.Context) error {
	if ses.resumed || ses.intake.Mark() < ses.told {
		return nil
	}
	if ses.intake.Other() {
		ses.pace.forgets(ses.agent)
	}
	again, err := ses.Store.Resume(ctx, ses.agent, ses.epoch, func(order string, ordinal uint32) bool { return ses.started[place{order, ordinal}] }, ses.intake.Other(), ses.Now())
	if err != nil {
		return err
	}
	ses.resumed = true
	if again > 0 {
		ses.Log.Info("questions that the agent never began are sent anew", "agent", ses.agent, "questions", again)
		ses.Bell.Ring()
	}
	return nil
}

// hear takes one message of the agent. What it does not know it passes over.
func (ses *session) hear(ctx context.Context, m *fromAgent) error {
	now := ses.Now()
	switch k := m.GetKind().(type) {
	case *controlv1.AgentMessage_Beat:
		durable, version, err := ses.Store.Beat(ctx, ses.agent, ses.epoch, k.Beat.GetJournalLsn(), now)
		if err != nil {
			return err // no lease without the database (CONTROL-PLANE 4.6)
		}
		l := &controlv1.Lease{Number: k.Beat.GetNumber(), TtlMs: uint32(ses.Lease.Milliseconds()), HoldVersion: version, DurableLsn: durable, ServerTime: timestamppb.New(now)}
		return ses.stream.Send(&toAgent{Kind: &controlv1.ControllerMessage_Lease{Lease: l}})
	case *controlv1.AgentMessage_RecordBatch:
		if err := ses.intake.Take(ctx, k.RecordBatch, now); err != nil {
			return err
		}
		// before any more work goes out: a second case of a model is the last (G10)
		if err := ses.weigh(ctx); err != nil {
			return err
		}
		ses.Bell.Ring()
		if err := ses.stream.Send(&toAgent{Kind: &controlv1.ControllerMessage_RecordAck{RecordAck: &controlv1.RecordAck{Hwm: ses.intake.Mark()}}}); err != nil {
			return err
		}
		return ses.resume(ctx)
	case *controlv1.AgentMessage_TreeHead:
		return ses.head(ctx, k.TreeHead.GetNote(), now)
	case *controlv1.AgentMessage_OrderReceipt:
		return ses.Store.Receipt(ctx, ses.agent, ses.epoch, k.OrderReceipt.GetOrder(), k.OrderReceipt.GetJournalLsn())
	case *controlv1.AgentMessage_HoldAck:
		if v := k.HoldAck.GetVersion(); v == ses.holdVersion {
			ses.holdAcked = v
			ses.Bell.Ring()
			return ses.Store.SetHoldAcked(ctx, ses.agent, ses.epoch, v)
		}
	case *controlv1.AgentMessage_PaperAck:
		return ses.paperAck(ctx, k.PaperAck)
	case *controlv1.AgentMessage_ClearanceAck:
		ack := k.ClearanceAck
		problem := ""
		if ack.GetRefused() != "" {
			problem = ack.GetRefused() + " " + ack.GetDetail()
			ses.Log.Error("the agent refuses a clearance", "agent", ses.agent, "why", problem)
		}
		defer ses.Bell.Ring()
		return ses.Store.AckClearance(ctx, ses.agent, ack.GetDigest(), problem, now)
	case *controlv1.AgentMessage_SecretAck:
		ack := k.SecretAck
		if ack.GetError() != "" {
			ses.Log.Error("the agent cannot open a secret", "agent", ses.agent, "device", ack.GetDevice(), "why", ack.GetError())
		}
		return ses.Store.AckSecret(ctx, store.Secret{Agent: ses.agent, Device: ack.GetDevice(), Kind: kindOf(ack.GetKind()), Version: ack.GetVersion()}, ack.GetError())
	}
	return nil
}

func (ses *session) paperAck(ctx context.Context, ack *controlv1.PaperAck) error {
	var d permit.Digest
	if copy(d[:], ack.GetDigest()) != len(d) {
		return status.Error(codes.InvalidArgument, "the agent acknowledges a document without its digest")
	}
	if ack.GetRefused() != "" {
		ses.Log.Error("the agent refuses a document", "agent", ses.agent, "digest", d, "reason", ack.GetRefused(), "detail", ack.GetDetail())
	}
	switch {
	case d == ses.bundle && ack.GetRefused() == "":
		ses.list, ses.timestamp, ses.untaken = ses.listSent, ses.timestampSent, ""
		return ses.Store.SetListAcked(ctx, ses.agent, ses.epoch, ses.list[:], "")
	case d == ses.bundle:
		ses.untaken = strings.TrimSpace(ack.GetRefused() + " " + ack.GetDetail())
		ses.Bell.Ring()
		return ses.Store.SetListAcked(ctx, ses.agent, ses.epoch, nil, ack.GetRefused()+" "+ack.GetDetail())
	case ack.GetRefused() != "":
		ses.refused[d] = [2]string{ack.GetRefused(), ack.GetDetail()}
	default:
		ses.papers[d] = true
	}
	return nil
}
