package rig

import configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"

// Keys is the key service of config, for a caller with the token.
func (r *Rig) Keys(token string) configv1.KeyServiceClient {
	return configv1.NewKeyServiceClient(r.dial(token))
}

// Reports are the services for reports and their runs, as an administrator sees them.
func (r *Rig) Reports() (configv1.ReportServiceClient, configv1.ReportRunServiceClient) {
	conn := r.dial(r.AdminToken)
	return configv1.NewReportServiceClient(conn), configv1.NewReportRunServiceClient(conn)
}
