package sdk

import (
	"errors"
	"time"
)

// ErrUnknownQuestion is returned by Begin for a question that the probe does not speak.
var ErrUnknownQuestion = errors.New("unknown question")

// Probe is what a plugin serves. One value serves all conversations, at the same time; whatever
// belongs to one conversation lives in the Conversation.
type Probe interface {
	// Describe says what the probe speaks. It must always say the same.
	Describe() Description

	// Begin takes one approved question. It returns ErrUnknownQuestion for a kind it does not
	// speak, and any other error for a question it cannot build. Nothing has been sent yet.
	Begin(Question) (Conversation, error)
}

// Conversation is one question to one device. The SDK calls it from one goroutine: Next, Read,
// Next, Read, until Next has nothing more, and then Result, once. Result may come at any moment,
// because the device may fall silent and a person may stop the agent.
type Conversation interface {
	// Next returns the message to send now: one whole datagram, PDU or frame of at most 1024
	// octets. It returns nil when nothing more is to be sent. Equal questions and equal replies
	// must give equal messages: no clock, no random numbers, no memory of other conversations.
	Next() []byte

	// Read takes the reply to the message before. What it means shows in Next and Result.
	Read(Reply)

	// Result says what was learned. It is called once, at the end.
	Result(Ending) Result
}

// Description is what a probe says about itself.
type Description struct {
	// Name of the plugin in lower case, for example "snmp".
	Name string
	// Version of the plugin, for example "1.0.0".
	Version string
	// Kinds of question it speaks, for example KindSNMPGet.
	Kinds []string
	// Attributes that its results may hold, at most 64; the ones that they do not declare cannot be told.
	Attributes []Declaration
}

// Reply is one whole protocol message from the device.
type Reply struct {
	// Message is owned by the conversation from here on. Every octet of it is the device's word.
	Message []byte
	// Elapsed is the time from the last octet sent to this message.
	Elapsed time.Duration
}

// Ending tells why no more replies come. The zero value is not an ending.
type Ending int

const (
	// EndOfQuestion: Next had nothing more, or the last message has no reply.
	EndOfQuestion Ending = iota + 1
	// EndTimeout: no answer within the approved time.
	EndTimeout
	// EndClosedByDevice: the device refused, reset or closed the connection.
	EndClosedByDevice
	// EndStopped: the agent ended the conversation.
	EndStopped
	// EndRefused: the proposed message was not the approved one.
	EndRefused
)

// String names the ending in words.
func (e Ending) String() string {
	switch e {
	case EndOfQuestion:
		return "end of the question"
	case EndTimeout:
		return "no answer in time"
	case EndClosedByDevice:
		return "closed by the device"
	case EndStopped:
		return "stopped by the agent"
	case EndRefused:
		return "message refused by the agent"
	default:
		return "unspecified ending"
	}
}
