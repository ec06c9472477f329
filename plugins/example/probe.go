package example

import (
	"bytes"
	"errors"
	"math"

	"primum/plugins/sdk"
)

// Probe answers "snmp.get". It keeps nothing between conversations.
type Probe struct{}

// Describe says what this probe speaks.
func (Probe) Describe() sdk.Description {
	return sdk.Description{Name: "acme", Version: "0.1.0", Kinds: []string{sdk.KindSNMPGet}}
}

// Begin builds the one message of the question.
func (Probe) Begin(q sdk.Question) (sdk.Conversation, error) {
	get, ok := q.(sdk.SNMPGet)
	if !ok {
		return nil, sdk.ErrUnknownQuestion
	}
	if len(get.OIDs) < 1 || len(get.OIDs) > 16 || get.RequestID < 1 || get.RequestID > math.MaxInt32 {
		return nil, errors.New("1 to 16 objects and a request id of 1 to 2^31-1 are needed")
	}
	var names [][]byte
	var list []byte
	for _, oid := range get.OIDs {
		name, err := encodeOID(oid)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
		list = append(list, tlv(0x30, tlv(0x06, name), []byte{0x05, 0x00})...)
	}
	none := []byte{0x02, 0x01, 0x00} // error-status and error-index
	pdu := tlv(0xa0, encodeInt(get.RequestID), none, none, tlv(0x30, list))
	return &conversation{
		id:      encodeInt(get.RequestID),
		names:   names,
		request: tlv(0x30, []byte{0x02, 0x01, 0x01, 0x04, 0x00}, pdu), // version 1, empty community
	}, nil
}

type conversation struct {
	id      []byte
	names   [][]byte
	request []byte
	result  *sdk.Result
}

// Next is the request, once.
func (c *conversation) Next() []byte {
	m := c.request
	c.request = nil
	return m
}

// Read takes the response.
func (c *conversation) Read(r sdk.Reply) {
	result, err := c.read(r.Message)
	if err != nil {
		result = sdk.Result{Status: sdk.Malformed, Detail: err.Error()}
	}
	c.result = &result
}

// Result is what the response said.
func (c *conversation) Result(e sdk.Ending) sdk.Result {
	if c.result == nil {
		return sdk.Result{Status: sdk.NoReply, Detail: e.String()}
	}
	return *c.result
}

var errShape = errors.New("not a whole response to this request")

// acmeSerial is where Acme keeps the serial number of a pump.
const acmeSerial = "1.3.6.1.4.1.99999.1.1.0"

func (c *conversation) read(b []byte) (sdk.Result, error) {
	message, rest, ok := take(b, 0x30)
	if !ok || len(rest) != 0 || !bytes.HasPrefix(message, []byte{0x02, 0x01, 0x01}) {
		return sdk.Result{}, errShape
	}
	_, message, ok = take(message[3:], 0x04) // the community, blanked by the agent
	if !ok {
		return sdk.Result{}, errShape
	}
	pdu, rest, ok := take(message, 0xa2)
	if !ok || len(rest) != 0 || !bytes.HasPrefix(pdu, c.id) {
		return sdk.Result{}, errShape
	}
	pdu = pdu[len(c.id):]
	if !bytes.HasPrefix(pdu, []byte{0x02, 0x01, 0x00, 0x02, 0x01, 0x00}) {
		return sdk.Result{Status: sdk.Declined, Detail: "the pump answered with an error status"}, nil
	}
	list, rest, ok := take(pdu[6:], 0x30)
	if !ok || len(rest) != 0 {
		return sdk.Result{}, errShape
	}
	r := sdk.Result{Status: sdk.Answered}
	serial, err := encodeOID(acmeSerial)
	if err != nil {
		return sdk.Result{}, err
	}
	for _, name := range c.names {
		var bind []byte
		if bind, list, ok = take(list, 0x30); !ok {
			return sdk.Result{}, errShape
		}
		got, value, ok := take(bind, 0x06)
		if !ok || !bytes.Equal(got, name) || len(value) == 0 {
			return sdk.Result{}, errShape
		}
		content, rest, ok := take(value, value[0])
		if !ok || len(rest) != 0 {
			return sdk.Result{}, errShape
		}
		// Text makes the octets of the device safe to show.
		if text := sdk.Text(content); bytes.Equal(name, serial) && value[0] == 0x04 && text != "" {
			r.Facts = append(r.Facts, sdk.Fact{Field: sdk.FieldSerial, Value: text, Origin: "acmePumpSerial.0"})
		}
	}
	if len(list) != 0 {
		return sdk.Result{}, errShape
	}
	return r, nil
}
