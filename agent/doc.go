// Package agent assembles a site agent: it joins the rooms under internal, owns their goroutines, and
// carries each verified task to its one conversation and its record. The decisions are made in guard,
// the bytes in wire.
package agent
