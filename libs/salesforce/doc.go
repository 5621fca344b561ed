// Package salesforce is a typed client of the Salesforce REST API: SOQL with paging, describe, identity, limits, single
// records and sObject Collections.
//
// It is written for services that write much and must know exactly what became of it. Every failure is an *Error of one
// of seven classes, decided by one table (classify.go), and says whether the request may have taken effect although no
// answer came. The client sends a request once; only a refused session is renewed and the request repeated, because
// Salesforce did nothing in that case. All other retrying is the caller's, who knows what may be repeated.
//
// Nothing that leaves the package in an error, span or metric quotes an address, a query or a token (promise 8).
package salesforce
