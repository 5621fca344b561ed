// Package faults decides which requests go wrong and how: scripted rules match requests by org, route and object, choose
// among the matches by number, time or seeded chance, and name what befalls them.
package faults
