package guard_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"primum/agent/internal/guard"
	"primum/agent/internal/papertest"
	"primum/agent/internal/task"
	list "primum/safetylists"
	"primum/safetylists/evidence"
	"primum/safetylists/permit"
	"primum/safetylists/release"
)

// G8, G9, H-013, H-018, H-020, H-035: whatever happens in whatever order, the devices see no permit twice, no question
// twice in its rest, no two conversations at a time, no gap that is too short by their own clock, nothing without a
// lease, under a hold, or after a distress that nobody cleared.
//
// Each schedule has its own seed: papers that come twice and late, a disk that fails before or after it has
// written, crashes between any two steps, restarts of the process and of the machine, wall clocks that are set,
// leases that lapse, holds, trims of the journal. PRIMUM_SCHEDULES says how many; "make sim" tries a million.
func TestNoScheduleHarmsADevice(t *testing.T) {
	n := 20_000
	if s := os.Getenv("PRIMUM_SCHEDULES"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	first := uint64(1)
	if s := os.Getenv("PRIMUM_SEED"); s != "" {
		var err error
		if first, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	papers, tasks := simPapers(t)
	seen := map[string]int{}
	for seed := first; seed < first+uint64(n); seed++ {
		s := newSim(papers, tasks, seed)
		if breach := s.run(); breach != "" {
			t.Fatalf("seed %d: %s\n%s", seed, breach, s.story())
		}
		for k, v := range s.seen {
			seen[k] += v
		}
	}
	t.Logf("%d schedules: %v", n, seen)
	for _, k := range []string{"sent", "crash", "machine", "disk before", "disk after", "clock", "held", "distress", "cleared", "refused", "again", "cut before the first octet", "cut after it", "stopped in between", "trimmed"} {
		if seen[k] == 0 {
			t.Errorf("no schedule had %q: it shows nothing of that", k)
		}
	}
}

const simDevices = 3

// simPapers are two questions to each of three devices, and two permits for each of those, as two sessions give.
func simPapers(t *testing.T) (*papertest.Papers, []task.Task) {
	t.Helper()
	extra := `- id: test-second
  type: allow
  purpose: identify
  product: {manufacturers: [Testmaker], models: [Testmodel], versions: {compare: listed, is: ["1.0"]}}
  question: {kind: snmp.get, port: "10170", oids: [1.3.6.1.2.1.1.5.0]}
  expires: ` + time.Now().AddDate(1, 0, 0).Format(time.DateOnly) + `
  evidence: [{kind: laboratory, title: made for a test, publisher: test, date: 2026-11-24, says: nothing, seen: full, provenance: made for a test}]
`
	p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:10170"), Extra: extra})
	base := p.Plan.Items[0]
	second, err := list.ParseQuery(list.QuerySpec{Kind: list.SNMPGet, Port: 10170, OIDs: []string{"1.3.6.1.2.1.1.5.0"}})
	if err != nil {
		t.Fatal(err)
	}
	p.Plan.Items = nil
	for i := range simDevices {
		it := base
		it.Device.ID, it.Device.MAC = fmt.Sprintf("10-%d", i), fmt.Sprintf("02:00:00:00:00:%02d", i)
		it.Device.Address = netip.AddrFrom4([4]byte{127, 0, 0, byte(i + 1)})
		other := it
		other.Query, other.Statements = second, []string{"test-second"}
		p.Plan.Items = append(p.Plan.Items, it, other)
	}
	p.Approve(t)
	var tasks []task.Task
	for i, it := range p.Plan.Items {
		for range 2 {
			raw := p.Permit(t, func(x *permit.Permit) {
				x.Item, x.Device, x.Address = uint32(i), it.Device.ID, netip.AddrPortFrom(it.Device.Address, it.Query.Port())
				x.From, x.Until = p.Now.Add(-time.Minute), p.Now.Add(9*time.Minute)
			})
			tk, no := task.Verify(raw, task.Self{Name: papertest.Agent, Epoch: 1, PermitKey: p.PermitKey}, func(permit.Digest) (task.Approved, bool) {
				return task.Approved{Plan: p.Plan, Digest: p.Digest}, true
			})
			if no != nil {
				t.Fatal(no)
			}
			tasks = append(tasks, tk)
		}
	}
	return p, tasks
}

// talk is one conversation that the agent holds.
type talk struct {
	ticket *guard.Ticket
	device string
	sent   bool
}

// sim is one schedule: an agent's guard, its disk, its clocks, and the devices that judge.
type sim struct {
	papers *papertest.Papers
	tasks  []task.Task
	rnd    *rand.Rand
	guard  *guard.Guard
	disk   []evidence.Record
	front  []byte // checkpoint in place of the records that were trimmed
	sound  bool   // the disk never fails
	broken bool   // the disk has failed: the journal takes nothing more in this life
	steps  []string
	seen   map[string]int

	now     time.Duration // true time since the beginning
	boot    time.Duration // the machine's clock that nobody sets
	wallOff time.Duration // by how much the wall clock is wrong
	leased  time.Duration // end of the lease, on the boot clock
	version uint64
	held    bool
	talks   []*talk

	permits map[string]bool          // that a device has seen
	asked   map[string]bool          // device and question
	last    map[string]time.Duration // device to the last octet that it saw, in true time
	ill     map[string]string        // device to the permit of its distress
	breach  string
}

func newSim(p *papertest.Papers, tasks []task.Task, seed uint64) *sim {
	s := &sim{papers: p, tasks: tasks, rnd: rand.New(rand.NewPCG(seed, 0)), boot: time.Hour, seen: map[string]int{}, permits: map[string]bool{}, asked: map[string]bool{},
		last: map[string]time.Duration{}, ill: map[string]string{}}
	s.start()
	return s
}

func (s *sim) wall() time.Time { return s.papers.Now.Add(s.now + s.wallOff) }

func (s *sim) say(format string, args ...any) {
	s.steps = append(s.steps, fmt.Sprintf("%8s ", s.now.Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

func (s *sim) story() (text string) {
	for _, x := range s.steps {
		text += x + "\n"
	}
	return text
}

var errDisk = errors.New("the disk failed")

// append is the journal: on disk when it returns without an error, and perhaps on disk when it does not.
func (s *sim) append(records ...evidence.Record) (uint64, error) {
	if s.broken {
		return 0, errDisk
	}
	fate := 2
	if !s.sound {
		fate = s.rnd.IntN(40)
	}
	switch fate {
	case 0:
		s.broken = true
		s.seen["disk before"]++
		s.say("the disk fails before it writes")
		return 0, errDisk
	case 1:
		s.broken = true
		s.disk = append(s.disk, records...)
		s.seen["disk after"]++
		s.say("the disk fails after it has written")
		return 0, errDisk
	}
	s.disk = append(s.disk, records...)
	return uint64(len(s.disk)), nil
}

// start begins a life of the agent, as openJournal does.
func (s *sim) start() {
	s.broken, s.talks, s.leased = false, nil, 0
	s.guard = guard.New(guard.Config{Policy: list.Lab, Boot: func() time.Duration { return s.boot }, Append: s.append,
		Release: func() *release.Release { return s.papers.Release }, Prove: func(list.Device, time.Time) *list.Refusal { return nil }})
	s.replay(s.guard, len(s.disk))
	if s.rnd.IntN(4) == 0 {
		s.guard.ClosePast() // the controller did not know the journal: it was put aside
		s.say("with a new journal")
		return
	}
	for _, r := range s.guard.Open() {
		s.record(evidence.Record{At: s.wall(), Kind: evidence.Outcome, Permit: r.Permit, Device: r.Device, Result: &evidence.Result{State: evidence.Unknown}})
	}
}

// replay tells a guard what stands on the disk, up to a record.
func (s *sim) replay(g *guard.Guard, upTo int) {
	if s.front != nil {
		if err := g.Restore(s.front); err != nil {
			s.breach = err.Error()
		}
	}
	for _, r := range s.disk[:upTo] {
		g.Replay(r)
	}
}

// trim puts a checkpoint in the place of some records.
func (s *sim) trim() {
	n := s.rnd.IntN(len(s.disk) + 1)
	g := guard.New(guard.Config{Boot: func() time.Duration { return s.boot }})
	s.replay(g, n)
	front, err := g.Checkpoint()
	if err != nil {
		s.breach = err.Error()
		return
	}
	s.front, s.disk = front, slices.Clone(s.disk[n:])
	s.seen["trimmed"]++
	s.say("%d records are trimmed, %d stay", n, len(s.disk))
}

func (s *sim) record(r evidence.Record) bool {
	if _, err := s.append(r); err != nil {
		return false
	}
	s.guard.Note(r)
	return true
}

func (s *sim) crash() {
	for _, k := range s.talks {
		if k.sent {
			s.seen["cut after it"]++
		} else {
			s.seen["cut before the first octet"]++
		}
	}
	s.seen["crash"]++
	s.pass(time.Duration(s.rnd.IntN(3000)) * time.Millisecond)
	if s.rnd.IntN(4) == 0 {
		s.seen["machine"]++
		s.boot = time.Duration(s.rnd.IntN(100)) * time.Second
		s.say("the machine starts anew")
	}
	if s.rnd.IntN(6) == 0 {
		s.trim() // at some time before: it shows in the next life
	}
	s.say("the agent starts anew, %d talks cut", len(s.talks))
	s.start()
}

func (s *sim) pass(d time.Duration) { s.now, s.boot = s.now+d, s.boot+d }

func (s *sim) run() string {
	for range 60 {
		if s.now > 8*time.Minute {
			break
		}
		switch n := s.rnd.IntN(100); {
		case n < 30:
			s.deliver()
		case n < 55:
			s.goOn()
		case n < 70:
			s.pass(time.Duration(s.rnd.IntN(7000)) * time.Millisecond)
		case n < 84:
			s.lease()
		case n < 89:
			s.hold()
		case n < 93:
			s.setClock()
		case n < 96:
			s.clear()
		default:
			s.crash()
		}
		if s.broken && s.rnd.IntN(3) == 0 {
			s.crash()
		}
		if s.breach != "" {
			break
		}
	}
	return s.breach
}

func (s *sim) lease() {
	s.leased = s.boot + 15*time.Second
	s.guard.SetHolds(s.version, s.holds())
	s.guard.SetLease(guard.Lease{Wall: s.wall(), Boot: s.boot, Until: s.leased, HoldVersion: s.version, DurableLSN: 1 << 60, Skew: -s.wallOff})
}

func (s *sim) holds() []guard.Hold {
	if s.held {
		return []guard.Hold{{Kind: guard.HoldAll, Reason: "made for a test"}}
	}
	return nil
}

func (s *sim) hold() {
	s.version++
	s.held = !s.held
	if s.held {
		s.seen["held"]++
	}
	s.say("held: %v", s.held)
	s.guard.SetHolds(s.version, s.holds())
}

func (s *sim) setClock() {
	by := time.Duration(s.rnd.IntN(8000)-4000) * time.Millisecond
	if s.rnd.IntN(3) == 0 {
		by *= 1000
	}
	if s.wallOff += by; s.rnd.IntN(2) == 0 {
		s.wallOff = 0
	}
	s.seen["clock"]++
	s.say("the wall clock is wrong by %s", s.wallOff)
}

func (s *sim) clear() {
	for device, p := range s.ill {
		ok := s.record(evidence.Record{At: s.wall(), Kind: evidence.Cleared, Device: device, Permit: p})
		var last evidence.Record
		if len(s.disk) > 0 {
			last = s.disk[len(s.disk)-1]
		}
		if ok || last.Kind == evidence.Cleared && last.Permit == p { // what is on disk is a person's word
			delete(s.ill, device)
			s.seen["cleared"]++
			s.say("%s is cleared", device)
		}
		return
	}
}

func (s *sim) deliver() {
	t := s.tasks[s.rnd.IntN(len(s.tasks))]
	v := s.guard.Admit(t, 0, s.wall())
	switch {
	case v.Ticket != nil:
		s.say("%s: %s admitted", t.Device().ID, t.ID())
		s.talks = append(s.talks, &talk{ticket: v.Ticket, device: t.Device().ID})
	case v.Refusal != nil:
		s.seen["refused"]++
	default:
		s.seen["again"]++
	}
}

// goOn takes one step of one conversation: its message, or its end.
func (s *sim) goOn() {
	if len(s.talks) == 0 {
		return
	}
	i := s.rnd.IntN(len(s.talks))
	k := s.talks[i]
	id := k.ticket.Task().ID().String()
	if !k.sent {
		if no := k.ticket.Leave(s.wall()); no != nil {
			s.seen["stopped in between"]++
			s.end(i, evidence.Stopped)
			return
		}
		s.judge(k, id)
		k.sent = true
		s.pass(time.Duration(s.rnd.IntN(300)) * time.Millisecond)
		s.last[k.device] = s.now
		s.record(evidence.Record{At: s.wall(), Kind: evidence.Sent, Permit: id, Device: k.device})
		return
	}
	s.end(i, []evidence.State{evidence.Answered, evidence.Answered, evidence.Absent, evidence.Distress}[s.rnd.IntN(4)])
}

func (s *sim) end(i int, state evidence.State) {
	k := s.talks[i]
	id := k.ticket.Task().ID().String()
	ok := s.record(evidence.Record{At: s.wall(), Kind: evidence.Outcome, Permit: id, Device: k.device, Result: &evidence.Result{State: state}})
	s.say("%s: ended %s, recorded %v", k.device, state, ok)
	if ok && state == evidence.Distress {
		s.ill[k.device] = id
		s.seen["distress"]++
	}
	k.ticket.Done()
	s.talks = slices.Delete(s.talks, i, i+1)
}

// judge is the device: it sees a message, and knows what it has seen.
func (s *sim) judge(k *talk, id string) {
	s.say("%s: message of %s", k.device, id)
	s.seen["sent"]++
	question := k.device + " " + k.ticket.Task().Query().String()
	last, before := s.last[k.device]
	under := 0
	for _, x := range s.talks {
		if x.device == k.device {
			under++
		}
	}
	_, ill := s.ill[k.device]
	switch {
	case s.permits[id]:
		s.breach = k.device + " saw permit " + id + " twice"
	case s.asked[question]:
		s.breach = question + " came twice within its rest"
	case under > 1:
		s.breach = k.device + " has two conversations"
	case before && s.now-last < k.ticket.Limits().Gap:
		s.breach = fmt.Sprintf("%s had %s of its gap", k.device, s.now-last)
	case s.boot >= s.leased:
		s.breach = k.device + " saw a message without a lease"
	case s.held:
		s.breach = k.device + " saw a message under a hold"
	case ill:
		s.breach = k.device + " saw a message after its distress"
	}
	s.permits[id], s.asked[question] = true, true
}
