// Package screen prints what people read in a terminal: tables that fit its width, with Japanese and emoji aligned, and colour
// only where it shows. What programs read is JSON and does not come this way.
package screen
