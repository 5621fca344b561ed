// Package conform checks whether an integration fits its org: every object and field is there for the integration user and
// may be written, takes the type and the length of what is mapped to it, has the picklist's value, and nothing that a new
// record needs is missing (XC-38).
//
// It works on descriptions that somebody else asked for, knows no org, store or clock, and judges only what can be told
// before there is data: an expression whose type is known at run time only passes. Each problem names the field of the
// integration and begins with the code under which the write would fail.
package conform
