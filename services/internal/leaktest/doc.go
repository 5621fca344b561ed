// Package leaktest looks for goroutines that a package's tests leave behind, and gives them a while to end. goleak alone waits for less
// than half a second, which on a busy machine is too short for connections that are being closed.
package leaktest
