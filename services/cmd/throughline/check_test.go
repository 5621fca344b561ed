package main

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// orgsBehind is a config service with two connections, of which one leads elsewhere until that is accepted.
type orgsBehind struct {
	configv1.ConfigServiceClient
}

func (orgsBehind) ListConnections(context.Context, *configv1.ListConnectionsRequest, ...grpc.CallOption) (*configv1.ListConnectionsResponse, error) {
	return &configv1.ListConnectionsResponse{Connections: []*configv1.Connection{{Id: "production"}, {Id: "sandbox"}}}, nil
}

func (orgsBehind) CheckConnection(_ context.Context, req *configv1.CheckConnectionRequest, _ ...grpc.CallOption) (*configv1.CheckConnectionResponse, error) {
	if req.GetConnection() == "sandbox" && !req.GetAcceptOtherOrg() {
		return nil, status.Error(codes.FailedPrecondition, "the credentials lead to org 00D000000000002EAA")
	}
	return &configv1.CheckConnectionResponse{Org: &configv1.Org{
		Id: "00D000000000001EAA", Name: "Acme KK", Edition: "Enterprise Edition", TimeZone: "Asia/Tokyo", Sandbox: req.GetConnection() == "sandbox",
	}}, nil
}

func TestCheck(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	f := checkFlags{workspace: "acme"}
	err := f.run(t.Context(), orgsBehind{}, nil, &out)
	require.ErrorContains(t, err, "1 of 2 connections of workspace acme")
	require.Contains(t, out.String(), "✓ Acme KK")
	require.Contains(t, out.String(), "✗ the credentials lead to org 00D000000000002EAA")

	out.Reset()
	f = checkFlags{workspace: "acme", accept: true, asJSON: true}
	require.NoError(t, f.run(t.Context(), orgsBehind{}, []string{"sandbox"}, &out))
	require.JSONEq(t, `{"connection":"sandbox","org":{"id":"00D000000000001EAA","name":"Acme KK","edition":"Enterprise Edition","sandbox":true,"timeZone":"Asia/Tokyo"}}`, out.String())
}
