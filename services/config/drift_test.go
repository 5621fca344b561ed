package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// drifts are what administrators do to an org: the fields of Score__c after it, and what is then said of the rule that writes
// Stage__c and Note__c.
var drifts = map[string]struct{ fields, says string }{
	"AFieldIsRenamed": {
		"          - {name: Stage_Name__c, label: Stage, type: picklist, values: [Open, Closed], restricted: true}\n",
		"SF_FIELD_GONE: Score__c has no field Stage__c that the org lets the integration user see; did you mean Stage_Name__c?",
	},
	"AFieldBecomesRequired": {
		stageField + "          - {name: Region__c, type: string, required: true}\n",
		`REQUIRED_FIELD_MISSING: a new Score__c needs "Region" (Region__c); map it`,
	},
	"APicklistValueIsDeactivated": {
		"          - {name: Stage__c, type: picklist, values: [Open, \"!Closed\"], restricted: true}\n",
		`TYPE_MISMATCH: "Stage" (Stage__c) has no active value "Closed"; it has "Open"`,
	},
	"ALengthIsShortened": {
		stageField + "          - {name: Note__c, type: string, length: 40}\n",
		`TYPE_MISMATCH: "Note" (Note__c) takes 40 characters now, and took 100 when the integration was saved`,
	},
}

// TestAnOrgThatDriftsIsNoticedBeforeTheNextWriteFails: the description is never older than six hours, and all rules are judged
// by it; the one that does not fit is named, the other is not.
func TestAnOrgThatDriftsIsNoticedBeforeTheNextWriteFails(t *testing.T) {
	t.Parallel()
	for name, c := range drifts {
		t.Run(name, func(t *testing.T) {
			t.Attr("requirement", "XC-38")
			t.Parallel()
			b := setupCatalogue(t)
			b.saveTwoRules(t)
			require.LessOrEqual(t, b.cfg.Catalogue.RefreshEvery, 6*time.Hour)
			b.alter(t, c.fields, "")
			broken := b.becomes(t, true)
			require.Len(t, broken, 1, "the rule that writes other objects is not concerned")
			require.Equal(t, "score", broken[0].GetIntegration())
			var said []string
			for _, p := range broken[0].GetProblems() {
				said = append(said, p.GetDescription())
			}
			require.Contains(t, strings.Join(said, "\n"), c.says)
			b.alter(t, stageField, "")
			b.becomes(t, false)
		})
	}
}

// TestARefusalForAFieldsSakeNamesTheRuleAtOnce: the writer's outcome is what makes us look, in each of the cases.
func TestARefusalForAFieldsSakeNamesTheRuleAtOnce(t *testing.T) {
	t.Parallel()
	for name, reason := range map[string]streamv1.Reason{
		"AFieldIsRenamed":             streamv1.Reason_REASON_SF_FIELD_GONE,
		"AFieldBecomesRequired":       streamv1.Reason_REASON_REQUIRED_FIELD_MISSING,
		"APicklistValueIsDeactivated": streamv1.Reason_REASON_TYPE_MISMATCH,
		"ALengthIsShortened":          streamv1.Reason_REASON_TYPE_MISMATCH,
	} {
		t.Run(name, func(t *testing.T) {
			t.Attr("requirement", "XC-38")
			t.Parallel()
			b, broker := setupTrouble(t)
			b.saveTwoRules(t)
			b.clock.Advance(time.Minute)
			b.live.change(t, drifts[name].fields, "")
			o := refused("Score__c", 1, b.clock.Now())
			o.Reason = reason
			broker.Append(topic.Outcomes, 0, record(t, o))
			broken := b.becomes(t, true)
			require.Equal(t, "score", broken[0].GetIntegration())
			require.Contains(t, broken[0].GetProblems()[0].GetDescription(), drifts[name].says)
		})
	}
}

// saveTwoRules saves one that writes Score__c and one that writes to-dos.
func (b *catalogueBundle) saveTwoRules(t *testing.T) {
	t.Helper()
	_, err := b.put(t, scoring(text("Stage__c", "Closed"), from("Note__c", "content.title")))
	require.NoError(t, err)
	_, err = b.put(t, rule("acme"))
	require.NoError(t, err)
	require.Empty(t, b.broken(t))
}
