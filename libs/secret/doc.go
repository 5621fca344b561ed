// Package secret holds values that must never be seen: a String shows [REDACTED] wherever it is printed, logged or
// encoded, and gives its value up only to code that calls Reveal, which a reviewer can search for.
//
// It protects against accidents, not against code that means harm, and it does not wipe memory.
package secret
