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

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/api"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
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

// newServer builds the gRPC server with everything registered.
func (s *Service) newServer() (*grpc.Server, *health, error) {
	authenticator, err := auth.NewAuthenticator(s.cfg.Callers)
	if err != nil {
		return nil, nil, err
	}
	validator, err := protovalidate.New()
	if err != nil {
		return nil, nil, fmt.Errorf("prepare validation: %w", err)
	}
	gate := &api.Gate{Authenticator: authenticator, Validator: validator, Logger: s.deps.Logger}
	options := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(gate.Unary),
		grpc.ChainStreamInterceptor(gate.Stream),
		grpc.MaxRecvMsgSize(s.cfg.MaxRequestBytes),
		grpc.MaxConcurrentStreams(s.cfg.MaxStreams),
		grpc.ConnectionTimeout(connectTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: serverPing}),
		grpc.StatsHandler(otelgrpc.NewServerHandler(s.telemetry()...)),
	}
	if s.cfg.TLS.CertFile != "" {
		transport, err := s.cfg.TLS.credentials()
		if err != nil {
			return nil, nil, err
		}
		options = append(options, grpc.Creds(transport))
	}
	server := grpc.NewServer(options...)
	configv1.RegisterConfigServiceServer(server, s.api)
	configv1.RegisterKeyServiceServer(server, s.newKeyAPI())
	probe := grpchealth.NewServer()
	probe.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	healthv1.RegisterHealthServer(server, probe)
	reflection.Register(server)
	return server, probe, nil
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
	cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("tls.cert_file: %w", err)
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
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
	}
	return credentials.NewTLS(out), nil
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
