// Package kmstest is a key service to test against: the part of HashiCorp Vault's transit engine that wraps keys, over HTTPS
// and with tokens, answering in Vault's own words. It keeps nothing.
package kmstest
