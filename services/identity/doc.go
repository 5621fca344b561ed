// Package identity is the service that finds out who an engagement is about: which Lead, Contact and User stand for an
// address in each org that the workspace's integrations write to. It reads tl.engagements.v1 and writes tl.resolved.v1,
// with every candidate and the rule that decided.
//
// Package match ranks, package directory finds, package resolve does both for the stream. The people table will be
// another directory; nothing else here knows where people come from.
package identity
