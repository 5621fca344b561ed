package api

import configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"

// secretFields returns the write-only fields of a connection's grant. This is the one list of them: what is not in it is
// shown to everybody who may read settings.
func secretFields(c *configv1.Connection) []*string {
	switch g := c.GetGrant().(type) {
	case *configv1.Connection_ClientCredentials:
		if g.ClientCredentials != nil {
			return []*string{&g.ClientCredentials.ClientSecret}
		}
	case *configv1.Connection_RefreshToken:
		if g.RefreshToken != nil {
			return []*string{&g.RefreshToken.ClientSecret, &g.RefreshToken.RefreshToken}
		}
	case *configv1.Connection_JwtBearer:
		if g.JwtBearer != nil {
			return []*string{&g.JwtBearer.PrivateKey}
		}
	}
	return nil
}

// hideSecrets empties them. Promise 8.
func hideSecrets(c *configv1.Connection) {
	for _, field := range secretFields(c) {
		*field = ""
	}
}

// hasSecrets reports whether any was entered.
func hasSecrets(c *configv1.Connection) bool {
	for _, field := range secretFields(c) {
		if *field != "" {
			return true
		}
	}
	return false
}

// fillSecrets takes those left empty from the stored grant, if both are of one app and user.
func fillSecrets(c, stored *configv1.Connection) {
	if !sameGrant(&configv1.Connection{Grant: c.GetGrant()}, stored) {
		return
	}
	from := secretFields(stored)
	for i, field := range secretFields(c) {
		if *field == "" {
			*field = *from[i]
		}
	}
}
