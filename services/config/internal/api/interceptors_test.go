package api

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"buf.build/go/protovalidate"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func TestAPanicIsToldWithoutWhatItQuotes(t *testing.T) {
	t.Parallel()
	validator, err := protovalidate.New()
	require.NoError(t, err)
	for want, provoke := range map[string]func(){
		"panic=string":            func() { panic("aoi@acme.example") },
		"panic=*status.Error":     func() { panic(status.Error(codes.Internal, "aoi@acme.example")) },
		"index out of range [3]":  func() { _ = []int{}[len("abc")] },
		"invalid memory address":  func() { var v *violations; _ = (*v)[0] },
		"panic=*api.withPersonal": func() { panic(&withPersonal{"aoi@acme.example"}) },
	} {
		var out bytes.Buffer
		gate := &Gate{Validator: validator, Logger: slog.New(slog.NewTextHandler(&out, nil))}
		_, err := gate.Unary(t.Context(), &healthv1.HealthCheckRequest{}, &grpc.UnaryServerInfo{FullMethod: healthv1.Health_Check_FullMethodName},
			func(context.Context, any) (any, error) {
				provoke()
				return nil, nil
			})
		require.Equal(t, codes.Internal, status.Code(err))
		require.Contains(t, out.String(), want)
		require.NotContains(t, out.String()+err.Error(), "aoi@acme.example")
	}
}

type withPersonal struct{ address string }

func (w *withPersonal) Error() string { return w.address }
