package apply

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	rules "github.com/throughline-dev/throughline/services/internal/integration"
)

// document is what all targets share.
type document struct {
	from   string
	client configv1.ConfigServiceClient
}

func (d document) source() string { return d.from }

// compared returns a result for going from current (nil: nothing there) to wanted.
func compared(r Result, current, wanted proto.Message, exists bool) Result {
	switch {
	case !exists:
		r.Action = Created
	case proto.Equal(current, wanted):
		r.Action = Unchanged
	default:
		r.Action, r.Changes = Updated, changes(current, wanted)
	}
	return r
}

// found tells "there is none" from a failure to look.
func found(err error) (bool, error) {
	if status.Code(err) == codes.NotFound {
		return false, nil
	}
	return err == nil, err
}

type workspace struct {
	document
	want *configv1.Workspace
}

func (*workspace) order() int { return 0 }

func (w *workspace) name() Result {
	return Result{Kind: "Workspace", Workspace: w.want.GetId(), ID: w.want.GetId()}
}

func (w *workspace) plan(ctx context.Context) (Result, func(context.Context, *Result) error, error) {
	resp, err := w.client.GetWorkspace(ctx, &configv1.GetWorkspaceRequest{Workspace: w.want.GetId()})
	exists, err := found(err)
	if err != nil {
		return w.name(), nil, err
	}
	want := proto.CloneOf(w.want)
	want.Version, want.Plans = resp.GetWorkspace().GetVersion(), resp.GetWorkspace().GetPlans()
	result := compared(w.name(), resp.GetWorkspace(), want, exists)
	if result.Action == Unchanged {
		return result, nil, nil
	}
	return result, func(ctx context.Context, _ *Result) error {
		_, err := w.client.PutWorkspace(ctx, &configv1.PutWorkspaceRequest{Workspace: want})
		return err
	}, nil
}

type connection struct {
	document
	want *configv1.Connection
}

func (*connection) order() int { return 1 }

func (c *connection) name() Result {
	return Result{Kind: "Connection", Workspace: c.want.GetWorkspace(), ID: c.want.GetId()}
}

// plan always saves: only the config service can tell whether the secrets are the stored ones. It makes no new version
// of what is so already.
func (c *connection) plan(ctx context.Context) (Result, func(context.Context, *Result) error, error) {
	resp, err := c.client.GetConnection(ctx,
		&configv1.GetConnectionRequest{Workspace: c.want.GetWorkspace(), Connection: c.want.GetId()})
	exists, err := found(err)
	if err != nil {
		return c.name(), nil, err
	}
	current := resp.GetConnection()
	want := proto.CloneOf(c.want)
	want.Version, want.Org = current.GetVersion(), current.GetOrg()
	want.Status, want.Consent, want.Entitlement = current.GetStatus(), current.GetConsent(), current.GetEntitlement() // output only
	result := compared(c.name(), withoutSecrets(current), withoutSecrets(want), exists)
	return result, func(ctx context.Context, result *Result) error {
		saved, err := c.client.PutConnection(ctx, &configv1.PutConnectionRequest{Connection: want})
		switch {
		case err != nil:
			return err
		case exists && saved.GetConnection().GetVersion() == current.GetVersion():
			result.Action, result.Changes = Unchanged, nil
		case result.Action == Unchanged:
			result.Action, result.Changes = Updated, []string{"secrets: changed"}
		}
		return nil
	}, nil
}

// withoutSecrets returns a copy that may be compared and shown. The address is compared as it is saved.
func withoutSecrets(c *configv1.Connection) *configv1.Connection {
	c = proto.CloneOf(c)
	if n := len(c.GetLoginUrl()); n > 0 && c.GetLoginUrl()[n-1] == '/' {
		c.LoginUrl = c.GetLoginUrl()[:n-1]
	}
	switch g := c.GetGrant().(type) {
	case *configv1.Connection_ClientCredentials:
		g.ClientCredentials.ClientSecret = ""
	case *configv1.Connection_RefreshToken:
		g.RefreshToken.ClientSecret, g.RefreshToken.RefreshToken = "", ""
	case *configv1.Connection_JwtBearer:
		g.JwtBearer.PrivateKey = ""
	}
	return c
}

type integration struct {
	document
	want *configv1.Integration
}

func (*integration) order() int { return 2 }

func (i *integration) name() Result {
	return Result{Kind: "Integration", Workspace: i.want.GetWorkspace(), ID: i.want.GetId()}
}

// plan leaves out of the comparison what the file does not decide: effective_from, which counts on creation only, and what
// the service found out.
func (i *integration) plan(ctx context.Context) (Result, func(context.Context, *Result) error, error) {
	resp, err := i.client.GetIntegration(ctx,
		&configv1.GetIntegrationRequest{Workspace: i.want.GetWorkspace(), Integration: i.want.GetId()})
	exists, err := found(err)
	if err != nil {
		return i.name(), nil, err
	}
	want := proto.CloneOf(i.want)
	rules.ReduceCampaigns(want) // as the service will: what is saved must compare equal
	want.Version = resp.GetIntegration().GetVersion()
	if exists {
		want.EffectiveFrom = resp.GetIntegration().GetEffectiveFrom()
		want.DescribedLengths = resp.GetIntegration().GetDescribedLengths()
		want.Suspended = resp.GetIntegration().GetSuspended()
	}
	result := compared(i.name(), resp.GetIntegration(), want, exists)
	if result.Action == Unchanged {
		return result, nil, nil
	}
	return result, func(ctx context.Context, r *Result) error {
		saved, err := i.client.PutIntegration(ctx, &configv1.PutIntegrationRequest{Integration: want})
		r.Notes = saved.GetNotes()
		return err
	}, nil
}

type content struct {
	document
	want  *configv1.ContentSetting
	cache contents
}

func (*content) order() int { return 3 }

func (c *content) name() Result {
	return Result{Kind: "ContentSetting", Workspace: c.want.GetWorkspace(), ID: c.want.GetContentId()}
}

func (c *content) plan(ctx context.Context) (Result, func(context.Context, *Result) error, error) {
	settings, err := c.cache.of(ctx, c.client, c.want.GetWorkspace())
	if err != nil {
		return c.name(), nil, err
	}
	current, exists := settings[c.want.GetContentId()]
	want := proto.CloneOf(c.want)
	want.Version, want.Origin = current.GetVersion(), current.GetOrigin() // output only
	result := compared(c.name(), current, want, exists)
	if result.Action == Unchanged {
		return result, nil, nil
	}
	return result, func(ctx context.Context, _ *Result) error {
		saved, err := c.client.PutContentSetting(ctx, &configv1.PutContentSettingRequest{Setting: want})
		if err != nil {
			delete(c.cache, c.want.GetWorkspace()) // read again before the next try
			return err
		}
		settings[c.want.GetContentId()] = saved.GetSetting()
		return nil
	}, nil
}

// contents remembers workspaces' content settings by id: there is no call that reads one.
type contents map[string]map[string]*configv1.ContentSetting

func (c contents) of(ctx context.Context, client configv1.ConfigServiceClient, workspace string) (map[string]*configv1.ContentSetting, error) {
	if settings, ok := c[workspace]; ok {
		return settings, nil
	}
	resp, err := client.ListContentSettings(ctx, &configv1.ListContentSettingsRequest{Workspace: workspace})
	if err != nil && status.Code(err) != codes.NotFound { // of a workspace that is yet to be made
		return nil, err
	}
	settings := map[string]*configv1.ContentSetting{}
	for _, setting := range resp.GetSettings() {
		settings[setting.GetContentId()] = setting
	}
	c[workspace] = settings
	return settings, nil
}

type apiKey struct {
	document
	want *configv1.ApiKey
}

func (*apiKey) order() int { return 4 }

func (k *apiKey) name() Result {
	return Result{Kind: "ApiKey", Workspace: k.want.GetWorkspace(), ID: k.want.GetId()}
}

// plan cannot see whether the key is there; creating it tells. A key that is there stays as it is.
func (k *apiKey) plan(context.Context) (Result, func(context.Context, *Result) error, error) {
	result := k.name()
	result.Action = Created
	return result, func(ctx context.Context, result *Result) error {
		resp, err := k.client.CreateApiKey(ctx, &configv1.CreateApiKeyRequest{Key: k.want})
		if status.Code(err) == codes.AlreadyExists {
			result.Action = Unchanged
			return nil
		}
		result.Secret = secret.New(resp.GetSecret())
		return err
	}, nil
}
