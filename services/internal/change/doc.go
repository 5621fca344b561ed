// Package change turns a change in an org into the message that tells of it. Whoever learns of one builds the message here, so
// that all agree on its key and its id.
package change
