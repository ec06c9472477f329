// Package sandbox starts a plugin process and hands back its stream. It is the agent's half of
// hashicorp/go-plugin, used by the agent and by sdktest.
//
// What it holds to (B4 to B6, B9):
//
//   - What runs is what was verified: the binary is copied into a sealed memory file, the hash is
//     taken of the sealed copy, and that copy is executed. A changed file on disk changes nothing.
//   - A plugin chooses no address. With stock go-plugin the line a plugin prints decides what the
//     host dials, even a device (H-005). Here the only thing ever dialled is a real unix socket in the
//     plugin's own directory, on which the plugin process itself listens; that is asked of the kernel
//     before the first octet is written.
//   - go-plugin does the handshake and the keys (AutoMTLS); the connection is made here, without its
//     broker. A host without a broker has nothing to multiplex and nothing that a plugin could
//     make it dial later.
//   - A plugin gets no environment, no standard input, no descriptor of the agent, and dies with it.
//   - It is confined as well as the machine can (package confine): at the full level it has no network, no
//     files and no other process in its reach (B7). How well is proven by trying; where the machine cannot,
//     a third party's plugin does not start, and a built-in one only when a person has said so (B8).
//   - What a plugin prints is its word: escaped, capped, marked, and never parsed.
//
// It runs on Linux. A program that starts plugins calls Shim first thing in its main.
package sandbox
