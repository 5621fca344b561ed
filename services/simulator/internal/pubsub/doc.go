// Package pubsub serves the change events of the simulated orgs as Salesforce's Pub/Sub API does, over gRPC. It makes no events
// and takes none: publishing and managed subscriptions are refused.
package pubsub
