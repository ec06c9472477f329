// Command faulty is a plugin with one fault, chosen when it is built: go build -ldflags "-X main.fault=hang". It
// speaks the contract without the SDK, which would end most of its conversations. Without a fault it is sound. Spaces
// after the fault do not count, so that a test can write another one into a binary that was built once.
package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"primum/plugins/dicom"
	"primum/plugins/sdk"
	"primum/plugins/snmp"
	probev1 "primum/proto/probe/v1"
)

var fault string

const (
	identity = "\x0201I\x03\x48"
	status   = "\x0201S001\x03\x52"
)

func main() {
	fault = strings.TrimRight(fault, " ")
	plugin.Serve(&plugin.ServeConfig{HandshakeConfig: sdk.Handshake(), Logger: hclog.NewNullLogger(), GRPCServer: plugin.DefaultGRPCServer,
		Plugins: plugin.PluginSet{sdk.PluginName: &served{}}})
}

type served struct{ plugin.NetRPCUnsupportedPlugin }

func (*served) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	probev1.RegisterProbeServer(s, &server{})
	return nil
}

func (*served) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this is a plugin")
}

type server struct {
	probev1.UnimplementedProbeServer
}

func kind() string {
	switch fault {
	case "unapproved-oid":
		return sdk.KindSNMPGet
	case "missing-release":
		return sdk.KindDICOMEcho
	}
	return "tcp.aldane.status"
}

// vendorKind is the kind as a question of a vendor's own names it.
func vendorKind() string {
	if k := kind(); k == "tcp.aldane.status" {
		return k
	}
	return ""
}

func (*server) Run(stream probev1.Probe_RunServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.GetDescribe() != nil {
		return stream.Send(&probev1.PluginFrame{Step: &probev1.PluginFrame_Description{Description: &probev1.Description{Name: "faulty", Version: "1", Kinds: []string{kind()}}}})
	}
	start := first.GetStart()
	if start.GetQuestion() == nil || start.GetVendor().GetKind() != vendorKind() || kind() == sdk.KindSNMPGet && start.GetSnmpGet() == nil || kind() == sdk.KindDICOMEcho && start.GetDicomEcho() == nil {
		return grpcstatus.Error(codes.Unimplemented, "another question")
	}
	c := &talk{stream: stream}
	switch kind() {
	case sdk.KindSNMPGet:
		return c.snmp(start.GetSnmpGet())
	case sdk.KindDICOMEcho:
		return c.dicom(start.GetDicomEcho())
	}
	return c.serial()
}

// talk is one conversation.
type talk struct {
	stream probev1.Probe_RunServer
	closed probev1.Closed_Reason
}

// ask sends a message and returns the reply; nil: the conversation is closed.
func (c *talk) ask(message string) []byte {
	if c.stream.Send(&probev1.PluginFrame{Step: &probev1.PluginFrame_Send{Send: &probev1.Send{Message: []byte(message)}}}) != nil {
		return nil
	}
	frame, err := c.stream.Recv()
	if err != nil {
		return nil
	}
	if frame.GetClosed() != nil {
		c.closed = frame.GetClosed().GetReason()
	}
	return frame.GetReply().GetMessage()
}

func (c *talk) result(s probev1.Result_Status, facts ...*probev1.Fact) error {
	return c.stream.Send(&probev1.PluginFrame{Step: &probev1.PluginFrame_Result{Result: &probev1.Result{Status: s, Facts: facts}}})
}

// sound reports whether a reply is a whole frame of the rack.
func sound(reply []byte, letter byte) bool {
	n := len(reply)
	if n < 7 || reply[0] != 2 || string(reply[1:3]) != "01" || reply[3] != letter || reply[n-2] != 3 {
		return false
	}
	sum := byte(0)
	for _, b := range reply[1 : n-2] {
		sum ^= b
	}
	return sum == reply[n-1]
}

func (c *talk) serial() error {
	order := map[string][]string{
		"extra-message":     {identity, status, status, status},
		"second-connection": {identity, status, identity, status},
		"wrong-order":       {status, identity},
		"identity-twice":    {identity, identity},
		"wrong-octet":       {"\x0201I\x03\x49"},
		"reset":             {identity, "\x0201R\x03\x53"},
		"oversize":          {identity + string(make([]byte, 2000))},
		"skips-status":      {identity},
	}[fault]
	if order == nil {
		order = []string{identity, status}
	}
	for i, m := range order {
		switch {
		case fault == "hang" && i == 1:
			time.Sleep(time.Hour)
		case fault == "panic" && i == 1:
			os.Stderr.WriteString("panic: index out of range\n")
			os.Exit(2)
		}
		reply := c.ask(m)
		if reply == nil && fault == "ignored-refusal" && c.closed == probev1.Closed_REASON_REFUSED {
			c.ask(status)
		}
		if !sound(reply, m[3]) && fault != "lying-result" {
			if reply == nil {
				return c.result(probev1.Result_STATUS_NO_REPLY)
			}
			return c.result(probev1.Result_STATUS_MALFORMED)
		}
	}
	serial := "AR-2291"
	if fault == "lying-result" {
		serial = "PERFECT-1"
	}
	return c.result(probev1.Result_STATUS_ANSWERED,
		&probev1.Fact{Field: "model", Value: "Vela Rack 2", Origin: "identity 1"}, &probev1.Fact{Field: "version", Value: "2.4.0", Origin: "identity 2"},
		&probev1.Fact{Field: "serial", Value: serial, Origin: "identity 3"})
}

// snmp asks for sysContact beside what was approved.
func (c *talk) snmp(q *probev1.SnmpGet) error {
	oids := append([]string{"1.3.6.1.2.1.1.4.0"}, q.GetOids()[1:]...)
	conv, err := snmp.Probe{}.Begin(sdk.SNMPGet{Version: sdk.SNMPv2c, OIDs: oids, RequestID: q.GetRequestId()})
	if err != nil {
		return err
	}
	if c.ask(string(conv.Next())) == nil {
		return c.result(probev1.Result_STATUS_NO_REPLY)
	}
	return c.result(probev1.Result_STATUS_ANSWERED)
}

// dicom echoes and goes away.
func (c *talk) dicom(q *probev1.DicomEcho) error {
	conv, err := dicom.Probe{}.Begin(sdk.DICOMEcho{CalledAE: q.GetCalledAe(), CallingAE: q.GetCallingAe(), ImplementationClassUID: q.GetImplementationClassUid(),
		ImplementationVersionName: q.GetImplementationVersionName(), MaxPDULength: q.GetMaxPduLength(), MessageID: uint16(q.GetMessageId())})
	if err != nil {
		return err
	}
	for range 2 {
		m := conv.Next()
		if m == nil {
			return c.result(probev1.Result_STATUS_MALFORMED)
		}
		reply := c.ask(string(m))
		if reply == nil {
			return c.result(probev1.Result_STATUS_NO_REPLY)
		}
		conv.Read(sdk.Reply{Message: reply})
	}
	if conv.Next() == nil {
		return c.result(probev1.Result_STATUS_MALFORMED)
	}
	return c.result(probev1.Result_STATUS_ANSWERED)
}
