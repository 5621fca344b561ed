package config

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"buf.build/go/protovalidate"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	grpchealth "google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/throughline-dev/throughline/libs/certs"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/api"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/limit"
)

const (
	readyTimeout   = 2 * time.Second
	connectTimeout = 10 * time.Second
	// Clients may ping this often; ours do every 30 s.
	minPing = 15 * time.Second
	// A client that is gone without saying so is noticed after this.
	serverPing = time.Minute
)

type health = grpchealth.Server

// newServers builds the gRPC server with everything registered, and the gateway to one like it.
func (s *Service) newServers() error {
	gate, err := s.newGate()
	if err != nil {
		return err
	}
	var transport []grpc.ServerOption
	if s.cfg.TLS.CertFile != "" {
		secured, err := s.cfg.TLS.credentials()
		if err != nil {
			return err
		}
		transport = append(transport, grpc.Creds(secured))
	}
	s.grpc = s.newServer(gate, transport...)
	s.health = grpchealth.NewServer()
	s.health.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	healthv1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	return s.newHTTP(gate)
}

func (s *Service) newGate() (*api.Gate, error) {
	authenticator, err := auth.NewAuthenticator(s.cfg.Callers)
	if err != nil {
		return nil, err
	}
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("prepare validation: %w", err)
	}
	s.door.Known = authenticator
	limits := s.cfg.Access
	return &api.Gate{
		Door: s.door, Workspaces: &api.Workspaces{Documents: s.store}, Validator: validator, Logger: s.deps.Logger, Clock: s.deps.Clock,
		Limits: api.Limits{
			Calls: limit.New(limits.Calls), Services: limit.New(limits.Services), Failures: limit.New(limits.Failures),
			SignIns: limit.New(limits.SignIns), Refusals: limit.New(limits.Refusals),
		},
		Refusals: s.store,
	}, nil
}

// newServer builds a gRPC server with our services.
func (s *Service) newServer(gate *api.Gate, transport ...grpc.ServerOption) *grpc.Server {
	options := append([]grpc.ServerOption{
		grpc.ChainUnaryInterceptor(gate.Unary),
		grpc.ChainStreamInterceptor(gate.Stream),
		grpc.MaxRecvMsgSize(s.cfg.MaxRequestBytes),
		grpc.MaxHeaderListSize(webMaxHeader), // of whoever calls: it is read before anything is proven
		grpc.MaxConcurrentStreams(s.cfg.MaxStreams),
		grpc.ConnectionTimeout(connectTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: serverPing}),
		grpc.StatsHandler(otelgrpc.NewServerHandler(s.telemetry()...)),
	}, transport...)
	server := grpc.NewServer(options...)
	configv1.RegisterConfigServiceServer(server, s.api)
	configv1.RegisterAccessServiceServer(server, s.access)
	history := api.NewHistory(s.store, s.api, s.reports, gate.Validate)
	configv1.RegisterIntegrationHistoryServiceServer(server, history)
	configv1.RegisterSettingHistoryServiceServer(server, api.NewSettingHistory(history))
	configv1.RegisterContentDefaultsServiceServer(server, api.NewContentDefaults(s.api))
	configv1.RegisterWorkflowServiceServer(server, api.NewWorkflows(s.api))
	configv1.RegisterDraftServiceServer(server, api.NewDrafts(s.api, s.store))
	configv1.RegisterEventSetupServiceServer(server, api.NewEventSetup(s.api))
	configv1.RegisterConnectServiceServer(server, s.api)
	configv1.RegisterConnectionListServiceServer(server, s.api)
	configv1.RegisterPlanServiceServer(server, s.api)
	configv1.RegisterCatalogueServiceServer(server, s.api)
	configv1.RegisterSetupServiceServer(server, s.api)
	configv1.RegisterRunLogServiceServer(server, s.api)
	configv1.RegisterNoticeServiceServer(server, s.api)
	configv1.RegisterPrivacyServiceServer(server, s.privacy)
	configv1.RegisterKeyServiceServer(server, s.newKeyAPI())
	configv1.RegisterReportServiceServer(server, s.reports)
	configv1.RegisterReportRunServiceServer(server, s.reports)
	configv1.RegisterReplayServiceServer(server, api.NewReplays(s.store, s.deps.Clock.Now))
	return server
}

func (s *Service) telemetry() []otelgrpc.Option {
	var options []otelgrpc.Option
	if s.deps.Tracer != nil {
		options = append(options, otelgrpc.WithTracerProvider(s.deps.Tracer))
	}
	if s.deps.Meter != nil {
		options = append(options, otelgrpc.WithMeterProvider(s.deps.Meter))
	}
	return options
}

func (t TLS) credentials() (credentials.TransportCredentials, error) {
	config, err := t.config()
	if err != nil {
		return nil, err
	}
	return credentials.NewTLS(config), nil
}

// config reads the certificates.
func (t TLS) config() (*tls.Config, error) {
	pair, err := certs.Load(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("tls.cert_file: %w", err)
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.Server}
	if t.ClientCAFile != "" {
		pem, err := os.ReadFile(t.ClientCAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.client_ca_file: %w", err)
		}
		out.ClientCAs = x509.NewCertPool()
		if !out.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("tls.client_ca_file: no certificate in it")
		}
		out.ClientAuth = tls.RequireAndVerifyClientCert
		if t.ClientCertOptional {
			out.ClientAuth = tls.VerifyClientCertIfGiven
		}
	}
	return out, nil
}

// serve answers calls until ctx ends, and then lets those under way finish within the stop time-out.
func (s *Service) serve(ctx context.Context) error {
	stopped := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-ctx.Done():
		case <-ended:
			return
		}
		s.serving.Store(false)
		s.health.Shutdown()
		s.api.Stop()
		timeout := time.AfterFunc(s.cfg.StopTimeout, s.grpc.Stop)
		defer timeout.Stop()
		s.grpc.GracefulStop()
	}()
	s.health.SetServingStatus("", healthv1.HealthCheckResponse_SERVING)
	s.serving.Store(true)
	err := s.grpc.Serve(s.listener)
	close(ended)
	<-stopped
	s.serving.Store(false)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("config service: %w", err)
	}
	return nil
}
