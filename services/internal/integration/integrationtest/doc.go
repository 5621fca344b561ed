// Package integrationtest makes inputs for tests of integrations: one viewer, one video and one document, with
// everything filled in, so that a test only says what is different.
package integrationtest
