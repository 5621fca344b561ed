// Package trace follows one event through the whole pipeline: which activity it became, which visit, engagement and
// resolution contain it, what was written for it and what Salesforce answered.
//
// It keeps no index. An event is found by scanning the activities topic around the time its id carries; the visit id, the
// person key and the write keys lead from there, by reading one partition each. See docs/adr, decision 4.
package trace
