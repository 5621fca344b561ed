// Package orgtest is a very small Salesforce org for the writer's tests: collections, marker queries and limits, with
// faults on demand and an eye on what a well-behaved writer must not do. It is neither the simulator nor faithful; it
// shows what was written, how often, and what was in flight together.
package orgtest
