package snmp

import (
	"primum/plugins/sdk"
)

// Version of this probe.
const Version = "1.0.0"

// Probe answers "snmp.get". The zero value is ready, and safe for any number of conversations.
type Probe struct{}

var _ sdk.Probe = Probe{}

// Describe says what this probe speaks.
func (Probe) Describe() sdk.Description {
	return sdk.Description{Name: "snmp", Version: Version, Kinds: []string{sdk.KindSNMPGet}, Attributes: []sdk.Declaration{
		{Name: "snmp.error_status", Kind: sdk.AttributeNumber, MaxLength: 10},
		{Name: "snmp.error_index", Kind: sdk.AttributeNumber, MaxLength: 10},
		{Name: "snmp.missing.*", Kind: sdk.AttributeText, MaxLength: 32},
		{Name: "snmp.empty.*", Kind: sdk.AttributeCode, MaxLength: 5},
		{Name: "snmp.value.*", Kind: sdk.AttributeText, MaxLength: 255},
	}}
}

// Begin builds the request of an approved question.
func (Probe) Begin(q sdk.Question) (sdk.Conversation, error) {
	get, ok := q.(sdk.SNMPGet)
	if !ok {
		return nil, sdk.ErrUnknownQuestion
	}
	request, err := encode(get)
	if err != nil {
		return nil, err
	}
	return &conversation{get: get, request: request}, nil
}

// conversation is one datagram out and one back.
type conversation struct {
	get     sdk.SNMPGet
	request []byte
	result  *sdk.Result
}

// Next is the request, once. Nothing is ever repeated (S3).
func (c *conversation) Next() []byte {
	m := c.request
	c.request = nil
	return m
}

// Read reads the response.
func (c *conversation) Read(r sdk.Reply) {
	result := read(c.get, r.Message)
	c.result = &result
}

// Result is what the response said, or that there was none.
func (c *conversation) Result(e sdk.Ending) sdk.Result {
	if c.result == nil {
		return sdk.Result{Status: sdk.NoReply, Detail: e.String()}
	}
	return *c.result
}
