// Package resolve turns engagements into resolved engagements: one per connection that the workspace's integrations use.
//
// A Processor handles the stream. An org in trouble does not hold it up: the engagement goes to the unresolved topic, and
// a Retrier asks again later, ever more rarely, until a limit is reached. A revision that comes back after a newer
// one went through does no harm, because everything downstream compares revisions.
package resolve
