// Package totals is the arithmetic of running totals: what one person did with one content over all visits.
//
// The totals remember what each visit contributed, so that the visit's next revision replaces the contribution instead
// of adding to it, in whatever order and however often revisions arrive. Only a bounded number of visits is remembered
// one by one. When there are more, the one that began first is folded into a sum: it keeps counting, but a later revision
// of it no longer changes any count (its stretches still unite), and a visit that began before the youngest folded one
// and arrives only now is taken for a folded visit and not counted. That errs towards counting too little, never twice.
package totals
