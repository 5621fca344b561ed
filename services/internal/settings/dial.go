package settings

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/throughline-dev/throughline/libs/certs"
)

// Dial prepares a connection to the config service that carries the caller's token; it connects when first used. Close
// it when done.
func Dial(cfg Config, deps Deps) (*grpc.ClientConn, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("config client: %w", err)
	}
	transport, err := cfg.TLS.credentials()
	if err != nil {
		return nil, fmt.Errorf("config client: %w", err)
	}
	var telemetry []otelgrpc.Option
	if deps.Tracer != nil {
		telemetry = append(telemetry, otelgrpc.WithTracerProvider(deps.Tracer))
	}
	if deps.Meter != nil {
		telemetry = append(telemetry, otelgrpc.WithMeterProvider(deps.Meter))
	}
	conn, err := grpc.NewClient(cfg.Target,
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(&bearer{cfg: cfg}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(cfg.MaxSnapshotBytes)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(telemetry...)),
	)
	if err != nil {
		return nil, fmt.Errorf("config client: %w", err)
	}
	return conn, nil
}

// bearer puts the token on every call. A token file is read each time, so that a token can be replaced without a restart.
type bearer struct{ cfg Config }

func (b *bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token := b.cfg.Token.Reveal()
	if b.cfg.TokenFile != "" {
		data, err := os.ReadFile(b.cfg.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("read token file: %w", err)
		}
		token = strings.TrimSpace(string(data))
	}
	if token == "" {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

// RequireTransportSecurity is false because Config.Validate already refuses plain text beyond loopback unless it was
// asked for.
func (b *bearer) RequireTransportSecurity() bool { return false }

func (c TLSConfig) credentials() (credentials.TransportCredentials, error) {
	if !c.On() {
		return insecure.NewCredentials(), nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("tls.ca_file: no certificate in it")
		}
	}
	if c.CertFile != "" {
		pair, err := certs.Load(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file: %w", err)
		}
		out.GetClientCertificate = pair.Client
	}
	return credentials.NewTLS(out), nil
}
