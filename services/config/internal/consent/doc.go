// Package consent lets a Salesforce administrator authorise an app for a connection: OAuth's web server flow with PKCE, from
// the link that begins it to tokens in custody. It knows no HTML and no gRPC; packages connectweb and api show it to
// browsers and administrators.
//
// Every step is made once, and nothing a browser brings is believed before it matched a hash: the link, the state parameter and
// the browser's cookie are kept as SHA-256 only, and everything else an attempt needs is sealed. What was authorised becomes
// the connection's only at the last step, so that a login that goes wrong leaves a working connection as it was.
package consent
