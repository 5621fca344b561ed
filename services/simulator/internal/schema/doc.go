// Package schema describes the objects and fields of a simulated org: the standard ones, those of the Throughline package,
// and what a scenario adds. It answers the describe resources from the same data that the write rules and queries use.
package schema
