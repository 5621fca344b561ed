// Package query answers parsed SOQL from an org's tables: it checks names, types and permissions, finds records through
// indexes where a condition allows it, and writes the answer's records as JSON.
//
// It takes no locks: the caller keeps the tables still while a query is prepared, run and written.
package query
