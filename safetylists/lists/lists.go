// Package lists holds the safety lists that Primum ships: what public sources say has harmed medical
// devices, and the ports to which nothing is ever sent. It is text and nothing else; it allows nothing.
package lists

import "embed"

//go:embed *.yaml
var files embed.FS

// Files returns the list files by name.
func Files() embed.FS { return files }
