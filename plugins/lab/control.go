package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Names of the files that a served hospital keeps in its folder.
const (
	fileSocket    = "lab.sock"
	fileInventory = "inventory.csv"
	fileLeases    = "dnsmasq.leases"
	fileCommunity = "community"
	fileReady     = "ready"
	fileFinal     = "final.json"
)

// ErrNoAnswer says that no lab serves the folder and none has left its last
// report there.
var ErrNoAnswer = errors.New("no lab is serving this folder")

// request and response are the control socket's only messages: one JSON
// object each way, then the connection ends.
type request struct {
	Window     *Window `json:"window,omitempty"`
	Transcript string  `json:"transcript,omitempty"`
}

type response struct {
	Error      string  `json:"error,omitempty"`
	Report     *Report `json:"report,omitempty"`
	Transcript []Entry `json:"transcript,omitempty"`
}

// last is what a lab leaves behind when it ends.
type last struct {
	Report      Report             `json:"report"`
	Transcripts map[string][]Entry `json:"transcripts"`
}

// answer does what a request asks for.
func (h *Hospital) answer(in request) response {
	switch {
	case in.Window != nil:
		if err := h.SetWindow(*in.Window); err != nil {
			return response{Error: err.Error()}
		}
		return response{}
	case in.Transcript != "":
		d, found := h.Device(in.Transcript)
		if !found {
			return response{Error: "no device has the tag " + in.Transcript}
		}
		return response{Transcript: d.Transcript()}
	}
	report := h.Report()
	return response{Report: &report}
}

// converse serves one connection of the control socket.
func (h *Hospital) converse(conn net.Conn) {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return
	}
	var in request
	out := response{}
	decoder := json.NewDecoder(io.LimitReader(conn, 64<<10))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		out.Error = fmt.Sprintf("read request: %v", err)
	} else {
		out = h.answer(in)
	}
	// A caller that has gone away needs no answer.
	_ = json.NewEncoder(conn).Encode(out)
}

func ask(ctx context.Context, dir string, in request) (response, error) {
	var out response
	var dialer net.Dialer
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "unix", filepath.Join(dir, fileSocket))
	if err != nil {
		return out, errors.Join(ErrNoAnswer, err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return out, fmt.Errorf("set deadline: %w", err)
	}
	if err := json.NewEncoder(conn).Encode(in); err != nil {
		return out, fmt.Errorf("ask lab: %w", err)
	}
	if err := json.NewDecoder(conn).Decode(&out); err != nil {
		return out, fmt.Errorf("read answer of lab: %w", err)
	}
	if out.Error != "" {
		return out, errors.New(out.Error)
	}
	return out, nil
}

// left reads what a lab that has ended left in its folder.
func left(dir string) (last, error) {
	var l last
	raw, err := os.ReadFile(filepath.Join(dir, fileFinal))
	if errors.Is(err, fs.ErrNotExist) {
		return l, ErrNoAnswer
	}
	if err != nil {
		return l, fmt.Errorf("read last report: %w", err)
	}
	if err := json.Unmarshal(raw, &l); err != nil {
		return l, fmt.Errorf("read last report: %w", err)
	}
	return l, nil
}

// TellWindow tells the lab serving dir the approved time.
func TellWindow(ctx context.Context, dir string, w Window) error {
	_, err := ask(ctx, dir, request{Window: &w})
	return err
}

// FetchReport asks the lab serving dir for its report; from a lab that has
// ended it is the last one.
func FetchReport(ctx context.Context, dir string) (Report, error) {
	out, err := ask(ctx, dir, request{})
	if errors.Is(err, ErrNoAnswer) {
		l, lastErr := left(dir)
		return l.Report, lastErr
	}
	if err != nil {
		return Report{}, err
	}
	if out.Report == nil {
		return Report{}, errors.New("read answer of lab: no report in it")
	}
	return *out.Report, nil
}

// FetchTranscript asks for everything that one device received.
func FetchTranscript(ctx context.Context, dir, tag string) ([]Entry, error) {
	out, err := ask(ctx, dir, request{Transcript: tag})
	if errors.Is(err, ErrNoAnswer) {
		l, lastErr := left(dir)
		if lastErr != nil {
			return nil, lastErr
		}
		entries, found := l.Transcripts[tag]
		if !found {
			return nil, fmt.Errorf("no device has the tag %s", tag)
		}
		return entries, nil
	}
	return out.Transcript, err
}
