// Package frame knows every byte that may go to a device. [Messages] makes the canonical messages of
// an approved question; [Check] holds a proposed message against them by parsing it with strict
// decoders of its own, and returns the buffer to send; [Reader] and the reply types read no more of
// an answer than the conversation needs.
//
// It shares no code with the plugins' encoders, so that one mistake is not made twice (S1, D1, H2,
// B1). It opens nothing and reads no clock: what varies between messages comes in a [Nonce].
package frame
