// Package sheet writes tables as CSV for people who open them in a spreadsheet. What somebody else typed must not become a
// formula there, so every cell that a spreadsheet could take for one is made a text.
package sheet
