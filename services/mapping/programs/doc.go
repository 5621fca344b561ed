// Package programs keeps compiled integrations, so that each version is compiled once and not once per record.
package programs
