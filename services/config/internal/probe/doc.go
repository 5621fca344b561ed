// Package probe asks an org everything that could be in the way of a connection, each question by itself: an answer that
// cannot be had says so, and spoils no other. What it finds, it names with the place in Salesforce's Setup where it is changed,
// in Japanese and English. It changes nothing, in the org or here; package diagnose keeps what was found.
package probe
