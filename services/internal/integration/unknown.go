package integration

import (
	"slices"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// TellsUnknown reports whether the integration makes a record of a closed document visit whose viewer nobody knows
// (IMM-36). It looks at neither the content filter nor the condition.
func TellsUnknown(i *configv1.Integration) bool {
	return slices.ContainsFunc(i.GetActions(), func(a *configv1.Action) bool { return tellsUnknown(a, i.GetTrigger()) })
}

// tellsUnknown reports whether an action makes a record for unknown viewers: by choice, for the owner of the content, and
// about one visit that has ended. What adds visits up is about a person.
func tellsUnknown(a *configv1.Action, trigger configv1.Trigger) bool {
	return !a.GetDisabled() && a.GetAssignment().GetUnknownViewers() &&
		trigger == configv1.Trigger_TRIGGER_VISIT_CLOSED && a.GetScope() == configv1.Scope_SCOPE_VISIT &&
		slices.Contains(a.GetAssignment().GetChain(), configv1.Assignee_ASSIGNEE_CONTENT_OWNER)
}

// Covers reports whether the integration applies to a content.
func Covers(i *configv1.Integration, contentID string) bool {
	return len(i.GetContentIds()) == 0 || slices.Contains(i.GetContentIds(), contentID)
}
