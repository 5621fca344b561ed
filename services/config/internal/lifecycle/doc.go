// Package lifecycle moves connections through their states: it notes what administrators did, what Salesforce said when it
// was asked for a token, and what diagnosis found, and it forgets and revokes what a connection held when it ends. What a
// state is and which may follow which is package connstate's; this package asks nothing of an org itself.
package lifecycle
