package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// leaseEvery is how often the lease file is written anew, as a DHCP server does.
const leaseEvery = time.Minute

// Serve keeps the papers of a running hospital in dir and answers on its
// control socket until ctx ends. Then it closes the hospital and leaves the
// last report in dir.
func Serve(ctx context.Context, h *Hospital, dir string) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return errors.Join(fmt.Errorf("make folder: %w", err), h.Close())
	}
	for _, stale := range []string{fileReady, fileFinal, fileSocket} {
		if err := os.Remove(filepath.Join(dir, stale)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fmt.Errorf("remove what an earlier lab left: %w", err), h.Close())
		}
	}
	var lc net.ListenConfig
	socket, err := lc.Listen(ctx, "unix", filepath.Join(dir, fileSocket))
	if err != nil {
		return errors.Join(fmt.Errorf("open control socket (its path may have 107 octets): %w", err), h.Close())
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			group.Go(func() { h.converse(conn) })
		}
	})
	defer func() {
		err = errors.Join(err, socket.Close())
		group.Wait()
		err = errors.Join(err, h.Close(), h.writeLast(dir))
		if gone := os.Remove(filepath.Join(dir, fileReady)); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}()
	if err := h.writePapers(dir, time.Now()); err != nil {
		return err
	}
	again := time.NewTicker(leaseEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case at := <-again.C:
			if err := h.writeLeaseFile(dir, at); err != nil {
				return err
			}
		}
	}
}

func (h *Hospital) writePapers(dir string, at time.Time) error {
	var inventory bytes.Buffer
	if err := h.WriteInventory(&inventory, at); err != nil {
		return err
	}
	if err := replace(dir, fileInventory, 0o644, inventory.Bytes()); err != nil {
		return err
	}
	if err := h.writeLeaseFile(dir, at); err != nil {
		return err
	}
	if err := replace(dir, fileCommunity, 0o600, []byte(h.community+"\n")); err != nil {
		return err
	}
	return replace(dir, fileReady, 0o644, []byte(at.UTC().Format(time.RFC3339)+"\n"))
}

func (h *Hospital) writeLeaseFile(dir string, at time.Time) error {
	var leases bytes.Buffer
	if err := h.WriteLeases(&leases, at); err != nil {
		return err
	}
	return replace(dir, fileLeases, 0o644, leases.Bytes())
}

func (h *Hospital) writeLast(dir string) error {
	l := last{Report: h.Report(), Transcripts: map[string][]Entry{}}
	for _, d := range h.devices {
		l.Transcripts[d.cfg.Tag] = d.Transcript()
	}
	raw, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("write last report: %w", err)
	}
	return replace(dir, fileFinal, 0o600, raw)
}

// replace writes a file so that a reader sees the old one or the new one.
func replace(dir, name string, mode fs.FileMode, content []byte) (err error) {
	f, err := os.CreateTemp(dir, "."+name+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, name))
}

// WriteTranscript writes a transcript for people, one event a line.
func WriteTranscript(w io.Writer, entries []Entry) error {
	var out bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&out, "%s %-6s %-9s", e.At.UTC().Format("2006-01-02T15:04:05.000000Z"), e.Service, e.Event)
		for _, text := range []string{e.From, e.Hex, e.Note} {
			if text != "" {
				out.WriteString(" " + text)
			}
		}
		out.WriteByte('\n')
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("write transcript: %w", err)
	}
	return nil
}
