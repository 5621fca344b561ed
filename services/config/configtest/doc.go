// Package configtest gives tests the database of a config service that has started once and knows nothing yet. A hundred tests
// that each migrated one of their own would spend most of their time on that, and prove it a hundred times.
//
// It refuses to fill databases: what a test needs it says itself. That migrations work is for the tests of the store to show.
package configtest
