// Package plan says what a workspace's plans entitle it to: which sources may be connected with Salesforce, and when. A plan
// is recorded with the time from which it holds; which plans include which source is the installation's decision. What comes
// of both are lapses, the times in which a workspace is not entitled, and all that services need to know.
//
// It asks nobody and keeps nothing.
package plan
