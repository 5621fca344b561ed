// Package retain forgets what the audit log and sessions need not keep any longer. It deletes nothing else.
package retain
