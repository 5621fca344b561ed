// Package connstate is where a connection may stand and what may become of it: NOT_CONNECTED, AWAITING_SF_ADMIN, AUTHORISED,
// PACKAGE_MISSING, READY, and beside that line DEGRADED, REVOKED and DISCONNECTED (XC-17). It decides and keeps nothing;
// package store keeps, and package lifecycle asks.
//
// Trouble is believed at once. Recovery is too, until a connection has recovered too often within a while: then it must stay
// well for some time first, so that services do not start and stop with it.
package connstate
