// Package eventbusv1 is the generated wire contract of Salesforce's Pub/Sub API: subscribing to events and reading schemas.
// Publishing and managed subscriptions are left out: nothing here publishes.
package eventbusv1
