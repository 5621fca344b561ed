// Package jsonin reads JSON request bodies the way the simulated org must: members keep their order and their position,
// so that errors can name line and column as Salesforce's do, and no value is copied before it is known to be kept.
package jsonin
