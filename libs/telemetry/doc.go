// Package telemetry sets up what a process tells of itself: structured logs, OpenTelemetry traces sent by OTLP, and
// metrics in Prometheus's format. Services receive the providers through their Deps; nothing here is global.
//
// Nothing a person typed, and no secret, may be handed to a logger, span or metric (promise 8). This package cannot check
// that; the end-to-end test that greps a whole run for planted data does.
package telemetry
