// Package tokens is the custody of what lets us into Salesforce orgs. Credentials are sealed before they reach the
// store and leave it only here, to be exchanged for short-lived access tokens: one exchange at a time per connection,
// across replicas, and what Salesforce rotates is stored before anybody gets the token that came with it.
package tokens
