// Package auth says who calls the config service and what they may do. Everything is refused that the one table of
// methods does not allow: a method that is not in it cannot be called at all.
package auth
