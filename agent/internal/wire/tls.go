package wire

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"time"

	list "primum/safetylists"
)

// errPin says that the device has shown another certificate than the approved one.
var errPin = errors.New("the device shows another certificate than the registered one")

// counted counts what a handshake sends and hears.
type counted struct {
	net.Conn
	sent, heard int
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.heard += n
	return n, err
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.sent += n
	return n, err
}

// secure speaks TLS to the holder of the approved certificate, or ends the conversation before the first
// octet of its protocol: there is no way back to plain TCP, no second attempt and no other version than what
// one handshake settles (D10, H13). Whom the certificate was issued to or by is not asked: the site registered
// this one.
func (c *Conversation) secure(ctx context.Context, pin string) error {
	want, err := hex.DecodeString(pin)
	if err != nil || len(want) != sha256.Size {
		return c.end(Local, "the approved certificate cannot be read")
	}
	raw := &counted{Conn: c.conn}
	conn := tls.Client(raw, &tls.Config{
		MinVersion: tls.VersionTLS12, // BCP 195, PS3.15 B.12
		// The library's own checks would ask for a name and an authority; devices sign for themselves. What
		// is checked instead is stricter: the octets of the one certificate.
		InsecureSkipVerify:     true, //nolint:gosec
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errPin
			}
			got := sha256.Sum256(s.PeerCertificates[0].Raw)
			if subtle.ConstantTimeCompare(got[:], want) != 1 {
				return fmt.Errorf("%w: %x", errPin, got)
			}
			return nil
		},
	})
	if err := c.conn.SetDeadline(c.stepDeadline()); err != nil {
		return c.end(Local, err.Error())
	}
	// Not HandshakeContext: at the end of ctx it closes the connection, which the device may see as a reset (G5).
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	err = conn.Handshake()
	stop()
	c.s.Last = c.d.now()
	c.s.Octets += raw.sent
	if recErr := c.rec.Sent(c.s.Last, fmt.Sprintf("TLS handshake, %d octets", raw.sent), nil); recErr != nil {
		return c.end(Local, recErr.Error())
	}
	var garbage tls.RecordHeaderError
	switch {
	case errors.Is(err, errPin):
		return c.halt(list.Refuse(list.CertificateChanged, err.Error()))
	case errors.As(err, &garbage):
		return c.end(BadReply, "the device does not speak TLS")
	case err != nil:
		return c.failed(half(raw.heard, err))
	}
	c.tls = conn
	return nil
}
