// Package reports is the component of the sync service that pushes reports into Salesforce. It follows tl.rows.v1 and tells the config
// service which deliveries are complete (package deliveries), and carries out the runs that the config service hands out (package
// push).
//
// Config has the schedule, the log and the claims: all that is kept here is the state of deliveries that have not ended.
package reports
