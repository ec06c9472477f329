package confine

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// emptyRoot makes an empty memory file system the root, and takes the machine's out of this namespace. It
// returns the descriptor of the new root. What a plugin can fill is a few inodes of its own memory.
func emptyRoot() (int, error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return -1, fmt.Errorf("part from the mounts of the machine: %w", err)
	}
	// Any directory that every user can reach will do; this one has just served to start this program.
	const place = "/proc"
	if err := unix.Mount("tmpfs", place, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=64k,nr_inodes=16,mode=0700"); err != nil {
		return -1, fmt.Errorf("mount memory file system: %w", err)
	}
	if err := unix.Chdir(place); err != nil {
		return -1, fmt.Errorf("go to memory file system: %w", err)
	}
	// The old root is put on top of the new one and taken off (pivot_root(2), NOTES).
	if err := unix.PivotRoot(".", "."); err != nil {
		return -1, fmt.Errorf("change root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return -1, fmt.Errorf("take off the old root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return -1, fmt.Errorf("go to the new root: %w", err)
	}
	return unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

func namespaceNames() []string { return []string{"user", "net", "pid", "ipc", "uts", "mnt", "cgroup"} }

// namespaces names those of this process, for the agent to hold against its own.
func namespaces() map[string]string {
	out := map[string]string{}
	for _, name := range namespaceNames() {
		if to, err := os.Readlink("/proc/self/ns/" + name); err == nil {
			out[name] = to
		}
	}
	return out
}
