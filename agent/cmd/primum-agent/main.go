// Command primum-agent is the site agent: it enrols once, and then asks devices what verified permits
// name, and nothing else.
package main

import (
	"os"

	"primum/agent"
	"primum/plugins/sandbox"
)

// builtinPlugins is set by the linker: name=sha256 of each plugin that this agent may start.
var builtinPlugins string

func main() {
	if code, started := sandbox.Shim(); started {
		os.Exit(code)
	}
	os.Exit(agent.Main(os.Args[1:], builtinPlugins, os.Stdout, os.Stderr))
}
