// Package retain forgets what the audit log, the history of settings and sessions need not keep any longer. What is in force
// it never touches.
package retain
