// Package diagnose has connections asked what is in the way of them, on demand, daily, and more often while something is; it
// keeps what was found and turns it into the connection's state. Which questions there are is package probe's, which states
// package connstate's.
package diagnose
