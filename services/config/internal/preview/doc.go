// Package preview shows what an integration would write of samples or of recorded engagements: the exact records and where each
// value comes from, or why there is none. The decision is mapping's own, handed in by main; this package prepares what is decided
// on and reads the answer.
//
// It writes nothing and asks no org. Personal data is sealed anew with keys made for the one preview and thrown away with it.
// Whoever may not see personal data sees what would be written of a made-up person wherever a value depends on who somebody is;
// who was erased is not shown at all.
package preview
