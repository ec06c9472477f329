package dispatch

import (
	"crypto/rand"
	"crypto/x509"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	controlv1 "primum/proto/control/v1"
	"primum/safetylists/evidence"
)

var signers sync.Map // agent to the text of the key that it signs heads with, the same in each of its sessions

func evidenceSigner(t *testing.T, agent string) evidence.Signer {
	t.Helper()
	text, _, err := evidence.NewEvidenceKey(rand.Reader, agent)
	if err != nil {
		t.Fatal(err)
	}
	kept, _ := signers.LoadOrStore(agent, text)
	s, err := evidence.NewSigner(kept.(string))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// told is a session of agent icu that has handed over three records.
func told(t *testing.T, s *Service, cert *x509.Certificate) (*stream, <-chan error, [][]byte, evidence.TreeHead) {
	t.Helper()
	st, ended := live(t, s, cert, 0)
	var raw [][]byte
	var last evidence.Head
	var tree evidence.Tree
	for i, r := range []evidence.Record{{Kind: evidence.Begun, Incarnation: strings.Repeat("ab", 16)}, {Kind: evidence.Session, Epoch: 1}, {Kind: evidence.HoldSeen, Version: 1}} {
		r = last.Next(r)
		r.At = time.Unix(int64(i), 0)
		b, hash, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		last = evidence.Head{Seq: r.Seq, Hash: hash}
		tree.Add(b)
		raw = append(raw, b)
	}
	st.in <- &fromAgent{Kind: &controlv1.AgentMessage_RecordBatch{RecordBatch: &controlv1.RecordBatch{Incarnation: []byte("0123456789abcdef"), FirstSeq: 1, Records: raw}}}
	root, err := tree.Root()
	if err != nil {
		t.Fatal(err)
	}
	return st, ended, raw, evidence.TreeHead{Agent: "icu", Incarnation: "30313233343536373839616263646566", Size: 3, Root: root, At: time.Unix(9, 0)}
}

func say(t *testing.T, st *stream, by evidence.Signer, h evidence.TreeHead) {
	t.Helper()
	note, err := by.Sign(h)
	if err != nil {
		t.Fatal(err)
	}
	st.in <- &fromAgent{Kind: &controlv1.AgentMessage_TreeHead{TreeHead: &controlv1.TreeHead{Note: note}}}
}

func denied(t *testing.T, ended <-chan error) {
	t.Helper()
	select {
	case err := <-ended:
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("the session ended with %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the session goes on")
	}
}

// H-029: the controller's records are the agent's records, all of them, or a person hears of it.
func TestAHeadThatDoesNotFitEndsTheSessionAndOpensNoOther(t *testing.T) {
	for name, bend := range map[string]func(*evidence.TreeHead) (agent string){
		"another root":    func(h *evidence.TreeHead) string { h.Root[7] ^= 1; return "icu" },
		"fewer records":   func(h *evidence.TreeHead) string { h.Size = 2; return "icu" },
		"more records":    func(h *evidence.TreeHead) string { h.Size = 4; return "icu" },
		"another journal": func(h *evidence.TreeHead) string { h.Incarnation = strings.Repeat("cd", 16); return "icu" },
		"another key":     func(h *evidence.TreeHead) string { return "ward" },
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := service(t)
			cert := enrolled(t, s, "icu")
			st, ended, _, h := told(t, s, cert)
			say(t, st, evidenceSigner(t, bend(&h)), h)
			denied(t, ended)
			_, again := connect(t, s, cert, &controlv1.Hello{Incarnation: []byte("0123456789abcdef"), JournalLsn: 3, LastEpoch: 1})
			denied(t, again)
			live(t, s, enrolled(t, s, "icu"), 5) // a person has looked
		})
	}
}

func TestAHeadThatFitsIsKeptAndMayComeAgain(t *testing.T) {
	s, _ := service(t)
	st, ended, _, h := told(t, s, enrolled(t, s, "icu"))
	for range 2 {
		say(t, st, evidenceSigner(t, "icu"), h)
	}
	deadline := time.Now().Add(5 * time.Second)
	for {
		kept, err := s.Store.NewestHead(t.Context(), "icu", []byte("0123456789abcdef"))
		if err == nil && kept.Size == 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v %v", kept, err)
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestAnAgentKeepsItsEvidenceKeyForAsLongAsItsEnrolment(t *testing.T) {
	s, _ := service(t)
	cert := enrolled(t, s, "icu")
	live(t, s, cert, 0)
	_, verifier, err := evidence.NewEvidenceKey(rand.Reader, "icu")
	if err != nil {
		t.Fatal(err)
	}
	hello := func() *controlv1.Hello {
		return &controlv1.Hello{Incarnation: []byte("0123456789abcdef"), JournalLsn: 3, LastEpoch: 1, EvidenceKey: verifier}
	}
	_, ended := connect(t, s, cert, hello())
	denied(t, ended)
	st, _ := connect(t, s, enrolled(t, s, "icu"), hello())
	select {
	case <-st.out:
	case <-time.After(5 * time.Second):
		t.Error("no session after the agent was enrolled anew")
	}
}
