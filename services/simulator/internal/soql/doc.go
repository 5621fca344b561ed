// Package soql parses the part of SOQL that the simulated org answers. What it does not know it refuses with an error
// that says so; a query never means something else than it says.
//
// The parser knows no schema: names, types and permissions are checked by package query.
package soql
