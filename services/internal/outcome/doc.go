// Package outcome turns an outcome into the message that tells of it. Every stage that ends an event or a write builds
// the message here, so that all of them agree on its id, its key and what must be filled in.
package outcome
