package dispatch

import (
	"strings"
	"testing"

	"primum/controller/internal/approve"
	controlv1 "primum/proto/control/v1"
	list "primum/safetylists"
	"primum/safetylists/permit"
)

// A question whose agent does not take the safety list waits, and says for what; when its approved time is over, that is what is said.
func TestAQuestionThatWaitsForTheListOfItsAgentSaysSo(t *testing.T) {
	s, r := service(t)
	enrolled(t, s, "icu")
	p := devices(t, s, 1)
	p.List = r.Digest
	doc, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	_, digest, err := permit.DecodePlan(doc)
	if err != nil {
		t.Fatal(err)
	}
	l := &loaded{document: doc, digest: digest, plan: p, said: map[string]string{}, leave: approve.Leave{Plan: []permit.Signature{{By: "a", Sig: permit.Sign(permit.DomainPlan, key(9), doc)}}}}
	ses := &session{Service: s, agent: "icu", plans: map[string]*loaded{"1": l}, refused: map[permit.Digest][2]string{}, papers: map[permit.Digest]bool{}, bundle: permit.Digest{7}}
	run, err := s.Store.Run(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	waits := func(reason, words string) {
		t.Helper()
		tasks, err := s.Store.Tasks(t.Context(), "r", -1, 0)
		if err != nil {
			t.Fatal(err)
		}
		if sent, err := ses.order(t.Context(), run, tasks); sent || err != nil {
			t.Fatal(sent, err)
		}
		if tasks, err = s.Store.Tasks(t.Context(), "r", -1, 0); err != nil || tasks[0].State != "QUEUED" || tasks[0].Reason != reason || !strings.Contains(tasks[0].Detail, words) {
			t.Errorf("%+v %v", tasks[0], err)
		}
	}
	waits("", "")
	no := &controlv1.PaperAck{Digest: ses.bundle[:], Refused: string(list.ListUntrusted), Detail: "it is for lab policy, this agent is under real policy"}
	if err := ses.paperAck(t.Context(), no); err != nil {
		t.Fatal(err)
	}
	waits(string(list.ListOther), "agents/icu does not take the safety list: LIST_UNTRUSTED it is for lab policy, this agent is under real policy")
}
