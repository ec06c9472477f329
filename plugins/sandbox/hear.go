package sandbox

import (
	"context"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
)

// hear reads what a plugin prints after the handshake. go-plugin puts that on a stream of its own;
// if nobody reads it, a plugin that prints stands still. The message (StdioData: channel 1, data 2)
// lives in an internal package of go-plugin, so that it is read here by field number.
func hear(ctx context.Context, conn *grpc.ClientConn, to io.Writer) {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true},
		"/plugin.GRPCStdio/StreamStdio", grpc.ForceCodec(raw{}))
	if err != nil {
		return
	}
	if stream.SendMsg([]byte{}) != nil || stream.CloseSend() != nil {
		return
	}
	for {
		var message []byte
		if stream.RecvMsg(&message) != nil {
			return
		}
		_, _ = to.Write(stdioData(message))
	}
}

// stdioData finds the data field; anything that does not parse is nothing.
func stdioData(b []byte) []byte {
	var data []byte
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil
		}
		b = b[n:]
		if field == 2 && kind == protowire.BytesType {
			v, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return nil
			}
			data, b = v, b[n:]
			continue
		}
		n = protowire.ConsumeFieldValue(field, kind, b)
		if n < 0 {
			return nil
		}
		b = b[n:]
	}
	return data
}

// raw hands the octets of a message through.
type raw struct{}

// Marshal takes octets.
func (raw) Marshal(v any) ([]byte, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("marshal %T: only octets", v)
	}
	return b, nil
}

// Unmarshal copies octets.
func (raw) Unmarshal(data []byte, v any) error {
	p, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("unmarshal into %T: only octets", v)
	}
	*p = append((*p)[:0], data...)
	return nil
}

// Name is the name of the codec it stands in for.
func (raw) Name() string { return "proto" }
