// Package oidc checks OpenID Connect ID tokens of one issuer. It signs nobody in and knows no roles: it says whose token it
// is, or that it is nobody's.
package oidc
