// Package visit is the arithmetic of one visit: what one person did with one content in one sitting. It applies
// activities in the order in which they arrive and comes to the same visit in whatever order that is: times are
// compared, never positions, and an event that was applied before has no further effect.
//
// What it decides
//
//   - A second of a video counts once for the share watched, and as often as it was played for the seconds watched.
//   - A video visit is a view from Rules.ViewSeconds watched, from Rules.ViewPercent of the length, or when the end was
//     reached; below a length of ViewSeconds only the share and the end decide, without a length only the seconds. A
//     document visit is a view from ViewSeconds of active time.
//   - Clicks within DoubleClick of a counted click are that click.
//   - The strongest evidence says who it was: signed in, asked, link; within one kind the latest.
//   - An explicit close ends the visit unless something happened after it, by the times of the events.
//
// The package knows no Kafka, no settings service and no clock; times are passed in.
package visit
