package hl7

import (
	"primum/plugins/sdk"
)

// Version of this probe.
const Version = "1.0.0"

// Probe answers "hl7.ack". The zero value is ready, and safe for any number of conversations.
type Probe struct{}

var _ sdk.Probe = Probe{}

// Describe says what this probe speaks.
func (Probe) Describe() sdk.Description {
	return sdk.Description{Name: "hl7", Version: Version, Kinds: []string{sdk.KindHL7Ack}, Attributes: []sdk.Declaration{
		{Name: "hl7.msa1", Kind: sdk.AttributeCode, MaxLength: 2},
		{Name: "hl7.err", Kind: sdk.AttributeCode, MaxLength: 3},
		{Name: "hl7.version_id", Kind: sdk.AttributeCode, MaxLength: 8},
		{Name: "hl7.time", Kind: sdk.AttributeCode, MaxLength: 24},
	}}
}

// Begin builds the message of an approved question.
func (Probe) Begin(q sdk.Question) (sdk.Conversation, error) {
	a, ok := q.(sdk.HL7Ack)
	if !ok {
		return nil, sdk.ErrUnknownQuestion
	}
	m, err := message(a)
	if err != nil {
		return nil, err
	}
	return &conversation{question: a, message: m}, nil
}

// conversation is one message out and one acknowledgment back (H2).
type conversation struct {
	question sdk.HL7Ack
	message  []byte
	result   *sdk.Result
}

// Next is the message, once.
func (c *conversation) Next() []byte {
	m := c.message
	c.message = nil
	return m
}

// Read reads the acknowledgment.
func (c *conversation) Read(r sdk.Reply) {
	result := judge(c.question, r.Message)
	c.result = &result
}

// Result is what the acknowledgment said, or that there was none.
func (c *conversation) Result(e sdk.Ending) sdk.Result {
	if c.result == nil {
		return sdk.Result{Status: sdk.NoReply, Detail: e.String()}
	}
	return *c.result
}
