// Package reports decides when report pushes run and hands their runs out: the day's schedule, days that were missed, the checks
// before the first write, and which delivery a run works with. It reads no rows and writes nothing to Salesforce: that is the sync
// service's work, which asks here for runs and tells how far they are.
//
// A scheduled run begins when somebody is there to carry it out: it is made when a worker asks, and not before. So the time of its
// start is true, and a day on which no worker came within the catch-up limit is recorded as missed.
package reports
