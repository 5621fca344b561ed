package rig

import configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"

// Keys is the key service of config, for a caller with the token.
func (r *Rig) Keys(token string) configv1.KeyServiceClient {
	return configv1.NewKeyServiceClient(r.dial(token))
}

// Plans is the service of plans, as the platform sees it.
func (r *Rig) Plans() configv1.PlanServiceClient {
	r.T.Helper()
	return configv1.NewPlanServiceClient(r.dial(r.AdminToken))
}

// Connections is the service for those who manage connections.
func (r *Rig) Connections() configv1.ConnectionListServiceClient {
	r.T.Helper()
	return configv1.NewConnectionListServiceClient(r.dial(r.AdminToken))
}

// Reports are the services for reports and their runs, as an administrator sees them.
func (r *Rig) Reports() (configv1.ReportServiceClient, configv1.ReportRunServiceClient) {
	conn := r.dial(r.AdminToken)
	return configv1.NewReportServiceClient(conn), configv1.NewReportRunServiceClient(conn)
}

// EventSetup keeps the event set-ups, as an administrator sees it.
func (r *Rig) EventSetup() configv1.EventSetupServiceClient {
	r.T.Helper()
	return configv1.NewEventSetupServiceClient(r.dial(r.AdminToken))
}
