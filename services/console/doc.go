// Package console is the web console: what a workspace's administrator and an SRE look at. It keeps nothing; everything it
// shows comes from the config service over gRPC and, for the way of one event, from the pipeline's topics.
//
// It refuses to show anything to somebody who has not signed in, and it never shows a secret or an address.
package console
