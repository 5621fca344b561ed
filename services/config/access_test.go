package config_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// Who may call what about workspace acme. The test fails for a method that is not here.
var allowed = map[string][]string{
	"PutWorkspace":        {adminToken, acmeToken},
	"GetWorkspace":        {adminToken, acmeToken, viewerToken, acmeViewer},
	"ListWorkspaces":      {adminToken, acmeToken, viewerToken, acmeViewer},
	"PutConnection":       {adminToken, acmeToken},
	"GetConnection":       {adminToken, acmeToken, viewerToken, acmeViewer},
	"ListConnections":     {adminToken, acmeToken, viewerToken, acmeViewer},
	"CheckConnection":     {adminToken, acmeToken},
	"PutIntegration":      {adminToken, acmeToken},
	"GetIntegration":      {adminToken, acmeToken, viewerToken, acmeViewer},
	"ListIntegrations":    {adminToken, acmeToken, viewerToken, acmeViewer},
	"PutContentSetting":   {adminToken, acmeToken},
	"ListContentSettings": {adminToken, acmeToken, viewerToken, acmeViewer},
	"CreateApiKey":        {adminToken, acmeToken},
	"Watch":               {serviceToken},
	"GetAccessToken":      {serviceToken},
	"ListOutcomes":        {adminToken, acmeToken, viewerToken, acmeViewer, serviceToken},
	"CountOutcomes":       {adminToken, acmeToken, viewerToken, acmeViewer, serviceToken},

	"ListObjects":         {adminToken, acmeToken, viewerToken, acmeViewer},
	"DescribeObject":      {adminToken, acmeToken, viewerToken, acmeViewer},
	"ValidateIntegration": {adminToken, acmeToken, viewerToken, acmeViewer},
	"ListBroken":          {adminToken, acmeToken, viewerToken, acmeViewer},
	"RefreshCatalogue":    {adminToken, acmeToken},
	"PreviewIntegration":  {adminToken, acmeToken, viewerToken, acmeViewer},
}

// methods are those of every service of ours.
func methods() (all []protoreflect.MethodDescriptor) {
	for _, service := range []protoreflect.ServiceDescriptor{
		configv1.File_throughline_config_v1_config_service_proto.Services().ByName("ConfigService"),
		configv1.File_throughline_config_v1_catalogue_proto.Services().ByName("CatalogueService"),
	} {
		for i := range service.Methods().Len() {
			all = append(all, service.Methods().Get(i))
		}
	}
	return all
}

// about fills in the workspace of a request, wherever the message keeps it.
func about(input protoreflect.MessageDescriptor, workspace string) proto.Message {
	m := dynamicpb.NewMessage(input)
	if f := input.Fields().ByName("workspace"); f != nil && f.Message() == nil {
		m.Set(f, protoreflect.ValueOfString(workspace))
		return m
	}
	for i := range input.Fields().Len() {
		f := input.Fields().Get(i)
		if f.Message() == nil || f.IsList() {
			continue
		}
		name := protoreflect.Name("workspace")
		if f.Message().Name() == "Workspace" {
			name = "id"
		}
		if inner := f.Message().Fields().ByName(name); inner != nil {
			m.Mutable(f).Message().Set(inner, protoreflect.ValueOfString(workspace))
		}
	}
	return m
}

// call makes one call with an otherwise empty request and returns its code. A stream counts as let in when it answers.
func call(ctx context.Context, conn *grpc.ClientConn, method protoreflect.MethodDescriptor, workspace string) codes.Code {
	name := "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
	req, resp := about(method.Input(), workspace), dynamicpb.NewMessage(method.Output())
	if !method.IsStreamingServer() {
		return status.Code(conn.Invoke(ctx, name, req, resp))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, name)
	if err != nil {
		return status.Code(err)
	}
	if err := stream.SendMsg(req); err != nil {
		return status.Code(err)
	}
	_ = stream.CloseSend()
	return status.Code(stream.RecvMsg(resp))
}

func TestEveryMethodLetsInOnlyWhomItShould(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.workspace(t, "acme")
	b.workspace(t, "globex")
	tokens := []string{"", "wrong-token-0123456789", adminToken, acmeToken, viewerToken, acmeViewer, serviceToken}
	conns := map[string]*grpc.ClientConn{}
	for _, token := range tokens {
		conns[token] = b.dial(t, token)
	}
	for _, method := range methods() {
		who, known := allowed[string(method.Name())]
		require.True(t, known, "say who may call %s", method.Name())
		everywhere := method.Name() == "ListWorkspaces" || method.Name() == "Watch"
		for _, token := range tokens {
			code := call(t.Context(), conns[token], method, "acme")
			switch {
			case token == "" || token == "wrong-token-0123456789":
				require.Equal(t, codes.Unauthenticated, code, "%s", method.Name())
			case slices.Contains(who, token):
				require.NotContains(t, []codes.Code{codes.Unauthenticated, codes.PermissionDenied}, code, "%s with %s", method.Name(), token)
			default:
				require.Equal(t, codes.PermissionDenied, code, "%s with %s", method.Name(), token)
			}
			if limited := token == acmeToken || token == acmeViewer; limited && !everywhere {
				for _, other := range []string{"globex", "does-not-exist", ""} {
					require.Equal(t, codes.PermissionDenied, call(t.Context(), conns[token], method, other),
						"%s about %q with %s", method.Name(), other, token)
				}
			}
		}
	}
}

func TestHealthIsOpenAndReflectionIsNot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	nobody := b.dial(t, "")
	resp, err := healthv1.NewHealthClient(nobody).Check(t.Context(), &healthv1.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, healthv1.HealthCheckResponse_SERVING, resp.GetStatus())
	require.NoError(t, b.svc.Ready())

	services := func(conn *grpc.ClientConn) error {
		stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
		require.NoError(t, err)
		_ = stream.Send(&reflectionv1.ServerReflectionRequest{
			MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
		})
		_, err = stream.Recv()
		_ = stream.CloseSend()
		return err
	}
	require.Equal(t, codes.Unauthenticated, status.Code(services(nobody)))
	require.NoError(t, services(b.dial(t, viewerToken)))
}

func TestARequestThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	b := prepare(t)
	b.cfg.MaxRequestBytes = 1 << 16
	b.start(t)
	_, err := b.admin.GetWorkspace(t.Context(), &configv1.GetWorkspaceRequest{Workspace: string(make([]byte, 1<<17))})
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
}
