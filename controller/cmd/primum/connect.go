package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	list "primum/safetylists"
)

// callTime is the deadline of an ordinary call.
const callTime = 30 * time.Second

// client is the connection to the controller.
type client struct {
	conn    *grpc.ClientConn
	address string
}

type bearer string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (b bearer) RequireTransportSecurity() bool { return true }

// errInput is bad input: what, where, what to do.
type errInput struct{ words string }

func (e errInput) Error() string { return e.words }

func input(format string, args ...any) error { return errInput{fmt.Sprintf(format, args...)} }

func connect(cli commandLine) (*client, error) {
	at := func(given, name string) (string, error) {
		if given != "" {
			return given, nil
		}
		if cli.Home == "" {
			return "", input("say where the controller is: --home DIR (or PRIMUM_HOME), its data directory, or --server, --authority and --token-file")
		}
		return filepath.Join(cli.Home, name), nil
	}
	read := func(given, name string) (string, error) {
		path, err := at(given, name)
		if err != nil {
			return "", err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return "", input("there is no %s; is the controller started, and is --home its data directory?", path)
		}
		if err != nil {
			return "", input("%v; it is needed to reach the controller", err)
		}
		return strings.TrimSpace(string(b)), nil
	}
	address := cli.Server
	if address == "" {
		var err error
		if address, err = read("", "admin.address"); err != nil {
			return nil, err
		}
	}
	if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
		return nil, input("the controller's address %q is not host:port, such as 127.0.0.1:7443", address)
	}
	pem, err := read(cli.Authority, "authority.crt")
	if err != nil {
		return nil, err
	}
	token, err := read(cli.TokenFile, "admin.token")
	if err != nil {
		return nil, err
	}
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, input("the token file does not hold one token, and nothing else")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(pem)) {
		return nil, input("the authority's file holds no certificate in PEM; it is authority.crt of the controller's data directory")
	}
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots})),
		grpc.WithPerRPCCredentials(bearer(token)), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	return &client{conn, address}, nil
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close() // the program ends
	}
}

// call runs one call with its deadline.
func call[Q, R any](f func(context.Context, Q, ...grpc.CallOption) (R, error), q Q) (R, error) {
	return callFor(callTime, f, q)
}

func callFor[Q, R any](d time.Duration, f func(context.Context, Q, ...grpc.CallOption) (R, error), q Q) (R, error) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return f(ctx, q)
}

// explain says an error in words and returns the exit code.
func explain(w io.Writer, c *client, err error) int {
	var bad errInput
	var no refusedError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &bad):
		fmt.Fprintln(w, "primum:", plain(bad.words))
		return exitUsage
	case errors.As(err, &no):
		fmt.Fprintln(w, "primum:", plain(no.words))
		return exitRefused
	}
	// not status.FromError, which puts the whole chain of a wrapped error into the message
	var of interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &of) {
		fmt.Fprintln(w, "primum:", plain(err.Error()))
		return exitFailed
	}
	s := of.GRPCStatus()
	switch s.Code() {
	case codes.Unavailable, codes.DeadlineExceeded:
		address := ""
		if c != nil {
			address = " at " + plain(c.address)
		}
		if s.Code() == codes.DeadlineExceeded {
			fmt.Fprintf(w, "primum: the controller%s did not answer in time. It may have done what was asked: look before you try again.\n", address)
			return exitUnreachable
		}
		fmt.Fprintf(w, "primum: the controller%s cannot be reached (%s). Check that it is running, that the address is right, and that authority.crt is its own.\n", address, plain(s.Message()))
		return exitUnreachable
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists:
		fmt.Fprintln(w, "primum:", plain(s.Message()))
		return exitUsage
	case codes.PermissionDenied, codes.Unauthenticated, codes.FailedPrecondition:
		refusal(w, s)
		return exitRefused
	default:
		fmt.Fprintln(w, "primum:", plain(s.Message()))
		return exitFailed
	}
}

// refusal prints what did not happen, why, and what to do. The words of a code are those of this program;
// only a code that it does not know leaves the controller's own.
func refusal(w io.Writer, s *status.Status) {
	for _, d := range s.Details() {
		info, ok := d.(*errdetails.ErrorInfo)
		if !ok {
			continue
		}
		fmt.Fprintf(w, "primum: refused: %s\n", plain(info.GetReason()))
		reason := list.Reason(info.GetReason())
		if !slices.Contains(list.Reasons(), reason) {
			break
		}
		words := reason.Words()
		fmt.Fprintf(w, "  %s %s\n", words.What, words.Why)
		if detail := info.GetMetadata()["detail"]; detail != "" {
			fmt.Fprintf(w, "  In particular: %s\n", plain(detail))
		}
		fmt.Fprintf(w, "  %s\n", words.Do)
		return
	}
	fmt.Fprintln(w, "primum: refused:", plain(s.Message()))
}

// refusedError ends a command that did what it was told, and found a no.
type refusedError struct{ words string }

func (e refusedError) Error() string { return e.words }
