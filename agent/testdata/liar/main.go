// Command liar is a plugin that speaks to the agent as the built-in probes do, but for one thing that its own
// file name says: mode, dash, number of the message that it spoils.
package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"primum/plugins/dicom"
	"primum/plugins/hl7"
	"primum/plugins/sdk"
	"primum/plugins/snmp"
	probev1 "primum/proto/probe/v1"
)

func main() {
	mode, number, _ := strings.Cut(os.Args[0], "-")
	at, _ := strconv.Atoi(number)
	goplugin.Serve(&goplugin.ServeConfig{HandshakeConfig: sdk.Handshake(), GRPCServer: goplugin.DefaultGRPCServer,
		Plugins: goplugin.PluginSet{sdk.PluginName: &liar{honest: sdk.NewServer(probe{}), mode: mode, at: at}}})
}

// probe is the three built-in ones in one.
type probe struct{}

func (probe) Describe() sdk.Description {
	d := sdk.Description{Name: "liar", Version: "1"}
	for _, p := range []sdk.Probe{snmp.Probe{}, dicom.Probe{}, hl7.Probe{}} {
		d.Kinds, d.Attributes = append(d.Kinds, p.Describe().Kinds...), append(d.Attributes, p.Describe().Attributes...)
	}
	return d
}

func (probe) Begin(q sdk.Question) (sdk.Conversation, error) {
	for _, p := range []sdk.Probe{snmp.Probe{}, dicom.Probe{}, hl7.Probe{}} {
		if c, err := p.Begin(q); !errors.Is(err, sdk.ErrUnknownQuestion) {
			return c, err
		}
	}
	return nil, sdk.ErrUnknownQuestion
}

type liar struct {
	goplugin.NetRPCUnsupportedPlugin
	probev1.UnimplementedProbeServer
	honest probev1.ProbeServer
	mode   string
	at     int
}

func (l *liar) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	probev1.RegisterProbeServer(s, l)
	return nil
}

func (*liar) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

func (l *liar) Run(stream probev1.Probe_RunServer) error {
	return l.honest.Run(&spoilt{Probe_RunServer: stream, mode: l.mode, at: l.at})
}

// spoilt is the stream of an honest probe with one thing turned bad.
type spoilt struct {
	probev1.Probe_RunServer
	mode  string
	at, n int
	first []byte
}

func send(m []byte) *probev1.PluginFrame {
	return &probev1.PluginFrame{Step: &probev1.PluginFrame_Send{Send: &probev1.Send{Message: m}}}
}

func result(r *probev1.Result) *probev1.PluginFrame {
	return &probev1.PluginFrame{Step: &probev1.PluginFrame_Result{Result: r}}
}

func (s *spoilt) Send(f *probev1.PluginFrame) error {
	if m := f.GetSend().GetMessage(); m != nil {
		if s.n == 0 {
			s.first = bytes.Clone(m)
		}
		s.n++
		if s.n-1 == s.at {
			f = s.spoil(m)
		}
	} else if r := f.GetResult(); r != nil {
		f = s.lie(r)
	}
	return s.Probe_RunServer.Send(f)
}

// spoil is what is sent in the place of a message, or what is done instead.
func (s *spoilt) spoil(m []byte) *probev1.PluginFrame {
	switch s.mode {
	case "early":
		return result(&probev1.Result{Status: probev1.Result_STATUS_ANSWERED, Facts: []*probev1.Fact{{Field: "model", Value: "Invented", Origin: "nowhere"}}})
	case "die":
		os.Exit(3)
	case "hang":
		select {}
	case "panic":
		panic("in the middle of a question")
	case "slow":
		time.Sleep(time.Second)
	case "giant":
		return send(make([]byte, 2<<20))
	case "nothing":
		return &probev1.PluginFrame{}
	case "describe":
		return &probev1.PluginFrame{Step: &probev1.PluginFrame_Description{Description: &probev1.Description{Name: "liar", Version: "1", Kinds: []string{"snmp.get"}}}}
	case "flood":
		for s.Probe_RunServer.Send(send(m)) == nil {
		}
	}
	return send(s.bytes(m))
}

func (s *spoilt) bytes(m []byte) []byte {
	at := pdu(m)
	switch s.mode {
	case "random":
		for i := range m {
			m[i] = byte(rand.Uint32())
		}
	case "flip":
		m[len(m)/2] ^= 0x01
	case "cut":
		return m[:len(m)-1]
	case "trailing":
		return append(m, 0)
	case "empty":
		return []byte{}
	case "large":
		return append(m, make([]byte, 1400)...)
	case "first": // the first message again
		return s.first
	case "getnext":
		m[at] = 0xA1
	case "response":
		m[at] = 0xA2
	case "set":
		m[at] = 0xA3
	case "getbulk":
		m[at] = 0xA5
	case "trap":
		m[at] = 0xA7
	case "object": // the last number of the last object
		m[len(m)-3]++
	case "write": // an integer in the place of NULL, the lengths as they were
		m[len(m)-2] = 0x02
	case "id":
		m[at+7] ^= 0x01
	case "version1":
		m[4] = 0
	case "cstore", "cfind", "cmove":
		field := map[string]byte{"cstore": 0x01, "cfind": 0x20, "cmove": 0x21}[s.mode]
		return bytes.Replace(m, []byte{0, 0, 0, 1, 2, 0, 0, 0, 0x30, 0}, []byte{0, 0, 0, 1, 2, 0, 0, 0, field, 0}, 1)
	case "title":
		m[10] = 'X'
	case "abort":
		return []byte{7, 0, 0, 0, 0, 4, 0, 0, 0, 0}
	case "production":
		return bytes.Replace(m, []byte("|T|"), []byte("|P|"), 1)
	case "clock": // sets the device's clock
		return bytes.Replace(m, []byte("\rNST|N"), []byte("\rNCK|20260101"), 1)
	case "statistics":
		return bytes.Replace(m, []byte("NST|N"), []byte("NST|Y"), 1)
	case "patient":
		return bytes.Replace(m, []byte{0x1c}, []byte("PID|1||4711\r\x1c"), 1)
	case "two":
		return append(bytes.Clone(m), m...)
	}
	return m
}

// pdu is where the PDU of an SNMP message begins; 0 in other messages.
func pdu(m []byte) int {
	if len(m) < 8 || m[0] != 0x30 || m[2] != 0x02 {
		return 0
	}
	return 7 + int(m[6])
}

// lie changes what an honest probe would tell.
func (s *spoilt) lie(r *probev1.Result) *probev1.PluginFrame {
	switch s.mode {
	case "again": // one more message after the end
		return send(s.first)
	case "lie":
		r.Status = probev1.Result_STATUS_ANSWERED
		r.Detail = "\x1b[2J\r\nlevel=ERROR forged" + strings.Repeat("x", 5000)
		for range 500 {
			r.Facts = append(r.Facts, &probev1.Fact{Field: "serial", Value: "\u202e4711\x00\x1b]0;x\x07", Origin: "\r\n"})
		}
		r.Facts = append(r.Facts[:3:3], append([]*probev1.Fact{{Field: "approved", Value: "yes", Origin: "me"}}, r.Facts[3:]...)...)
	case "undeclared":
		r.Attributes = append(r.Attributes, &probev1.Attribute{Name: "\nforged", Value: strings.Repeat("y", 1000)})
	case "status":
		r.Status = 4711
	}
	return result(r)
}
