package api

import (
	"context"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// DiagnoseConnection implements configv1.ConnectServiceServer.
func (s *Server) DiagnoseConnection(ctx context.Context, req *configv1.DiagnoseConnectionRequest) (*configv1.DiagnoseConnectionResponse, error) {
	s.deps.Tokens.Retry(req.GetWorkspace(), req.GetConnection()) // somebody has mended something and wants to see it
	d, err := s.deps.Diagnosis.Diagnose(ctx, req.GetWorkspace(), req.GetConnection())
	return &configv1.DiagnoseConnectionResponse{Diagnosis: d}, err
}

// GetDiagnosis implements configv1.ConnectServiceServer.
func (s *Server) GetDiagnosis(ctx context.Context, req *configv1.GetDiagnosisRequest) (*configv1.GetDiagnosisResponse, error) {
	d, err := s.deps.Diagnosis.Last(ctx, req.GetWorkspace(), req.GetConnection())
	return &configv1.GetDiagnosisResponse{Diagnosis: d}, err
}
