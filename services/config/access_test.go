package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

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

func TestHealthIsOpenAndReflectionIsNot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	nobody := b.dial(t, "")
	resp, err := healthv1.NewHealthClient(nobody).Check(t.Context(), &healthv1.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, healthv1.HealthCheckResponse_SERVING, resp.GetStatus())
	require.Eventually(t, func() bool { return b.svc.Ready() == nil }, time.Minute, time.Millisecond)

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

func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "padding", strings.Repeat("x", 1<<20))
	_, err := b.admin.ListWorkspaces(ctx, &configv1.ListWorkspacesRequest{})
	require.ErrorContains(t, err, "header list size")
	_, err = b.admin.ListWorkspaces(t.Context(), &configv1.ListWorkspacesRequest{})
	require.NoError(t, err)
}
