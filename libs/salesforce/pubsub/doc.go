// Package pubsub reads change events from Salesforce's Pub/Sub API: gRPC, with Avro payloads. A Subscriber keeps one
// subscription alive and hands over each ChangeEvent with the replay id to go on from. Field bitmaps are resolved, so that
// a field that was cleared is told from one that did not change.
package pubsub
