// Package defaults decides with what a new content begins: its creator's choice, the defaults of the creator's user groups, or
// the workspace's value (LOOM-36, LOOM-37). It knows no store and changes nothing.
package defaults
