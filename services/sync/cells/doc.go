// Package cells turns the cells of a report's row into the values of a record's fields, and tells whether a record has them already.
//
// A conversion is made for one mapped column: text, number, checkbox, date and datetime in any sensible pair, with the mapping's
// format, zone, words and rules for texts that are too long and for picklist values that are not there (WALK-19). An empty cell
// leaves the field alone or clears it (WALK-28); zero and false are values. Errors name field and rule and never the value
// (promise 8).
package cells
