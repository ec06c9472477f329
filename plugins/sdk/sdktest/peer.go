package sdktest

import (
	"primum/plugins/sdk"
)

// Peer is a scripted device: what it must receive and what it answers, in order. Where the script is at
// its end, the device is silent.
type Peer []Step

// Step is one step of a Peer; made by Recv, Reply and Close.
type Step struct {
	recv, reply []byte
	ending      sdk.Ending
	kind        stepKind
}

type stepKind int

const (
	stepRecv stepKind = iota + 1
	stepReply
	stepClose
)

// Recv says which message must come now, octet for octet. It may be left out: then any message is
// taken.
func Recv(message []byte) Step { return Step{kind: stepRecv, recv: message} }

// Reply answers the message before.
func Reply(message []byte) Step { return Step{kind: stepReply, reply: message} }

// Close ends the conversation instead of an answer.
func Close(e sdk.Ending) Step { return Step{kind: stepClose, ending: e} }

// replies are the answers of the script.
func (p Peer) replies() [][]byte {
	var out [][]byte
	for _, s := range p {
		if s.kind == stepReply {
			out = append(out, s.reply)
		}
	}
	return out
}
