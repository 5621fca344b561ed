// Package collect is the stage that turns activities into visits.
//
// One Processor serves one partition of the activities topic. Its state is one entry per visit, open or remembered. A
// batch is applied visit by visit: every visit it touches is decoded once, takes all its activities, and is encoded and
// sent once. The exceptions are revisions that others must see as they were: the first one after an explicit close that
// needs no settling, and the one that withdraws a visit from a person.
//
// Time comes in two kinds. Whether somebody is silent is told by when records arrived at the broker, so that a service
// that was down for an hour does not close visits that go on further down the partition; how often an open visit is
// reported is told by the stage's clock.
package collect
