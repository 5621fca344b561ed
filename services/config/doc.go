// Package config is the service that keeps settings: workspaces, connections, integrations, content settings and API
// keys, each with its versions. Others watch them; only this service holds the credentials of orgs and exchanges them
// for access tokens. It also keeps the run log, which answers what became of every event and write.
//
// It stores in SQLite, or in PostgreSQL for replicas. The data plane goes on without it from what it last received.
package config
