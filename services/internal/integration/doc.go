// Package integration turns a workspace's rule, an Integration message, into a program that says which Salesforce
// records one resolved engagement asks for.
//
// Compile checks everything that can be checked without the org: every condition and expression is type-checked CEL,
// every path and placeholder names a known value, every format fits its value, every action can be written twice
// without doubling. It reports all problems at once, each with its field path and position, so a rule that compiles
// can only fail on its data.
//
// Evaluate is deterministic: the same program and the same input give the same records. It asks nobody, knows no
// clock and seals nothing. Paths and templates are closures over protobuf reflection; only conditions and
// expressions run CEL, under a cost limit.
//
// Everything that came from an event is text and nothing else (XC-35): control characters go, line breaks come from
// the rule's author only, and what is too long is cut at a grapheme boundary with a warning (XC-37). No error, warning
// or refusal quotes a value (promise 8).
package integration
