// Command primum-confine confines a plugin for a program that cannot do it itself, because its main does
// not begin with confine.Shim: the tests of a plugin's author. The agent does not need it.
package main

import (
	"fmt"
	"os"

	"primum/plugins/sandbox/confine"
)

func main() {
	code, started := confine.Shim()
	if !started {
		fmt.Fprintln(os.Stderr, "primum-confine is started by plugins/sandbox, not by hand")
		code = 2
	}
	os.Exit(code)
}
