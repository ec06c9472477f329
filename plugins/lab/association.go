package lab

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// stage is how far an association has come.
type stage int

const (
	stageConnected stage = iota // nothing said yet
	stageRequested              // the device owes an answer to the request
	stageAccepted               // associated, nothing asked yet
	stageDeclined               // associated, but the context was not accepted
	stageAsked                  // the device owes an answer to the echo
	stageAnswered               // the echo is answered
	stageReleasing              // the device owes the release response
	stageOver                   // released, rejected or aborted
)

// association is the DICOM language of one connection (D1 to D7).
type association struct {
	cfg   *DICOMConfig
	does  Behaviour
	stage stage
	next  stage // reached when the reply has left
	lost  bool  // no message boundary can be found any more
}

var _ language = (*association)(nil)

func (a *association) take(buf []byte) (int, *breach) {
	if a.lost {
		return 0, &breach{CodeDICOMPDU, fmt.Sprintf("%d octets more", len(buf))}
	}
	if len(buf) < 6 {
		return 0, nil
	}
	length := binary.BigEndian.Uint32(buf[2:6])
	if length > maxPDU {
		a.lost = true
		return 0, &breach{CodeDICOMPDU, fmt.Sprintf("type %02XH, length %d", buf[0], length)}
	}
	if len(buf) < 6+int(length) {
		return 0, nil
	}
	return 6 + int(length), nil
}

func (a *association) judge(p []byte) verdict {
	if a.stage == stageOver || a.stage == stageReleasing {
		return verdict{wrong: &breach{CodeDICOMAfterRelease, fmt.Sprintf("PDU type %02XH", p[0])}}
	}
	switch p[0] {
	case pduAssociateRQ:
		return a.request(p)
	case pduData:
		return a.ask(p)
	case pduReleaseRQ:
		return a.release(p)
	case pduAbort:
		return a.abort(p)
	}
	return verdict{wrong: &breach{CodeDICOMPDU, fmt.Sprintf("PDU type %02XH", p[0])}}
}

func (a *association) request(p []byte) verdict {
	if a.stage != stageConnected {
		return verdict{wrong: &breach{CodeDICOMOrder, "a second A-ASSOCIATE-RQ"}}
	}
	if b := readAssociate(p, a.cfg.CalledAE, a.cfg.CallingAE); b != nil {
		// A real device answers a wrong request with a rejection.
		a.stage = stageOver
		return verdict{wrong: b, final: true}
	}
	a.stage, a.next = stageRequested, stageAccepted
	if r := a.does.Reject; r != nil {
		a.next = stageOver
		return verdict{reply: pdu(pduAssociateRJ, []byte{0, r.Result, r.Source, r.Reason})}
	}
	if a.does.ContextResult != 0 {
		a.next = stageDeclined
	}
	return verdict{reply: a.swell(associateAccept(a.cfg, a.does.ContextResult))}
}

func (a *association) ask(p []byte) verdict {
	if a.stage != stageAccepted {
		return verdict{wrong: &breach{CodeDICOMOrder, "P-DATA without an accepted association, or a second one"}}
	}
	if want := echoRequest(); !bytes.Equal(p, want) {
		return verdict{wrong: &breach{CodeDICOMEcho, differs(p, want)}}
	}
	a.stage, a.next = stageAsked, stageAnswered
	if a.does.AbortAfterEcho {
		a.next = stageOver
		return verdict{reply: pdu(pduAbort, []byte{0, 0, 2, 0}), final: true}
	}
	return verdict{reply: a.swell(echoResponse(a.does.EchoStatus))}
}

func (a *association) release(p []byte) verdict {
	switch {
	case a.stage < stageAccepted:
		return verdict{wrong: &breach{CodeDICOMOrder, "A-RELEASE-RQ without an association"}}
	case !bytes.Equal(p, pdu(pduReleaseRQ, make([]byte, 4))):
		return verdict{wrong: &breach{CodeDICOMRelease, "A-RELEASE-RQ is not well formed"}}
	}
	early := a.stage == stageAccepted || a.stage == stageAsked
	a.stage, a.next = stageReleasing, stageOver
	return verdict{reply: pdu(pduReleaseRP, make([]byte, 4)), closing: true, early: early}
}

func (a *association) abort(p []byte) verdict {
	switch {
	case a.stage == stageConnected:
		return verdict{wrong: &breach{CodeDICOMOrder, "A-ABORT before anything"}}
	case !bytes.Equal(p, pdu(pduAbort, make([]byte, 4))):
		return verdict{wrong: &breach{CodeDICOMRelease, "A-ABORT is not well formed"}}
	}
	a.stage = stageOver
	return verdict{closing: true, final: true}
}

// swell makes an answer that is longer than any prober should read (D8).
func (a *association) swell(p []byte) []byte {
	if !a.does.Oversize {
		return p
	}
	return pdu(p[0], append(p[6:], make([]byte, 20<<10)...))
}

func (a *association) sent() {
	if a.stage == stageRequested || a.stage == stageAsked || a.stage == stageReleasing {
		a.stage = a.next
	}
}

func (a *association) owes() bool {
	return a.stage == stageRequested || a.stage == stageAsked || a.stage == stageReleasing
}

func (a *association) partial() *breach {
	return &breach{CodeDICOMPartial, "connection ended inside a PDU"}
}

// left is a breach once the device has accepted: from then on only a release
// or an abort frees its slot at once (PS3.8 section 9.2, H-021).
func (a *association) left() *breach {
	switch a.stage {
	case stageAccepted, stageDeclined, stageAsked, stageAnswered:
		return &breach{CodeDICOMMissingRelease, "neither A-RELEASE-RQ nor A-ABORT"}
	}
	return nil
}
