package confine

import (
	"fmt"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// rule lets one system call pass when all its conditions hold. Two rules for one call are alternatives.
type rule struct {
	call uint32
	when []condition
}

// condition is on one argument: its masked low half must have a value, its high half must be zero. What
// the kernel would cut off is not taken.
type condition struct {
	arg        int
	mask, want uint32
}

func is(arg int, want uint32) condition { return condition{arg, ^uint32(0), want} }

func without(arg int, bits uint32) condition { return condition{arg, bits, 0} }

// Offsets in struct seccomp_data.
const (
	offCall = 0
	offArch = 4
	offArgs = 16
)

// x32 is the bit of a call of the x32 ABI, which has the same architecture number.
const x32 = 0x40000000

const (
	retKill  = 0x80000000 // SECCOMP_RET_KILL_PROCESS; the constant of x/sys has the same value
	retAllow = unix.SECCOMP_RET_ALLOW
	retErrno = unix.SECCOMP_RET_ERRNO
)

// assemble makes the filter. The architecture comes first: without that check, i386 calls by int 0x80
// pass under the numbers of other calls.
func assemble(arch uint32, rules []rule, missing []uint32) ([]bpf.RawInstruction, error) {
	load := func(off uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: off, Size: 4} }
	prog := []bpf.Instruction{
		load(offArch),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arch, SkipTrue: 1},
		bpf.RetConstant{Val: retKill},
		load(offCall),
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: x32, SkipFalse: 1},
		bpf.RetConstant{Val: retKill},
	}
	for _, r := range rules {
		block := []bpf.Instruction{bpf.RetConstant{Val: retAllow}}
		if len(r.when) > 0 {
			block = append(block, load(offCall)) // where a condition fails, go on with the number
		}
		for i := len(r.when) - 1; i >= 0; i-- {
			c := r.when[i]
			low := offArgs + 8*uint32(c.arg)
			miss := uint8(len(block) - 1) // to the load at the end of the block
			block = append([]bpf.Instruction{
				load(low + 4),
				bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: miss + 3},
				load(low),
				bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: c.mask},
				bpf.JumpIf{Cond: bpf.JumpEqual, Val: c.want, SkipFalse: miss},
			}, block...)
		}
		prog = append(prog, bpf.JumpIf{Cond: bpf.JumpEqual, Val: r.call, SkipFalse: uint8(len(block))})
		prog = append(prog, block...)
	}
	for _, call := range missing {
		prog = append(prog, bpf.JumpIf{Cond: bpf.JumpEqual, Val: call, SkipFalse: 1}, bpf.RetConstant{Val: retErrno | uint32(unix.ENOSYS)})
	}
	prog = append(prog, bpf.RetConstant{Val: retErrno | uint32(unix.EPERM)})
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return nil, fmt.Errorf("assemble filter: %w", err)
	}
	return raw, nil
}

// forKernel is the filter as the kernel takes it.
func forKernel(prog []bpf.RawInstruction) *unix.SockFprog {
	raw := make([]unix.SockFilter, len(prog))
	for i, p := range prog {
		raw[i] = unix.SockFilter{Code: p.Op, Jt: p.Jt, Jf: p.Jf, K: p.K}
	}
	return &unix.SockFprog{Len: uint16(len(raw)), Filter: &raw[0]}
}

// filter puts the list of system calls on this thread and on all others of the process. It cannot be
// undone; exec keeps it.
func filter(f *unix.SockFprog) error {
	n, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(f)))
	switch {
	case errno != 0:
		return errno
	case n != 0:
		return fmt.Errorf("thread %d could not be included", n)
	}
	return nil
}
