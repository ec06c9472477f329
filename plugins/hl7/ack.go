package hl7

import (
	"bytes"
	"errors"
	"slices"
)

const (
	// maxReply bounds an acknowledgment (H11); one that has more segments is none.
	maxReply    = 4096
	maxSegments = 64
)

var (
	errFrame = errors.New("the reply is not one whole MLLP frame")
	errMSH   = errors.New("the reply does not begin with a message header")
	errMSA   = errors.New("the reply does not hold one acknowledgment segment")
)

// ack is what is read of an acknowledgment; every slice points into the reply (H11).
type ack struct {
	kind      []byte    // MSH-9.1
	version   []byte    // MSH-12.1
	time      []byte    // MSH-7.1
	code      []byte    // MSA-1
	controlID []byte    // MSA-2
	errorCode []byte    // ERR-3.1, or ERR-1.4 before v2.5
	software  [3][]byte // SFT-1.1, SFT-2, SFT-3 of the first SFT
}

// readAck reads a framed acknowledgment with the separators that the peer declares (HL7 2.5.4).
func readAck(b []byte) (ack, error) {
	if len(b) < 4 || len(b) > maxReply || b[0] != startBlock || b[len(b)-2] != endBlock || b[len(b)-1] != carriage {
		return ack{}, errFrame
	}
	b = b[1 : len(b)-2]
	if bytes.IndexByte(b, startBlock) >= 0 || bytes.IndexByte(b, endBlock) >= 0 {
		return ack{}, errFrame
	}
	if n := bytes.Count(b, []byte{carriage}); n > maxSegments {
		return ack{}, errFrame
	}
	first, rest, _ := bytes.Cut(b, []byte{carriage})
	s, err := declared(first)
	if err != nil {
		return ack{}, err
	}
	// In MSH the separator itself is the first field, so that field n is the n-1st after it.
	a := ack{
		time:    s.component(s.field(first, 6), 1),
		kind:    s.component(s.field(first, 8), 1),
		version: s.component(s.field(first, 11), 1),
	}
	acknowledgments, haveError, haveSoftware := 0, false, false
	for len(rest) > 0 {
		var segment []byte
		segment, rest, _ = bytes.Cut(rest, []byte{carriage})
		switch name := s.field(segment, 0); {
		case bytes.Equal(name, []byte("MSA")):
			acknowledgments++
			a.code, a.controlID = s.field(segment, 1), s.field(segment, 2)
		case bytes.Equal(name, []byte("ERR")) && !haveError:
			haveError = true
			if a.errorCode = s.component(s.field(segment, 3), 1); len(a.errorCode) == 0 {
				fourth := s.component(s.field(segment, 1), 4)
				a.errorCode, _, _ = bytes.Cut(fourth, []byte{s.sub})
			}
		case bytes.Equal(name, []byte("SFT")) && !haveSoftware:
			haveSoftware = true
			a.software = [3][]byte{s.component(s.field(segment, 1), 1), s.field(segment, 2), s.field(segment, 3)}
		case bytes.Equal(name, []byte("MSH")):
			return ack{}, errMSH // a second message in one frame
		}
	}
	if acknowledgments != 1 {
		return ack{}, errMSA
	}
	return a, nil
}

// separators are as MSH-1 and MSH-2 declare them.
type separators struct{ fieldSep, comp, rep, sub byte }

func declared(msh []byte) (separators, error) {
	if len(msh) < 9 || !bytes.HasPrefix(msh, []byte("MSH")) {
		return separators{}, errMSH
	}
	encoding, _, ok := bytes.Cut(msh[4:], msh[3:4])
	if !ok || len(encoding) < 4 || len(encoding) > 5 { // the fifth, truncation, came with v2.7
		return separators{}, errMSH
	}
	all := append([]byte{msh[3]}, encoding...)
	for i, c := range all {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if c <= 0x20 || c > 0x7e || letter || slices.Contains(all[:i], c) {
			return separators{}, errMSH
		}
	}
	return separators{fieldSep: msh[3], comp: encoding[0], rep: encoding[1], sub: encoding[3]}, nil
}

// field is the nth field of a segment, its name being the 0th. Only the first repetition counts.
func (s separators) field(segment []byte, n int) []byte {
	f := nth(segment, s.fieldSep, n)
	first, _, _ := bytes.Cut(f, []byte{s.rep})
	return first
}

// component is the nth component of a field, from 1.
func (s separators) component(field []byte, n int) []byte { return nth(field, s.comp, n-1) }

func nth(b []byte, sep byte, n int) []byte {
	for ; n > 0; n-- {
		i := bytes.IndexByte(b, sep)
		if i < 0 {
			return nil
		}
		b = b[i+1:]
	}
	if i := bytes.IndexByte(b, sep); i >= 0 {
		b = b[:i]
	}
	return b
}
