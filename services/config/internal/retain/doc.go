// Package retain forgets what the audit log, the history of settings, sessions and drafts need not keep any longer. What is in
// force it never touches.
package retain
