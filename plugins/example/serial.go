package aldane

import (
	"bytes"
	"errors"
	"strings"

	"primum/plugins/sdk"
)

// A frame of the rack is STX, the two digits of the unit, a letter with its text, ETX, and a check octet: the
// exclusive or of unit and letter in a request, of unit and all text in a reply (Vela Rack 2 manual, chapter 9,
// which is as made up as the rack).
const (
	stx    = 0x02
	etx    = 0x03
	unit   = "01"
	number = "001" // the asker's; the rack gives it back
)

func identityRequest() []byte { return request("I", "") }

func statusRequest() []byte { return request("S", number) }

func request(letter, text string) []byte {
	return append([]byte{stx}, unit+letter+text+string([]byte{etx, check(unit + letter)})...)
}

func check(text string) (sum byte) {
	for i := range len(text) {
		sum ^= text[i]
	}
	return sum
}

var errFrame = errors.New("the reply is not a whole frame of this unit")

// fields reads one whole frame and splits its text.
func fields(frame []byte, letter string) ([]string, error) {
	text, ok := bytes.CutPrefix(frame, []byte{stx})
	if !ok || len(text) < 2 || text[len(text)-2] != etx {
		return nil, errFrame
	}
	sum, text := text[len(text)-1], text[:len(text)-2]
	if sum != check(string(text)) || !bytes.HasPrefix(text, []byte(unit+letter)) {
		return nil, errFrame
	}
	return strings.Split(string(text[len(unit+letter):]), ";"), nil
}

// readIdentity reads model, version and serial number, each with the place that it came from.
func readIdentity(frame []byte) ([]sdk.Fact, error) {
	f, err := fields(frame, "I")
	if err != nil {
		return nil, err
	}
	if len(f) != 3 {
		return nil, errors.New("the identity has other fields than model, version and serial number")
	}
	var facts []sdk.Fact
	for i, field := range []sdk.Field{sdk.FieldModel, sdk.FieldVersion, sdk.FieldSerial} {
		// Text makes the octets of the device safe to show; nothing may be left of them.
		if value := sdk.Text([]byte(f[i])); value != "" {
			facts = append(facts, sdk.Fact{Field: field, Value: value, Origin: "identity " + string(rune('1'+i))})
		}
	}
	return facts, nil
}

// readStatus reads the state and the hours that the rack has run.
func readStatus(frame []byte) ([]sdk.Attribute, error) {
	f, err := fields(frame, "S")
	if err != nil {
		return nil, err
	}
	if len(f) != 3 || f[0] != number || !word(f[1]) || len(f[2]) != 6 || strings.Trim(f[2], "0123456789") != "" {
		return nil, errors.New("the status is not a number of ours, a state and six digits of hours")
	}
	return []sdk.Attribute{{Name: "aldane.state", Value: f[1]}, {Name: "aldane.hours", Value: f[2]}}, nil
}

// word is 1 to 8 capital letters: what is declared as a code is one.
func word(s string) bool {
	return s != "" && len(s) <= 8 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
