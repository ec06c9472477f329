// Command primum-controller is the controller: it keeps the inventory, the approved times and the
// safety list, and gives approved plans to its site agents.
package main

import (
	"os"

	"primum/controller"
)

func main() { os.Exit(controller.Main(os.Args[1:], os.Stdout, os.Stderr)) }
