// Package oracle works out what Salesforce must hold after a stream of viewing events, and compares that with what it
// holds.
//
// It is a second opinion: it reads the raw bytes that the pipeline reads and the world they are about, shares no code
// with the pipeline, and follows the requirements' text in the most straightforward way, without regard to speed,
// restarts, batches or partial knowledge. It keeps everything in memory and decides at the end. Where pipeline and
// oracle differ, one of them has misread a requirement, and a person must find out which.
//
// Its assumptions: sessions arrive in stream order; settings do not change; a visit's explicit close takes effect at
// once (no settling delay); nothing was closed by silence before the stream had ended; the org's people do not change
// meanwhile.
package oracle
