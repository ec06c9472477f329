package pluginhost

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"primum/plugins/sandbox"
)

// Binary is one plugin that may run.
type Binary struct {
	Name   string
	Path   string
	SHA256 [sha256.Size]byte
	Trust  sandbox.Trust
	// Version and Kinds are what the maker of a signed plugin has signed; it may speak nothing else.
	Version string
	Kinds   []string
}

// ParseBuiltins reads the linker's list "name=hash,...", and looks for the binaries as
// dir/primum-probe-NAME.
func ParseBuiltins(list, dir string) ([]Binary, error) {
	var out []Binary
	for part := range strings.SplitSeq(list, ",") {
		name, hash, ok := strings.Cut(part, "=")
		b, err := hex.DecodeString(hash)
		if !ok || name == "" || err != nil || len(b) != sha256.Size {
			return nil, fmt.Errorf("this agent was built without the hashes of its plugins; build it with make build")
		}
		out = append(out, Binary{Name: name, Path: dir + "/primum-probe-" + name, SHA256: [sha256.Size]byte(b), Trust: sandbox.BuiltIn})
	}
	return out, nil
}
