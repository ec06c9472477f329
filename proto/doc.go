// Package proto holds the contracts of Primum, one folder each with its generated Go:
//
//   - admin/v1: people and tools speak to the controller.
//   - control/v1: a site agent speaks to the controller.
//   - probe/v1: a plugin speaks to the agent that started it.
//
// Nothing here is written by hand but the .proto files and this comment. Regenerate with
// "make generate"; "make check" fails when the committed code is not what the .proto files say.
package proto
