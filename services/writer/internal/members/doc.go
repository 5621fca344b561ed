// Package members knows the order of a campaign's member statuses, and which of two comes later. It decides, and asks nobody:
// what the org says is handed in.
package members
