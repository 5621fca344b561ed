package integration

import (
	"slices"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// userPrefix begins the ids of users.
const userPrefix = "005"

// FixedUser returns the id, of 18 characters, of the user that a link of the chain names (IMM-29); ok is false when none
// does, or when what it names is no user's id.
func FixedUser(a *configv1.Assignment) (id string, ok bool) {
	if !slices.Contains(a.GetChain(), configv1.Assignee_ASSIGNEE_FIXED_USER) {
		return "", false
	}
	id, err := salesforce.ID(a.GetFixedUserId(), userPrefix)
	return id, err == nil
}

// AsksAccount reports whether an action of the integration may belong to the owner of the viewer's account (IMM-44).
func AsksAccount(i *configv1.Integration) bool {
	return slices.ContainsFunc(i.GetActions(), func(a *configv1.Action) bool {
		return slices.Contains(a.GetAssignment().GetChain(), configv1.Assignee_ASSIGNEE_ACCOUNT_OWNER)
	})
}
