// Package accumulate is the stage that turns visits into engagements: the running totals of one person with one content.
//
// One Processor serves one partition of the visits topic. Its state is one entry per engagement. Every visit revision
// that is news leads to one engagement revision, with the totals as they stood right after it. The one exception: of
// several revisions of one open visit within a batch only the last is told on. A closed or withdrawn revision always is.
package accumulate
