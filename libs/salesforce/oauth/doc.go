// Package oauth gets access tokens from Salesforce's token endpoint by the three grants a server needs: client
// credentials, refresh token and JWT bearer. Interactive login is not its business.
//
// Failures are *salesforce.Error: transient ones pass, the others wait for an administrator; the reason code says what
// to do. Texts are scrubbed and never hold a token, a secret or an assertion.
package oauth
