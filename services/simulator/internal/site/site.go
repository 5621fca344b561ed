// Package site carries the address under which a request reached an org, so that answers can name addresses that work for
// that client: https://host/orgs/acme for one, https://acme.localhost for another.
package site

import (
	"context"
	"net/http"
)

type baseKey struct{}

// WithBase returns r with the org's address, without a slash at the end.
func WithBase(r *http.Request, base string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), baseKey{}, base))
}

// Base returns the org's address as the client sees it.
func Base(r *http.Request) string {
	base, _ := r.Context().Value(baseKey{}).(string)
	return base
}

// Origin returns scheme and host of the request.
func Origin(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}
