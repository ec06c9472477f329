package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"primum/controller/internal/api"
	"primum/controller/internal/approve"
	"primum/controller/internal/auth"
	"primum/controller/internal/bell"
	"primum/controller/internal/dispatch"
	"primum/controller/internal/enroll"
	"primum/controller/internal/fire"
	"primum/controller/internal/safety"
	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
)

// Version of the controller program.
const Version = "0.1.0"

// Config is what a controller needs.
type Config struct {
	Data     string        // data directory; made at the first start
	Admin    string        // host:port of the admin API
	Control  string        // host:port of the control plane
	Hosts    []string      // further names and addresses under which it is reached
	ListRoot []byte        // root of the safety list (TUF metadata)
	Lease    time.Duration // at most 15 s
	Log      *slog.Logger
}

// MaxLease is the longest leave that an agent gets (DESIGN 6.8).
const MaxLease = 15 * time.Second

// Run serves until ctx ends. What it writes into the data directory for others: authority.crt,
// admin.token (first start), admin.address and control.address.
func Run(ctx context.Context, cfg Config) (err error) {
	if cfg.Lease <= 0 || cfg.Lease > MaxLease {
		return fmt.Errorf("a lease lasts from 1 ms to %s, not %s", MaxLease, cfg.Lease)
	}
	db, err := store.Open(ctx, cfg.Data, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	lists, err := safety.Open(ctx, db, cfg.ListRoot)
	if err != nil {
		return err
	}
	minter, err := approve.LoadMinter(cfg.Data)
	if err != nil {
		return err
	}
	adminL, controlL, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	authority, err := enroll.LoadAuthority(cfg.Data, hosts(cfg, adminL, controlL), time.Now())
	if err == nil {
		err = firstToken(ctx, db, cfg.Data)
	}
	if err != nil {
		return errors.Join(err, adminL.Close(), controlL.Close())
	}
	news := &bell.Bell{}
	agents := &dispatch.Service{Store: db, Safety: lists, Minter: minter, Bell: news, Now: time.Now, Log: cfg.Log, Lease: cfg.Lease, Began: time.Now()}
	people := &api.API{Store: db, Safety: lists, Bell: news, Online: agents.Online, Silent: agents.Silent, Lost: agents.Lost, Away: agents.TurnedAway, Authority: authority.Fingerprint(), Now: time.Now, Log: cfg.Log}
	agents.Device = people.DeviceNow
	gate := auth.Gate{Store: db}

	admin := grpc.NewServer(grpc.Creds(credentials.NewTLS(authority.ServerTLS(false, time.Now))), grpc.UnaryInterceptor(gate.Unary), grpc.StreamInterceptor(gate.Stream),
		grpc.MaxRecvMsgSize(40<<20), grpc.ConnectionTimeout(10*time.Second))
	people.Register(admin)
	ready := health.NewServer()
	healthv1.RegisterHealthServer(admin, ready)
	reflection.Register(admin)

	control := grpc.NewServer(grpc.Creds(credentials.NewTLS(authority.ServerTLS(true, time.Now))), grpc.MaxRecvMsgSize(1<<20), grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}))
	controlv1.RegisterAgentServiceServer(control, agents)
	controlv1.RegisterEnrollmentServiceServer(control, &enroll.Service{Authority: authority, Store: db, PermitKey: minter.Public(), ListRoot: cfg.ListRoot, Now: time.Now, Log: cfg.Log})

	return serve(ctx, cfg, news, db, agents, map[*grpc.Server]net.Listener{admin: adminL, control: controlL}, ready)
}

// serve owns every loop, and waits for all of them.
func serve(ctx context.Context, cfg Config, news *bell.Bell, db *store.Store, agents *dispatch.Service, servers map[*grpc.Server]net.Listener, ready *health.Server) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	var mu sync.Mutex
	var failed error
	clock := &fire.Clock{Store: db, Bell: news, Now: time.Now, Log: cfg.Log}
	all.Go(func() { clock.Run(ctx) })
	for s, l := range servers {
		all.Go(func() {
			if err := s.Serve(l); err != nil {
				mu.Lock()
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
			stop()
		})
	}
	cfg.Log.Info("controller is ready", "data", cfg.Data)
	<-ctx.Done()
	ready.Shutdown()
	for s := range servers {
		s.Stop()
	}
	all.Wait()
	agents.Wait()
	return failed
}

func listen(ctx context.Context, cfg Config) (admin, control net.Listener, err error) {
	var lc net.ListenConfig
	if admin, err = lc.Listen(ctx, "tcp", cfg.Admin); err != nil {
		return nil, nil, fmt.Errorf("serve the admin API: %w", err)
	}
	if control, err = lc.Listen(ctx, "tcp", cfg.Control); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("serve the control plane: %w", err), admin.Close())
	}
	err = errors.Join(os.WriteFile(filepath.Join(cfg.Data, "admin.address"), []byte(admin.Addr().String()+"\n"), 0o644),
		os.WriteFile(filepath.Join(cfg.Data, "control.address"), []byte(control.Addr().String()+"\n"), 0o644))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("write addresses: %w", err), admin.Close(), control.Close())
	}
	return admin, control, nil
}

// hosts are the names that the server's certificate carries.
func hosts(cfg Config, listeners ...net.Listener) []string {
	all := append([]string{}, cfg.Hosts...)
	for _, l := range listeners {
		host, _, err := net.SplitHostPort(l.Addr().String())
		if err == nil && !strings.Contains(strings.Join(all, " ")+" ", host+" ") {
			all = append(all, host)
		}
	}
	return all
}

// firstToken leaves the first administrator's token in the data directory, once.
func firstToken(ctx context.Context, db *store.Store, dir string) error {
	n, err := db.TokenCount(ctx)
	if err != nil || n > 0 {
		return err
	}
	token, err := auth.NewToken(ctx, db, "admin", auth.Admin, store.Audit{At: time.Now(), Actor: "controller", Verb: "create token", Resource: "tokens/admin"})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "admin.token"), []byte(token+"\n"), 0o600)
}
