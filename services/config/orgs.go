package config

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// orgs asks orgs who they are.
type orgs struct {
	timeout time.Duration
	trusted []string
	tracer  trace.TracerProvider
	meter   metric.MeterProvider
}

// Organization implements api.Orgs.
func (o orgs) Organization(ctx context.Context, connection *configv1.Connection, access *configv1.GetAccessTokenResponse) (*configv1.Org, error) {
	cfg := salesforce.DefaultConfig()
	cfg.Timeout, cfg.TrustedHosts = o.timeout, o.trusted
	if version := connection.GetApiVersion(); version != "" {
		cfg.APIVersion = version
	}
	client := salesforce.NewClient(cfg, salesforce.StaticToken{
		AccessToken: secret.New(access.GetAccessToken()), InstanceURL: access.GetInstanceUrl(),
	}, salesforce.Deps{Tracer: o.tracer, Meter: o.meter})
	defer client.CloseIdle()
	org, err := client.Organization(ctx)
	if err != nil {
		return nil, err
	}
	return &configv1.Org{
		Id: org.ID, Name: org.Name, Edition: org.Edition, Sandbox: org.Sandbox,
		TimeZone: org.TimeZone, InstanceUrl: org.InstanceURL,
	}, nil
}

// loginPolicy says which addresses may be given credentials.
type loginPolicy struct {
	embedded bool
	trusted  []string
}

var errLoopback = errors.New("a loopback address is accepted only in embedded mode")

func (p loginPolicy) check(address string) error {
	if err := salesforce.CheckAddress(address, p.trusted); err != nil {
		var refused *salesforce.Error
		if errors.As(err, &refused) {
			return errors.New(refused.Detail)
		}
		return err
	}
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	host := strings.ToLower(u.Hostname())
	ip := net.ParseIP(host)
	if loopback := host == "localhost" || ip != nil && ip.IsLoopback(); loopback && !p.embedded && !slices.Contains(p.trusted, host) {
		return errLoopback
	}
	return nil
}
