// Package firstlight holds the tests of the whole system: the programs as a newcomer builds them, as
// processes, against the demo hospital, in a network namespace of their own. It imports the laboratory
// alone; everything else it knows from command lines and from the judge.
package firstlight
