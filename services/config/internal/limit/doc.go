// Package limit bounds how often somebody may do something, for as many somebodies as its memory is given. It refuses at
// once and says when to come again; it never waits.
package limit
