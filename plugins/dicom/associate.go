package dicom

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// accept is what is learned from an A-ASSOCIATE-AC. AE titles are not among it: they are ours,
// echoed, and "shall not be tested" (PS3.8 9.3.3, D9).
type accept struct {
	contextResult byte
	maxLength     uint32 // 0: no limit
	classUID      string
	versionName   string
}

// readAC reads the body of an A-ASSOCIATE-AC (PS3.8 9.3.3). Each part that is used may be there
// once; parts that were not asked for are passed over.
func readAC(b []byte) (accept, error) {
	const fixed = 68 // version, reserved, AE titles, reserved
	if len(b) < fixed {
		return accept{}, errLength
	}
	if b[1]&1 == 0 { // only this bit may be tested
		return accept{}, errors.New("the A-ASSOCIATE-AC is not of protocol version 1")
	}
	var a accept
	seen := make(map[byte]int, 4)
	err := items(b[fixed:], func(kind byte, body []byte) error {
		seen[kind]++
		switch kind {
		case itemApplicationContext:
			if uid(body) != uidApplicationContext {
				return errors.New("the A-ASSOCIATE-AC names another application context")
			}
		case itemContextAC:
			return a.readContext(body)
		case itemUserInformation:
			return a.readUser(body)
		}
		return nil
	})
	if err != nil {
		return accept{}, err
	}
	for _, kind := range []byte{itemApplicationContext, itemContextAC, itemUserInformation} {
		if seen[kind] != 1 {
			return accept{}, fmt.Errorf("the A-ASSOCIATE-AC holds the item %02XH %d times, not once", kind, seen[kind])
		}
	}
	return a, nil
}

func (a *accept) readContext(b []byte) error {
	if len(b) < 4 || b[0] != contextID || b[2] > 4 {
		return errors.New("the A-ASSOCIATE-AC answers another presentation context")
	}
	a.contextResult = b[2]
	if a.contextResult != 0 {
		return nil // the transfer syntax "shall not be tested" then (PS3.8 9.3.3.2)
	}
	count := 0
	err := items(b[4:], func(kind byte, body []byte) error {
		count++
		if kind != itemTransferSyntax || uid(body) != uidImplicitLE {
			return errors.New("the A-ASSOCIATE-AC takes a transfer syntax that was not offered")
		}
		return nil
	})
	if err == nil && count != 1 {
		err = errors.New("the A-ASSOCIATE-AC names not one transfer syntax")
	}
	return err
}

func (a *accept) readUser(b []byte) error {
	seen := make(map[byte]bool, 4)
	return items(b, func(kind byte, body []byte) error {
		switch kind {
		case itemMaxLength, itemClassUID, itemVersionName:
			if seen[kind] {
				return fmt.Errorf("the A-ASSOCIATE-AC holds the item %02XH twice", kind)
			}
			seen[kind] = true
		}
		switch kind {
		case itemMaxLength:
			if len(body) != 4 {
				return errItems
			}
			a.maxLength = binary.BigEndian.Uint32(body)
		case itemClassUID:
			a.classUID = uid(body)
			if len(a.classUID) > 64 || strings.Trim(a.classUID, "0123456789.") != "" {
				return errors.New("the implementation class UID is no UID")
			}
		case itemVersionName:
			// Implementations pad it, against PS3.7 D.3.3.2.4; the text is cleaned by the SDK.
			a.versionName = strings.TrimSpace(uid(body))
			if len(a.versionName) > 16 {
				return errors.New("the implementation version name is longer than 16")
			}
		}
		return nil
	})
}

// uid takes off the padding that some implementations add here, where none belongs.
func uid(b []byte) string { return strings.TrimRight(string(b), "\x00 ") }

// reject is an A-ASSOCIATE-RJ (PS3.8 9.3.4).
type reject struct{ result, source, reason byte }

func readRJ(b []byte) (reject, error) {
	if len(b) != 4 {
		return reject{}, errLength
	}
	r := reject{b[1], b[2], b[3]}
	if r.result < 1 || r.result > 2 || r.source < 1 || r.source > 3 {
		return reject{}, errors.New("the A-ASSOCIATE-RJ names no result or source that there is")
	}
	return r, nil
}

// busy is temporary congestion or the local limit (D6).
func (r reject) busy() bool {
	return r.result == 2 && r.source == 3 && (r.reason == 1 || r.reason == 2)
}

// String is result/source/reason.
func (r reject) String() string { return fmt.Sprintf("%d/%d/%d", r.result, r.source, r.reason) }
