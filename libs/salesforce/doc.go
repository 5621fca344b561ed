// Package salesforce is a typed client of the Salesforce REST API: SOQL with paging, describe, identity, limits, single
// records, sObject Collections, Composite, and the ingest and query jobs of the Bulk API 2.0.
//
// It is written for services that write much and must know exactly what became of it. Every failure is an *Error of one
// of seven classes, decided by one table (classify.go), and says whether the request may have taken effect although no
// answer came. The client sends a request once; only a refused session is renewed and the request repeated, because
// Salesforce did nothing in that case. All other retrying is the caller's, who knows what may be repeated; only
// AwaitBulkQuery, which asks again by its nature, goes on asking through passing trouble.
//
// Nothing that leaves the package in an error, span or metric quotes an address, a query or a token (promise 8).
package salesforce
