// Package org is one simulated Salesforce org: its schema, records, users and rules behind one lock, and its place in the
// journal. Reads and writes go through View and Write; nothing leaves them before it would survive a killed process.
package org
