package config_test

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config"
)

// documented is one row of the table in docs/access.md.
type documented struct {
	open  bool
	roles []string
	scope string
}

// documentedCalls reads who may call what from the documentation.
func documentedCalls(t *testing.T) map[string]documented {
	t.Helper()
	text, err := os.ReadFile("../../docs/access.md")
	require.NoError(t, err)
	var roles []string
	out := map[string]documented{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		if cells[0] == "call" {
			roles = cells[1 : len(cells)-1]
		}
		if roles == nil || !strings.Contains(cells[0], "/") || len(cells) != len(roles)+2 {
			continue
		}
		d := documented{scope: cells[len(cells)-1]}
		for i, role := range roles {
			switch cells[i+1] {
			case "✓":
				d.roles = append(d.roles, role)
			case "open":
				d.open = true
			}
		}
		out[cells[0]] = d
	}
	require.NotEmpty(t, out)
	return out
}

// registered asks the server which services it has, and returns every method of them.
func (b *testBundle) registered(t *testing.T) []protoreflect.MethodDescriptor {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := reflectionv1.NewServerReflectionClient(b.dial(t, adminToken)).ServerReflectionInfo(ctx)
	require.NoError(t, err)
	require.NoError(t, stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	}))
	answer, err := stream.Recv()
	require.NoError(t, err)
	var out []protoreflect.MethodDescriptor
	for _, s := range answer.GetListServicesResponse().GetService() {
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(s.GetName()))
		require.NoError(t, err)
		methods := found.(protoreflect.ServiceDescriptor).Methods()
		for i := range methods.Len() {
			out = append(out, methods.Get(i))
		}
	}
	return out
}

// answerTo makes one call with an otherwise empty request about a workspace, and returns what the server says.
func answerTo(ctx context.Context, conn *grpc.ClientConn, method protoreflect.MethodDescriptor, workspace string) *status.Status {
	name := "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
	req, resp := about(method.Input(), workspace), dynamicpb.NewMessage(method.Output())
	if !method.IsStreamingServer() && !method.IsStreamingClient() {
		return status.Convert(conn.Invoke(ctx, name, req, resp))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: method.IsStreamingClient()}, name)
	if err != nil {
		return status.Convert(err)
	}
	_ = stream.SendMsg(req) // what the server says of it comes with the answer
	_ = stream.CloseSend()
	return status.Convert(stream.RecvMsg(resp))
}

// The gate's own words: a handler has others, so these prove that none ran.
const (
	unknownCaller = "no valid token"
	notAllowed    = "this token does not allow that"
)

// caller is one identity of the walk.
type caller struct {
	name, token string
	// unknown callers prove nothing.
	unknown bool
	// role, or scope of an API key, is what the caller has in acme; both empty: nothing.
	role, scope string
	// everywhere: not only in acme.
	everywhere bool
}

// may reports whether the documentation lets the caller make the call about acme.
func (c caller) may(name string, d documented) bool {
	if platformWide[name] && !c.everywhere {
		return false
	}
	if c.scope != "" {
		return d.scope == c.scope
	}
	return slices.Contains(d.roles, c.role)
}

// platformWide are the calls that are not about one workspace.
var platformWide = map[string]bool{
	"ConfigService/Watch": true, "ConnectService/OverrideState": true, "PlanService/SetPlan": true, "KeyService/GetKeyUse": true,
	"KeyService/RewrapSecrets": true, "KeyService/DestroyWorkspaceKeys": true,
}

var roleName = regexp.MustCompile(`[^a-z]`)

// callers makes one of every kind, right and wrong. The workspaces acme and globex must be there.
func (b *testBundle) callers(t *testing.T, tokenOf func(subject string, at time.Time) string) []caller {
	t.Helper()
	out := []caller{
		{name: "nobody", unknown: true},
		{name: "a wrong token", token: "wrong-token-0123456789", unknown: true},
		{name: "a token with a space", token: adminToken + " ", unknown: true},
		{name: "a key that is not there", token: "tl_acme_none_secret", unknown: true},
		{name: "a session that is not there", token: "tlsession_none", unknown: true},
		{name: "a stranger's ID token", token: tokenOf("stranger", epoch), unknown: true},
		{name: "an ID token that has expired", token: tokenOf("aoi", epoch.Add(-2*time.Hour)), unknown: true},
		{name: "owner by ID token", token: tokenOf("aoi", epoch), role: "owner"},
		{name: "owner of globex by ID token", token: tokenOf("glen", epoch)},
	}
	for _, role := range allRoles {
		c := caller{name: string(role), token: walkToken(role, "acme"), role: string(role), everywhere: role == config.RoleService}
		switch role {
		case config.RoleOperator:
			out = append(out, caller{name: "operator without access", token: walkToken(role, "none")},
				caller{name: "operator with access to globex", token: walkToken(role, "globex")})
		case config.RoleService:
		default:
			out = append(out, caller{name: string(role) + " of globex", token: walkToken(role, "globex")},
				caller{name: string(role) + " everywhere", token: walkToken(role, ""), role: string(role), everywhere: true})
		}
		out = append(out, c)
	}
	for scope, value := range map[string]configv1.ApiKeyScope{
		"settings read": scopeRead, "settings write": scopeWrite, "outcomes read": scopeOutcomes, "ingest": scopeIngest,
	} {
		id := roleName.ReplaceAllString(scope, "-")
		out = append(out, caller{name: "key for " + scope, token: b.keyOf(t, "acme", id, value), scope: scope},
			caller{name: "globex's key for " + scope, token: b.keyOf(t, "globex", id, value)})
	}
	revoked := b.keyOf(t, "acme", "revoked", scopeRead)
	_, err := b.access(t, adminToken).RevokeApiKey(t.Context(), &configv1.RevokeApiKeyRequest{Workspace: "acme", Key: "revoked"})
	require.NoError(t, err)
	return append(out, caller{name: "a revoked key", token: revoked, unknown: true})
}

func (b *testBundle) keyOf(t *testing.T, workspace, id string, scope configv1.ApiKeyScope) string {
	t.Helper()
	resp, err := b.admin.CreateApiKey(t.Context(), &configv1.CreateApiKeyRequest{Key: &configv1.ApiKey{
		Workspace: workspace, Id: id, Scopes: []configv1.ApiKeyScope{scope},
	}})
	require.NoError(t, err)
	return resp.GetSecret()
}

var allRoles = []config.Role{
	config.RoleOwner, config.RoleAdmin, config.RoleIntegrationEditor, config.RolePrivacyOfficer, config.RoleViewer,
	config.RoleOperator, config.RoleService,
}

func walkToken(role config.Role, where string) string {
	return "token-of-" + string(role) + "-in-" + where + "-012345"
}

// walkers lets a caller of every role in, of one workspace and of all.
func walkers() []config.Caller {
	var out []config.Caller
	for _, role := range allRoles {
		for _, where := range []string{"", "acme", "globex", "none"} {
			c := config.Caller{Name: string(role) + " " + where, Role: role, Workspace: where, Token: secret.New(walkToken(role, where))}
			if role == config.RoleOperator || role == config.RoleService {
				c.Workspace = ""
			}
			out = append(out, c)
		}
	}
	return out
}

// setupWalk starts a service with every kind of caller. An expired key is added last, when time has passed.
func setupWalk(t *testing.T) (*testBundle, []caller) {
	t.Helper()
	b, issuer := withIssuerAnd(t, walkers()...)
	glen := &configv1.Member{Workspace: "globex", Id: "glen", Name: "Glen", Role: configv1.Role_ROLE_OWNER, Subject: "glen"}
	require.NoError(t, put(t.Context(), b.access(t, adminToken), glen))
	for _, where := range []string{"acme", "globex"} {
		_, err := b.access(t, adminToken).GrantOperatorAccess(t.Context(), &configv1.GrantOperatorAccessRequest{
			Workspace: where, Operator: "operator " + where, ExpiresAt: timestamppb.New(epoch.Add(time.Hour)),
		})
		require.NoError(t, err)
	}
	_, err := b.access(t, adminToken).GrantOperatorAccess(t.Context(), &configv1.GrantOperatorAccessRequest{
		Workspace: "acme", Operator: "operator none", ExpiresAt: timestamppb.New(epoch.Add(time.Minute)),
	})
	require.NoError(t, err)
	expired := b.newKeyUntil(t, "expired", epoch.Add(time.Minute))
	b.clock.Advance(2 * time.Minute)
	return b, append(b.callers(t, func(subject string, at time.Time) string { return issuer.Token(t, subject, at, nil) }),
		caller{name: "an expired key", token: expired, unknown: true})
}

func (b *testBundle) newKeyUntil(t *testing.T, id string, until time.Time) string {
	t.Helper()
	resp, err := b.admin.CreateApiKey(t.Context(), &configv1.CreateApiKeyRequest{Key: &configv1.ApiKey{
		Workspace: "acme", Id: id, Scopes: []configv1.ApiKeyScope{scopeRead}, ExpiresAt: timestamppb.New(until),
	}})
	require.NoError(t, err)
	return resp.GetSecret()
}

func TestEveryCallIsRefusedToEveryWrongCaller(t *testing.T) {
	t.Attr("requirement", "XC-20")
	t.Parallel()
	b, callers := setupWalk(t)
	calls := documentedCalls(t)
	before := b.audit(t, adminToken, &configv1.ListAuditEntriesRequest{Workspace: "acme", PageSize: 1000})
	methods := b.registered(t)
	require.Greater(t, len(methods), 30)
	conns := b.dialAll(t, callers)
	walked := map[string]bool{}
	for _, method := range methods {
		name := string(method.Parent().Name()) + "/" + string(method.Name())
		walked[name] = true
		d, ok := calls[name]
		require.True(t, ok, "say in docs/access.md and in rules.go who may call %s", name)
		for i, c := range callers {
			if d.open || c.may(name, d) {
				continue
			}
			got := answerTo(t.Context(), conns[i], method, "acme")
			if c.unknown {
				require.Equal(t, codes.Unauthenticated, got.Code(), "%s by %s", name, c.name)
				require.Contains(t, got.Message(), unknownCaller, "%s by %s", name, c.name)
				continue
			}
			if limited(name) && c.role == "" && c.scope == "" && !strings.Contains(c.name, "without access") {
				continue // let in, for what it may see; see the next test
			}
			require.Equal(t, codes.PermissionDenied, got.Code(), "%s by %s", name, c.name)
			require.Equal(t, notAllowed, got.Message(), "%s by %s", name, c.name)
		}
	}
	for name := range calls {
		require.True(t, walked[name], "docs/access.md has %s, which the service does not", name)
	}
	after := b.audit(t, adminToken, &configv1.ListAuditEntriesRequest{Workspace: "acme", PageSize: 1000})
	changed := slices.DeleteFunc(after, func(e *configv1.AuditEntry) bool { return e.GetKind() == "refused" })
	require.Less(t, len(changed), len(after), "what was refused is written down")
	require.Len(t, changed, len(before), "no wrong caller has changed anything")
}

func (b *testBundle) dialAll(t *testing.T, callers []caller) []*grpc.ClientConn {
	t.Helper()
	conns := make([]*grpc.ClientConn, len(callers))
	for i, c := range callers {
		conns[i] = b.dial(t, c.token)
	}
	return conns
}

// limited are the calls that are about no workspace and limit their answers themselves.
func limited(name string) bool {
	return name == "ConfigService/ListWorkspaces" || name == "AccessService/SignOut" || strings.HasPrefix(name, "ServerReflection/")
}

func TestEveryCallIsOpenToThoseWhoMayMakeIt(t *testing.T) {
	t.Attr("requirement", "XC-20")
	t.Parallel()
	b, callers := setupWalk(t)
	calls, conns := documentedCalls(t), b.dialAll(t, callers)
	for _, method := range b.registered(t) {
		name := string(method.Parent().Name()) + "/" + string(method.Name())
		for i, c := range callers {
			if !calls[name].open && !c.may(name, calls[name]) {
				continue
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			got := answerTo(ctx, conns[i], method, "acme")
			cancel()
			require.False(t, got.Code() == codes.PermissionDenied && got.Message() == notAllowed ||
				got.Code() == codes.Unauthenticated && strings.Contains(got.Message(), unknownCaller), "%s by %s: %s", name, c.name, got)
		}
	}
}

// What is limited to a workspace finds nothing elsewhere, and no difference between what is not there and what is not theirs.
func TestNoCallerReachesIntoAnotherWorkspace(t *testing.T) {
	t.Attr("requirement", "XC-19")
	t.Attr("requirement", "XC-20")
	t.Parallel()
	b, callers := setupWalk(t)
	calls, conns := documentedCalls(t), b.dialAll(t, callers)
	for _, method := range b.registered(t) {
		name := string(method.Parent().Name()) + "/" + string(method.Name())
		if calls[name].open || limited(name) {
			continue
		}
		for i, c := range callers {
			if c.everywhere || c.unknown || c.role == "" && c.scope == "" {
				continue
			}
			for _, other := range []string{"globex", "does-not-exist", "", "ACME", "\x00"} {
				got := answerTo(t.Context(), conns[i], method, other)
				require.Equal(t, codes.PermissionDenied, got.Code(), "%s about %q by %s", name, other, c.name)
				require.Equal(t, notAllowed, got.Message(), "%s about %q by %s", name, other, c.name)
			}
		}
	}
	for _, c := range callers {
		if c.unknown || c.everywhere || c.role == "" {
			continue
		}
		listed, err := b.client(t, c.token).ListWorkspaces(t.Context(), &configv1.ListWorkspacesRequest{})
		require.NoError(t, err, c.name)
		require.Len(t, listed.GetWorkspaces(), 1, c.name)
		require.Equal(t, "acme", listed.GetWorkspaces()[0].GetId(), c.name)
	}
}
