// Package edge takes events over HTTP: POST /v1/events with one CloudEvent, a batch, newline-delimited JSON or one
// protobuf, authenticated by a workspace's API key. It answers 202 only after Kafka has acknowledged everything that the
// request caused, so a producer that got its answer may forget the event, and one that got none sends it again: the
// repeat has no effect.
//
// Refused events are answered, not dead-lettered: the producer still holds them and knows why. Everything is bounded:
// body, decompressed body, events per request, requests in flight, events per second and workspace.
package edge
