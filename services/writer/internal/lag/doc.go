// Package lag tells how far behind the writer is, by class of writes: how many were taken in and are not settled, and since
// when the oldest of them waits. It is what an autoscaler goes by.
//
// It refuses to count what is parked: that waits for an org, and more writers do not help it. What nobody has read yet has no
// class; it is for the consumer group's lag to say how much that is.
package lag
