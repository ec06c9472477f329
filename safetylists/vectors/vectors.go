// Package vectors holds the portable test vectors of the safety list: one case a file, a head in text
// and then the bytes. README.md says how another implementation runs them.
package vectors

import "embed"

//go:embed decision/*.vec file/*.vec message/*.vec
var files embed.FS

// Files returns the vectors, by their path decision/NAME.vec, file/NAME.vec or message/NAME.vec.
func Files() embed.FS { return files }
