// Package api is the gRPC service: it authenticates, validates, and turns calls into reads and writes of the store. What
// is secret goes in and never comes out again.
package api
