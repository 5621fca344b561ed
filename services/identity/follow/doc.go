// Package follow reads tl.changes.v1 as it grows: every replica reads all of it, because each remembers answers of its own. It
// keeps no offset, since a replica that has just started remembers nothing yet.
package follow
