// Package kms finds the key service that a key URI names and wraps keysets with it: the keyset in an installation's file then
// opens only for whom the service lets in, and every use of it is in the service's log.
//
// The service is asked when a keyset is read or written, never for a value: those are sealed with the keyset, in memory. So a
// process goes on while the service is away; only a start waits for it, and fails where it refuses.
//
// It refuses to speak without TLS, and it never wraps by itself where the service does not.
package kms
