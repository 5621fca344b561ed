// Package record holds the values and rows of the simulated org and how they are written as JSON, compared and sorted,
// following Salesforce's conventions: no empty strings, datetimes in whole seconds, text compared without regard to case.
package record
