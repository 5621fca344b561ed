// Package match decides which Salesforce record stands for a person. It ranks candidates that somebody else has found,
// by a policy that is data, and keeps for every candidate the rule that chose or refused it. It asks nobody and knows
// no clock.
package match
