// Package notices tells administrators what is in the way of their workspace without being asked: a connection that is revoked or
// degraded, an integration that does not fit its org any more (IMM-15, XC-38).
//
// It does not wait for events: now and then it looks where connections stand and which integrations are broken, and keeps a notice for
// each. What flaps is one notice that comes back, and a recipient is told of it once a day at most, so that no trouble of an org
// becomes a storm (XC-43). Trouble that often passes by itself is told only when it has lasted.
//
// Messages go by mail, into Slack and to webhooks, in Japanese or English. They name connections, integrations and reasons, never a
// person (promise 8). Whoever cannot be reached is tried again, later each time. A death between sending and noting it sends a message
// twice; nothing is left out.
package notices
