// Package certs makes the simulator's own certificates for clients that insist on https: an authority that it keeps in a
// folder, and a certificate for every name that clients ask for. Machines must not trust the authority; clients under test
// do, by REQUESTS_CA_BUNDLE, NODE_EXTRA_CA_CERTS and the like.
package certs
