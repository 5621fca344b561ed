// Package refusals counts, per action of an integration, how many of its writes the org refused for what is in them: a
// validation rule, a missing right, a field that is gone. An action that is refused too often is paused, so that it does not
// use up the org's calls for nothing (XC-39); after a while a few writes are tried, and it goes on or stays paused by what
// becomes of them. Others of the same connection go on all the time.
//
// It refuses to judge what passes by itself (locks, lost answers, an org that is away): that is for package gate. It saves
// nothing itself: it makes the entries of the partition's state by which whoever takes the partition over goes on pausing. Counts
// that have not led to a pause, and trials, begin anew then.
package refusals
