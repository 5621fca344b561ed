// Package storetest defines what a settings store is: a conformance suite that every database must pass.
package storetest
