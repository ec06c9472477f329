// Package lists holds what the fictional makers of the demo hospital allow. It is text and nothing
// else: these files load under lab policy only (DESIGN 6.10).
package lists

import "embed"

//go:embed *.yaml
var files embed.FS

// Files returns the list files by name.
func Files() embed.FS { return files }
