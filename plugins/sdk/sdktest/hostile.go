package sdktest

import (
	"bytes"
	"fmt"
	"slices"

	"primum/plugins/sdk"
)

// garbageReplies are what no device of any protocol answers.
func garbageReplies() [][]byte {
	return [][]byte{
		{0}, {0xff}, bytes.Repeat([]byte{0}, 16384), bytes.Repeat([]byte{0xff}, 16384),
		bytes.Repeat([]byte{0x30, 0x80}, 700), []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		bytes.Repeat([]byte("|"), 4096), {0x30, 0x84, 0x7f, 0xff, 0xff, 0xff}, {0x02, 0, 0xff, 0xff, 0xff, 0xff},
		[]byte("\x1b]0;title\x07\x1b[2J\nlevel=ERROR msg=forged\n"), []byte("\xef\xbb\xbf\xe2\x80\xae\xc3\x28"), []byte("%s%n%d{{.}}${jndi:x}"),
	}
}

// replays wants the recorded conversation to the end, and what was recorded of it.
func (b *bench) replays(tr Transcript) {
	o, sound := b.play(tr, nil)
	if !sound {
		return
	}
	if n := len(o.sent); n < len(tr.Exchanges) {
		fault := FaultMissing
		if _, dicom := tr.Question.(sdk.DICOMEcho); dicom && tr.Exchanges[len(tr.Exchanges)-1].Send[0] == 0x05 { // A-RELEASE-RQ, PS3.8 9.3.6
			fault = FaultRelease
		}
		b.found(fault, fmt.Sprintf("it ends after %d of %d messages", n, len(tr.Exchanges)))
	}
	if o.result.Status != tr.Status || !slices.Equal(o.result.Facts, tr.Facts) {
		b.found(FaultLie, fmt.Sprintf("it tells %s and %v; the device told %s and %v", o.result.Status, o.result.Facts, tr.Status, tr.Facts))
	}
}

func (b *bench) repeats(tr Transcript) {
	first, ok := b.play(tr, nil)
	second, again := b.play(tr, nil)
	if ok && again && !slices.EqualFunc(first.sent, second.sent, bytes.Equal) {
		b.found(FaultUnrepeatable, "equal questions and replies give other messages")
	}
}

// closes ends the conversation in place of each reply, in each way.
func (b *bench) closes(tr Transcript) {
	for at := range tr.Exchanges {
		for _, end := range []sdk.Ending{sdk.EndTimeout, sdk.EndClosedByDevice, sdk.EndStopped, sdk.EndRefused} {
			o, sound := b.play(tr, func(n int, reply []byte) ([]byte, sdk.Ending) {
				if n == at+1 {
					return nil, end
				}
				return reply, 0
			})
			if sound && at == 0 && o.result.Status == sdk.Answered {
				b.found(FaultLie, "answered without a reply: "+end.String())
			}
			if b.enough() {
				return
			}
		}
	}
}

// spoilt replaces the reply at a place; the rest of the device is as recorded. What follows a spoilt reply is
// silence, unless the conversation went on.
func (b *bench) spoilt(tr Transcript, at int, reply []byte, believed string) {
	o, sound := b.play(tr, func(n int, recorded []byte) ([]byte, sdk.Ending) {
		switch {
		case n == at+1:
			return reply, 0
		case n > at+1:
			return nil, sdk.EndTimeout
		}
		return recorded, 0
	})
	if sound && believed != "" && len(o.sent) == at+1 && o.result.Status == sdk.Answered {
		b.found(FaultLie, fmt.Sprintf("reply %d %s is taken as an answer", at+1, believed))
	}
}

func (b *bench) truncates(tr Transcript) {
	for at, x := range tr.Exchanges {
		for n := 1; n < len(x.Reply) && !b.enough(); n++ {
			b.spoilt(tr, at, x.Reply[:n], fmt.Sprintf("cut to %d of %d octets", n, len(x.Reply)))
		}
	}
}

func (b *bench) garbage(tr Transcript) {
	for at := range tr.Exchanges {
		for i, g := range garbageReplies() {
			if b.enough() {
				return
			}
			b.spoilt(tr, at, g, fmt.Sprintf("as garbage %d", i+1))
		}
	}
}

// spoils turns each octet of each reply to others, and lengthens the reply. Nobody can say what comes of it; it
// comes as a result, in time.
func (b *bench) spoils(tr Transcript) {
	for at, x := range tr.Exchanges {
		for i := range x.Reply {
			for _, mask := range []byte{0x01, 0x80, 0xff} {
				if b.enough() {
					return
				}
				r := slices.Clone(x.Reply)
				r[i] ^= mask
				b.spoilt(tr, at, r, "")
			}
		}
		if x.Reply != nil {
			b.spoilt(tr, at, slices.Concat(x.Reply, x.Reply), "")
			b.spoilt(tr, at, slices.Concat(x.Reply, bytes.Repeat([]byte{'A'}, 4096)), "")
		}
	}
}
