// Package table keeps an org's records in memory with the indexes that make look-ups by id, address, external id and
// parent fast, and changes them in transactions that can be rolled back to any earlier mark.
//
// Nothing here locks: the owner of the tables lets one writer or many readers in.
package table
