// Package normalize brings what producers send into the one form that the pipeline compares and stores: e-mail
// addresses, phone numbers, human-readable texts and links.
//
// It is pure: no clock, no configuration, no state. Two addresses are the same person's if and only if Email returns
// the same string for both; that string is what person keys are made from.
package normalize
