// Package certs keeps a TLS certificate that lies in two files, and takes up a renewed one without a restart: whatever
// renews it (cert-manager, an ACME client, a sidecar) replaces the files, and the next handshake shows the new one.
//
// A renewal that cannot be read, for example one that is half written, is left for the next handshake to try; until then the
// certificate at hand goes on. It does not renew anything itself, and it does not watch the certificates that others are
// trusted by.
package certs
