// Package sync is the service that looks at Salesforce by itself, instead of waiting for an event. It is a list of components
// that share nothing but the process: package changes tells what changed in the orgs, package reports pushes the rows of reports.
package sync
