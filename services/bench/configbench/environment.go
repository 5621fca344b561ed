package configbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

const (
	adminToken   = "bench-admin-0123456789"
	serviceToken = "bench-service-0123456789"
)

// place is where the services of one run keep their files.
type place struct {
	dir          string
	certs        certificates
	installation *seal.Installation
	remove       func() error
}

func newPlace() (*place, error) {
	dir, err := os.MkdirTemp("", "throughline-bench-*")
	if err != nil {
		return nil, err
	}
	p := &place{dir: dir, remove: func() error { return os.RemoveAll(dir) }}
	if p.certs, err = newCertificates(p.dir); err != nil {
		return nil, errors.Join(err, p.remove())
	}
	if p.installation, err = seal.NewInstallation(); err != nil {
		return nil, errors.Join(err, p.remove())
	}
	return p, nil
}

// fixedClock stands still, so that outcomes of a kept database have the same age in every run.
type fixedClock struct{ now time.Time }

func (c fixedClock) Now() time.Time { return c.now }

// service is a running config service with a caller of each role.
type service struct {
	*config.Service
	place          *place
	stop           context.CancelFunc
	done           chan error
	conns          []*grpc.ClientConn
	admin, trusted configv1.ConfigServiceClient
	days           configv1.RunLogServiceClient
}

// file names a file that is gone after the run.
func (p *place) file(name string) string { return filepath.Join(p.dir, name) }

// start runs a service on a database file, or as change says.
func (p *place) start(file string, change func(*config.Config, *config.Deps)) (*service, error) {
	cfg := config.DefaultConfig()
	cfg.Listen, cfg.Embedded, cfg.TLS = "127.0.0.1:0", true, p.certs.server()
	cfg.Database.SQLitePath = file
	cfg.Callers = []config.Caller{
		{Name: "admin", Role: config.RoleAdmin, Token: secret.New(adminToken)},
		{Name: "service", Role: config.RoleService, Token: secret.New(serviceToken)},
	}
	deps := config.Deps{Installation: p.installation}
	if change != nil {
		change(&cfg, &deps)
	}
	svc, err := config.New(cfg, deps)
	if err != nil {
		return nil, err
	}
	s := &service{Service: svc, place: p, done: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() { s.done <- svc.Run(ctx) }()
	admin, err := s.dial(adminToken)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	trusted, err := s.dial(serviceToken)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.admin, s.trusted = configv1.NewConfigServiceClient(admin), configv1.NewConfigServiceClient(trusted)
	s.days = configv1.NewRunLogServiceClient(trusted)
	return s, nil
}

func (s *service) dial(token string) (*grpc.ClientConn, error) {
	conn, err := s.place.dial(s.Addr(), token)
	if err == nil {
		s.conns = append(s.conns, conn)
	}
	return conn, err
}

func (p *place) dial(addr, token string) (*grpc.ClientConn, error) {
	return settings.Dial(settings.Config{Target: addr, Token: secret.New(token), TLS: p.certs.client()}, settings.Deps{})
}

func (s *service) close() error {
	var errs []error
	for _, c := range s.conns {
		errs = append(errs, c.Close())
	}
	s.stop()
	return errors.Join(append(errs, <-s.done)...)
}

// workspace creates one with a connection to the org, unless it is there.
func (s *service) workspace(ctx context.Context, id, org string) error {
	known, err := s.admin.ListWorkspaces(ctx, &configv1.ListWorkspacesRequest{})
	if err != nil {
		return err
	}
	for _, w := range known.GetWorkspaces() {
		if w.GetId() == id {
			return nil
		}
	}
	if _, err := s.admin.PutWorkspace(ctx, &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{Id: id, Name: id}}); err != nil {
		return err
	}
	_, err = s.admin.PutConnection(ctx, &configv1.PutConnectionRequest{Connection: &configv1.Connection{
		Workspace: id, Id: connectionID, LoginUrl: org,
		Grant: &configv1.Connection_ClientCredentials{ClientCredentials: &configv1.ClientCredentials{
			ClientId: "bench", ClientSecret: "bench-secret",
		}},
	}})
	return err
}

const connectionID = "main"

func workspaceID(n int) string { return fmt.Sprintf("workspace-%03d", n) }

// bench is one run.
type bench struct {
	cfg    Config
	w      io.Writer
	place  *place
	result Result
}
