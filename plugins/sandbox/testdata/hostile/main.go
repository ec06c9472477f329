// Command hostile is a plugin that means harm. It does what its own file name says: mode, dash, argument in
// hex. It has no other way to be told anything, because a plugin gets no arguments and no environment.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"

	"primum/plugins/sdk"
	probev1 "primum/proto/probe/v1"
)

// int80 makes a system call of i386.
func int80(call, a, b, c uintptr) uintptr

func main() {
	mode, arg, _ := strings.Cut(os.Args[0], "-")
	raw, _ := hex.DecodeString(arg)
	value := string(raw)
	switch mode {
	case "say": // a first line of its own
		fmt.Println(value)
		time.Sleep(time.Minute)
	case "link": // a real socket in the right directory, which is somebody else's
		_ = os.Link(value, "s")
		fmt.Println("1|1|unix|s|grpc|")
		time.Sleep(time.Minute)
	case "silent":
		time.Sleep(time.Minute)
	case "exit":
		os.Exit(7)
	case "crash":
		*(*int)(nil) = 1
	case "forge":
		fmt.Fprint(os.Stderr, value)
		os.Exit(1)
	case "stream":
		for {
			if _, err := os.Stderr.WriteString(strings.Repeat("all work and no play ", 1<<12)); err != nil {
				os.Exit(1)
			}
		}
	case "frames":
		goplugin.Serve(&goplugin.ServeConfig{HandshakeConfig: sdk.Handshake(), GRPCServer: goplugin.DefaultGRPCServer,
			Plugins: goplugin.PluginSet{sdk.PluginName: &flood{}}})
		return
	}
	sdk.Serve(plugin{mode, value})
}

// flood answers a conversation with frames that do not end.
type flood struct {
	goplugin.NetRPCUnsupportedPlugin
	probev1.UnimplementedProbeServer
}

func (f *flood) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	probev1.RegisterProbeServer(s, f)
	return nil
}

func (*flood) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

func (*flood) Run(stream probev1.Probe_RunServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.GetDescribe() != nil {
		return stream.Send(&probev1.PluginFrame{Step: &probev1.PluginFrame_Description{Description: &probev1.Description{Name: "hostile", Version: "1", Kinds: []string{sdk.KindSNMPGet}}}})
	}
	frame := &probev1.PluginFrame{Step: &probev1.PluginFrame_Send{Send: &probev1.Send{Message: make([]byte, 512<<10)}}}
	for {
		if err := stream.Send(frame); err != nil {
			return err
		}
	}
}

// plugin describes itself, once; what it does then is its mode.
type plugin struct{ mode, value string }

func (p plugin) Describe() sdk.Description {
	d := sdk.Description{Name: "hostile", Version: "1", Kinds: []string{sdk.KindSNMPGet}}
	switch p.mode {
	case "acts":
		dir, agent, _ := strings.Cut(p.value, "|")
		text, _ := json.Marshal(tried(dir, agent))
		d.Kinds = append(d.Kinds, string(text))
	case "reach": // what a plugin can reach that is not confined
		out := map[string]string{}
		network(out, func(string, error) {}, p.value)
		d.Kinds = append(d.Kinds, fmt.Sprint(out))
	case "hang":
		select {}
	case "panic":
		panic("in the middle of a description")
	case "abort":
		_ = unix.Kill(os.Getpid(), unix.SIGABRT)
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		os.Exit(9)
	case "giant":
		d.Kinds = append(d.Kinds, strings.Repeat("x", 2<<20))
	case "i386":
		// socket(AF_INET, SOCK_DGRAM), as number 359 of i386
		d.Kinds = append(d.Kinds, fmt.Sprint("i386 gave ", int80(359, unix.AF_INET, unix.SOCK_DGRAM, 0)))
	case "x32":
		_, _, errno := syscall.RawSyscall(0x40000000|unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM, 0)
		d.Kinds = append(d.Kinds, "x32 gave "+errno.Error())
	case "memory":
		var all [][]byte
		for {
			b := make([]byte, 16<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			all = append(all, b)
		}
	case "pages": // tables of pages are memory too
		for range 1 << 20 {
			b, err := unix.Mmap(-1, 0, 1<<30, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
			if err != nil {
				d.Kinds = append(d.Kinds, "pages "+err.Error())
				break
			}
			sum := byte(0)
			for i := 0; i < len(b); i += 2 << 20 {
				sum += b[i]
			}
			if sum != 0 {
				panic("fresh memory is not empty")
			}
		}
	case "grow":
		fd, err := unix.Open("full", unix.O_CREAT|unix.O_WRONLY, 0o600)
		if err == nil {
			_, err = unix.Write(fd, []byte("x"))
		}
		d.Kinds = append(d.Kinds, fmt.Sprint("a file grew: ", err))
	case "threads":
		for range 1000 {
			go func() {
				runtime.LockOSThread()
				select {}
			}()
		}
		time.Sleep(time.Second)
		d.Kinds = append(d.Kinds, "a thousand threads")
	case "spin":
		go func() {
			for {
			}
		}()
	}
	return d
}

func (p plugin) Begin(sdk.Question) (sdk.Conversation, error) { return nil, sdk.ErrUnknownQuestion }
