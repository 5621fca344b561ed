// Package rest is the REST API of a simulated org: versions, describe, records, collections, queries and limits, with
// Salesforce's shapes, status codes, headers and error texts, and the place where faults, latency and limits take hold.
package rest
