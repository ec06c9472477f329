// Package aldane is a third party's probe, in a module of its own that imports nothing of Primum but the SDK.
// It asks a Vela Rack 2 of the made-up maker Aldane Medical, over the maker's own serial protocol, for its
// identity and its status. "primum-plugin new" copies it: replace the protocol by that of your devices.
package aldane

import "primum/plugins/sdk"

// kind is the question of the signed allowance, which has the messages as templates.
const kind = "tcp.aldane.status"

// Probe answers the question. It keeps nothing between conversations.
type Probe struct{}

// Describe says what this probe speaks, and what it tells beside the identity.
func (Probe) Describe() sdk.Description {
	return sdk.Description{Name: "aldane", Version: "0.1.0", Kinds: []string{kind}, Attributes: []sdk.Declaration{
		{Name: "aldane.state", Kind: sdk.AttributeCode, MaxLength: 8},
		{Name: "aldane.hours", Kind: sdk.AttributeNumber, Unit: "h", MaxLength: 6},
	}}
}

// Begin takes the question. What is sent is settled here.
func (Probe) Begin(q sdk.Question) (sdk.Conversation, error) {
	if q.Kind() != kind {
		return nil, sdk.ErrUnknownQuestion
	}
	return &conversation{next: identityRequest()}, nil
}

// conversation asks for the identity, and when that was told for the status.
type conversation struct {
	next   []byte
	state  int // replies read
	result sdk.Result
}

// Next is the message to send now; nil when there is none.
func (c *conversation) Next() []byte {
	m := c.next
	c.next = nil
	return m
}

// Read takes the reply to the message before. What does not fit ends the conversation: nothing more is sent.
func (c *conversation) Read(r sdk.Reply) {
	c.state++
	var err error
	if c.state == 1 {
		c.result.Facts, err = readIdentity(r.Message)
	} else {
		c.result.Attributes, err = readStatus(r.Message)
	}
	switch {
	case err != nil:
		c.result = sdk.Result{Status: sdk.Malformed, Detail: err.Error(), Facts: c.result.Facts}
	case c.state == 1:
		c.next = statusRequest()
	default:
		c.result.Status = sdk.Answered
	}
}

// Result is what was learned. It may be asked for at any moment.
func (c *conversation) Result(e sdk.Ending) sdk.Result {
	if c.result.Status == 0 {
		c.result.Status, c.result.Detail = sdk.NoReply, e.String()
	}
	return c.result
}
