// Package preview shows what an integration would write of sample engagements: the exact records and where each value comes
// from, or why there is none. The decision is mapping's own, handed in by main; this package only prepares the samples and
// reads the answer.
//
// It writes nothing, asks no org and sees no recorded engagement. The samples' personal data is sealed with keys made for the
// one preview and thrown away with it, so that nothing here opens what a workspace has sealed (promise 8).
package preview
