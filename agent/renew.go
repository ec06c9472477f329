package agent

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	controlv1 "primum/proto/control/v1"
)

// renewAgain is the wait after a renewal that failed. A certificate lives a day and is renewed after two
// thirds of it, so that a controller may be away for a night.
const renewAgain = 5 * time.Minute

// renewAt is when a certificate is due for renewal.
func renewAt(leaf *x509.Certificate) time.Time {
	return leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) * 2 / 3)
}

// keepIdentity renews the agent's certificate before it ends, until ctx ends (H-011).
func (a *Agent) keepIdentity(ctx context.Context) {
	for {
		wait := renewAgain
		if pair, err := tls.LoadX509KeyPair(filepath.Join(a.cfg.Data, certFile), filepath.Join(a.cfg.Data, keyFile)); err != nil {
			a.log.Error("read certificate", "error", err)
		} else if due := time.Until(renewAt(pair.Leaf)); due > 0 {
			wait = due
		} else if err := renew(ctx, a.cfg.Data, a.id.Controller, pair); err != nil {
			a.log.Warn("renew certificate", "ends", pair.Leaf.NotAfter.Format(time.DateTime), "error", err)
		} else {
			a.log.Info("certificate renewed")
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// renew asks for a new certificate for the same key, and puts it in the place of the old one only when it
// is one for that key, names the same agent and lasts longer.
func renew(ctx context.Context, data, controller string, pair tls.Certificate) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "primum agent"}}, pair.PrivateKey)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	c, err := creds(data)
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient("passthrough:///"+controller, grpc.WithTransportCredentials(c))
	if err != nil {
		return err
	}
	resp, err := controlv1.NewEnrollmentServiceClient(conn).Renew(ctx, &controlv1.RenewRequest{Csr: csr})
	if err = errors.Join(err, conn.Close()); err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: resp.GetCertificate()})
	keyText, err := os.ReadFile(filepath.Join(data, keyFile))
	if err != nil {
		return err
	}
	fresh, err := tls.X509KeyPair(text, keyText)
	if err != nil {
		return fmt.Errorf("the controller's certificate is not one for this agent's key: %w", err)
	}
	if fresh.Leaf.Subject.CommonName != pair.Leaf.Subject.CommonName || !fresh.Leaf.NotAfter.After(pair.Leaf.NotAfter) {
		return fmt.Errorf("the controller's certificate names another agent, or does not last longer")
	}
	path := filepath.Join(data, certFile)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
