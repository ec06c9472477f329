package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
)

// Hospital is a set of running glass devices and their judge.
type Hospital struct {
	name      string
	community string
	approved  *approvedTime
	crowd     *crowd
	devices   []*Device
	stop      context.CancelFunc
}

// Start binds every device and serves until ctx ends or Close is called. An
// error means that nothing is left running.
func Start(ctx context.Context, cfg Config) (*Hospital, error) {
	if cfg.Community == "" {
		cfg.Community = newCommunity()
	}
	if len(cfg.Community) > 32 {
		return nil, errors.New("read community: over 32 characters")
	}
	inner, stop := context.WithCancel(ctx)
	h := &Hospital{name: cfg.Name, community: cfg.Community, approved: &approvedTime{}, crowd: newCrowd(), stop: stop}
	tags := map[string]bool{}
	for _, c := range cfg.Devices {
		if tags[c.Tag] {
			return nil, errors.Join(fmt.Errorf("read hospital: asset tag %s stands twice", c.Tag), h.Close())
		}
		tags[c.Tag] = true
		d, err := open(inner, c, cfg.Community, h.approved, h.crowd)
		if err != nil {
			return nil, errors.Join(err, h.Close())
		}
		h.devices = append(h.devices, d)
	}
	for _, d := range h.devices {
		d.run(inner)
	}
	return h, nil
}

// newCommunity makes 16 characters of a-z0-9.
func newCommunity() string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	out := make([]byte, 0, 16)
	for len(out) < 16 {
		var b [1]byte
		_, _ = rand.Read(b[:]) // never fails: the program ends instead
		if int(b[0]) < 7*len(letters) {
			out = append(out, letters[int(b[0])%len(letters)])
		}
	}
	return string(out)
}

// Close ends all devices and waits for them. The report stays readable.
func (h *Hospital) Close() error {
	h.stop()
	var errs []error
	for _, d := range h.devices {
		if err := d.unbind(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, fmt.Errorf("close %s: %w", d.cfg.Tag, err))
		}
	}
	for _, d := range h.devices {
		d.group.Wait()
	}
	return errors.Join(errs...)
}

// Name is the hospital's name.
func (h *Hospital) Name() string { return h.name }

// Community is what all SNMP devices of the hospital expect.
func (h *Hospital) Community() string { return h.community }

// Devices are all devices in the order of the configuration.
func (h *Hospital) Devices() []*Device { return append([]*Device(nil), h.devices...) }

// Device finds a device by its asset tag.
func (h *Hospital) Device(tag string) (*Device, bool) {
	for _, d := range h.devices {
		if d.cfg.Tag == tag {
			return d, true
		}
	}
	return nil, false
}

// SetWindow tells the judge the approved time; it replaces what was told.
func (h *Hospital) SetWindow(w Window) error { return h.approved.tell(w) }

// Report is everything that all devices received so far.
func (h *Hospital) Report() Report {
	r := Report{Hospital: h.name}
	for _, d := range h.devices {
		r.add(d.Report())
	}
	r.Crowd = h.crowd.report()
	return r
}
