package settings

import (
	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// OrgOf names the org that a connection is with, for what is remembered of it and what is on the way to it: empty for the first
// one that the connection was with, and for what was made before there was another; its id otherwise. An org that comes back is
// known again. It is not known while an administrator has accepted another org and nobody has asked yet which one it is: nothing
// may be sent then (LOOM-14).
func OrgOf(c *configv1.Connection) (org string, known bool) {
	first, now := c.GetFirstOrg(), c.GetOrg().GetId()
	switch {
	case first == "":
		return "", true
	case now == "":
		return "", false
	case SameOrg(first, now):
		return "", true
	}
	if full, err := salesforce.ID(now, "00D"); err == nil {
		now = full
	}
	return now, true
}

// SameOrg compares ids of orgs, of 15 and 18 characters.
func SameOrg(a, b string) bool {
	x, errX := salesforce.ID(a, "00D")
	y, errY := salesforce.ID(b, "00D")
	if errX != nil || errY != nil {
		return a == b
	}
	return x == y
}
