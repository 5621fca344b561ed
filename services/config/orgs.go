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
	"github.com/throughline-dev/throughline/services/config/internal/api"
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
	client := o.client(connection, access)
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

// Identity implements consent.Orgs.
func (o orgs) Identity(ctx context.Context, connection *configv1.Connection, access *configv1.GetAccessTokenResponse) (salesforce.Identity, error) {
	client := o.client(connection, access)
	defer client.CloseIdle()
	return client.Identity(ctx)
}

// ActiveUsers implements api.Orgs.
func (o orgs) ActiveUsers(ctx context.Context, connection *configv1.Connection, access *configv1.GetAccessTokenResponse, ids []string) ([]string, error) {
	client := o.client(connection, access)
	defer client.CloseIdle()
	records, err := client.Query(ctx, "SELECT Id FROM User WHERE IsActive = true AND Id IN "+salesforce.QuoteList(ids))
	if err != nil {
		return nil, err
	}
	active := make([]string, 0, len(records))
	for _, r := range records {
		active = append(active, r.String("Id"))
	}
	return active, nil
}

// Campaigns implements api.Orgs.
func (o orgs) Campaigns(ctx context.Context, connection *configv1.Connection, access *configv1.GetAccessTokenResponse, ids []string) ([]api.Campaign, error) {
	client := o.client(connection, access)
	defer client.CloseIdle()
	list := salesforce.QuoteList(ids)
	records, err := client.Query(ctx, "SELECT Id, Name, IsActive FROM Campaign WHERE Id IN "+list)
	if err != nil {
		return nil, err
	}
	statuses, err := client.Query(ctx, "SELECT CampaignId, Label FROM CampaignMemberStatus WHERE CampaignId IN "+list+" ORDER BY SortOrder")
	if err != nil {
		return nil, err
	}
	campaigns := make([]api.Campaign, len(records))
	for i, r := range records {
		campaigns[i] = api.Campaign{ID: r.String("Id"), Name: r.String("Name"), Active: r.Bool("IsActive")}
		for _, s := range statuses {
			if s.String("CampaignId") == campaigns[i].ID {
				campaigns[i].Statuses = append(campaigns[i].Statuses, s.String("Label"))
			}
		}
	}
	return campaigns, nil
}

// client returns a client for a few calls; whoever asks for it closes its idle connections.
func (o orgs) client(connection *configv1.Connection, access *configv1.GetAccessTokenResponse) *salesforce.Client {
	cfg := salesforce.DefaultConfig()
	cfg.Timeout, cfg.TrustedHosts = o.timeout, o.trusted
	if version := connection.GetApiVersion(); version != "" {
		cfg.APIVersion = version
	}
	return salesforce.NewClient(cfg, salesforce.StaticToken{
		AccessToken: secret.New(access.GetAccessToken()), InstanceURL: access.GetInstanceUrl(),
	}, salesforce.Deps{Tracer: o.tracer, Meter: o.meter})
}

// loginPolicy says which addresses may be given credentials.
type loginPolicy struct {
	embedded bool
	trusted  []string
}

var errPath = errors.New("want only scheme and host, e.g. https://acme.my.salesforce.com")

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
	trusted := slices.Contains(p.trusted, host)
	loopback := host == "localhost" || ip != nil && ip.IsLoopback()
	if loopback && !p.embedded && !trusted {
		return errLoopback
	}
	// A simulator keeps several orgs behind one address, each under a path of its own; Salesforce never does.
	if u.RawQuery != "" || u.Fragment != "" || u.Path != "" && !loopback && !trusted {
		return errPath
	}
	return nil
}
