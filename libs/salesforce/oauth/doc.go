// Package oauth gets access tokens from Salesforce's token endpoint by the grants a server needs: client credentials, refresh
// token, JWT bearer, and the authorization code of the web server flow, with and without PKCE (Login). Source keeps one
// connection's token fresh and its rotating refresh token stored. Showing a login page is the caller's business.
//
// Failures are *salesforce.Error: transient ones pass, the others wait for an administrator; the reason code says what
// to do. Texts are scrubbed and never hold a token, a secret or an assertion.
package oauth
