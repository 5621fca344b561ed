// Package app composes services into a process. Which services run together, and in which order they start and stop, is
// decided here and nowhere else; a service does not know whether its neighbours share its process, because it speaks to
// them over Kafka and gRPC either way.
package app
