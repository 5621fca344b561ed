// Package seal encrypts what must not be read outside the process, with Tink.
//
// There are two levels of keys. The installation's key lives in a file that only its owner can read; it seals
// credentials and wraps the keys of tenants. Every tenant has a sealing key, for personal data, and a hashing key, for
// the keyed hashes by which a person is recognised without being named. Whoever destroys a tenant's wrapped keys makes
// every copy of that tenant's personal data unreadable.
//
// Everything sealed is bound to what it belongs to (associated data), so that a value copied from one tenant's row into
// another's does not open. All types are safe for concurrent use.
package seal
