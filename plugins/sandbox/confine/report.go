package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The child's descriptors.
const (
	fdImage  = 3
	fdStatus = 4
	fdDir    = 5
)

// said is one message of the child on its way: it is ready, a step failed, or what came of its tries.
// Every one of them is written by this package, before anything of a plugin runs.
type said struct {
	Ready      bool              `json:"ready,omitempty"` // with the descriptor of its directory
	Namespaces map[string]string `json:"namespaces,omitempty"`
	Failed     string            `json:"failed,omitempty"`
	Acts       []Act             `json:"acts,omitempty"`
}

const maxSaid = 32 << 10

func say(s said, rights []byte) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return unix.Sendmsg(fdStatus, b, rights, nil, 0)
}

// Place is where a confined process ended up.
type Place struct {
	Dir        *os.File // its directory, an O_PATH descriptor; close it
	Namespaces map[string]string
	Acts       []Act // what came of its tries, if it was to try
}

// Await hears the child until it executes the plugin, and gives it leave in between: a child whose agent
// died before it could ask to die with it gets none. An error wraps ErrConfine.
func (c *Child) Await(deadline time.Time) (_ *Place, err error) {
	defer c.status.Close()
	if err := c.status.SetDeadline(deadline); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfine, err)
	}
	place := &Place{}
	defer func() {
		if err != nil && place.Dir != nil {
			_ = place.Dir.Close()
		}
	}()
	for {
		s, dir, err := hear(c.status)
		if dir != nil {
			if place.Dir != nil {
				_ = place.Dir.Close()
			}
			place.Dir = dir
		}
		switch {
		case errors.Is(err, io.EOF) && place.Dir != nil:
			return place, nil
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("%w: the process ended before it was ready", ErrConfine)
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrConfine, err)
		case s.Failed != "":
			return nil, fmt.Errorf("%w: %s", ErrConfine, s.Failed)
		case s.Ready && dir != nil:
			place.Namespaces = s.Namespaces
			if _, err := c.status.Write([]byte{1}); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrConfine, err)
			}
		default:
			place.Acts = append(place.Acts, s.Acts...)
		}
	}
}

// hear reads one message, and the descriptor that came with it.
func hear(conn *net.UnixConn) (s said, dir *os.File, err error) {
	b, oob := make([]byte, maxSaid), make([]byte, unix.CmsgSpace(4))
	n, m, _, _, err := conn.ReadMsgUnix(b, oob)
	if err != nil {
		return said{}, nil, err
	}
	if n == 0 {
		return said{}, nil, io.EOF
	}
	if m > 0 {
		messages, err := unix.ParseSocketControlMessage(oob[:m])
		if err != nil {
			return said{}, nil, err
		}
		for _, message := range messages {
			fds, err := unix.ParseUnixRights(&message)
			if err != nil || len(fds) != 1 {
				return said{}, nil, errors.Join(err, errors.New("one descriptor was expected"))
			}
			unix.CloseOnExec(fds[0])
			dir = os.NewFile(uintptr(fds[0]), "plugin directory")
		}
	}
	return s, dir, json.Unmarshal(b[:n], &s)
}
