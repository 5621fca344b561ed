// Package ids derives the deterministic identifiers of the pipeline. Two processes that see the same facts derive the
// same id without talking to each other, which is what makes a repeated message recognisable (promise 5).
//
// An id is 24 characters of base64url: the first 144 bits of SHA-256 over the kind of the id and its parts, each
// prefixed with its length, so that no two lists of parts share an input ("ab"+"c" is not "a"+"bc"). Nobody who
// meets an id can tell what it was made from, but somebody who guesses all parts can confirm the guess: a person enters
// only as the keyed person key, never as an address (promise 8).
package ids
