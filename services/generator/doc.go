// Package generator makes viewing traffic that looks like the real thing and repeats exactly: the same configuration
// gives the same world and the same stream, byte for byte.
//
// People arrive by chance, look at popular things more often than at others, jump about, come back, close the tab
// without a word, are anonymous, turn out to be somebody else. The network delivers some of what they do twice, late
// or out of order, and one event in a hundred is malformed in one of many ways. docs/generator.md states every
// distribution.
//
// The package only makes bytes. It neither sends them nor knows what should become of them: the first is up to the
// caller, the second to the oracle, which reads the same bytes.
package generator
