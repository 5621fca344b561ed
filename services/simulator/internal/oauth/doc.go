// Package oauth is the sign-in side of a simulated org: the token, authorize, revoke, introspect and userinfo endpoints, the
// identity URL, and the sessions that REST calls carry.
package oauth
