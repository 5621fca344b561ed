// Package kmstest has key services to test against, over HTTPS and answering in their own words: the part of HashiCorp Vault's
// transit engine that wraps keys, AWS KMS and Google Cloud KMS. They keep nothing.
package kmstest
