// Package confine starts a program that can do nothing but compute and answer on one unix socket, and
// finds out whether this machine can hold it so (B7, H-005, H-007, H-008).
//
// Launch starts the own program once more, in namespaces of its own; Shim, which must be the first thing
// in main, takes over there, gives up everything step by step, and executes the sealed image of the
// plugin. No other program needs to be installed for it. The steps of level Full:
//
//   - new user, net, pid, ipc, uts, mount and cgroup namespaces; the root of the file system is an empty
//     memory file system of a few inodes, and the machine's own is not in the namespace any more;
//   - no capabilities, none to be had (bounding set, ambient set, secure bits, no_new_privs), not
//     dumpable, and dead with the thread that started it;
//   - limits on memory, descriptors, threads, files and cores;
//   - Landlock: within that directory an empty file and a socket may be made, nothing else;
//   - a list of the system calls that may be made (seccomp). Calls of another ABI kill the process.
//     A socket is a unix stream socket, and connect(2) is refused. The one execveat that starts the plugin
//     names a descriptor that the limit on descriptors keeps anybody from ever having again.
//
// Fallback is the same without namespaces, for machines that give none to an ordinary user.
//
// Prove decides which level a machine has: a child that is confined in that way tries what is forbidden,
// and one act that is not refused is enough to lose the level. Version numbers are not asked.
package confine
