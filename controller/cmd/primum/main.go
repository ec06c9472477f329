// Command primum is the command line of Primum: it speaks to the controller's admin API, and signs
// what people approve with keys that the controller never sees.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
