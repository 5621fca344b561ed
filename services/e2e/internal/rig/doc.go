// Package rig puts a whole platform up for a test: a broker, a simulated Salesforce, and processes with services, started and
// stopped one by one. Everything speaks over its real wire path. Time is real, but for the clock by which visits notice that
// somebody has gone.
package rig
