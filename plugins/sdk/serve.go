package sdk

import (
	"context"
	"errors"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	probev1 "primum/proto/probe/v1"
)

// PluginName is the name under which the service is dispensed.
const PluginName = "probe"

// Handshake is what plugin and agent must agree on before the first frame. The cookie is no secret:
// it only keeps a person from starting a plugin by hand.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{
		ProtocolVersion:  1,
		MagicCookieKey:   "PRIMUM_PROBE",
		MagicCookieValue: "5b0f9c0e-first-do-no-harm",
	}
}

// Serve serves the probe until the agent ends the process. It is the whole of a plugin's main.
func Serve(p Probe) {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: Handshake(),
		Plugins:         plugin.PluginSet{PluginName: &served{probe: p}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(1<<20), grpc.MaxConcurrentStreams(64))...)
		},
		// The transport's own words are of no use to an operator, and a line of log is a place
		// where an octet of a device could come out unescaped.
		Logger: hclog.NewNullLogger(),
	})
}

// served is the plugin's half of go-plugin's glue; the agent's half is in plugins/sandbox.
type served struct {
	plugin.NetRPCUnsupportedPlugin
	probe Probe
}

var _ plugin.GRPCPlugin = (*served)(nil)

// GRPCServer registers the probe.
func (p *served) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	probev1.RegisterProbeServer(s, NewServer(p.probe))
	return nil
}

// GRPCClient is refused: this half is the plugin's.
func (*served) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("dispense in a plugin: only the agent does")
}
