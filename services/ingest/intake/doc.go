// Package intake decides about one event at a time: it reads the bytes, applies the rules of the workspace, seals what is
// personal, and makes the messages that follow. Kafka and HTTP both go through it, so that an event fares the same
// whichever way it came.
//
// It is stateless but for a cache of sealed subjects. A repeated event is accepted again; the visit that it belongs to
// knows it already. The time and the settings are given with every call.
package intake
