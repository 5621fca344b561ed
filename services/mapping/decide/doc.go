// Package decide makes writes of a resolved engagement: it finds the integrations that were in force when the event
// happened, runs them, and turns every record they ask for into a sealed write with a deterministic key.
//
// It keeps nothing and knows no clock: the same resolved engagement under the same settings gives the same writes, so
// that handling it again changes nothing (promise 5). What writes nothing is told as an outcome, but only for the
// closed revision of a visit, so that a visit that is reported twenty times is not refused twenty times.
package decide
