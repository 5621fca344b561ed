// Package oidctest is an OpenID Connect issuer for tests: discovery, a JWKS, and ID tokens signed with its keys, right or
// wrong in every way a test asks for. It signs nobody in.
package oidctest
