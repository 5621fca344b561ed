package settings_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

func TestOrgOf(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "LOOM-14")
	const first, second = "00D000000000001EAA", "00D000000000002EAA"
	for name, c := range map[string]struct {
		now, first, org string
		unknown         bool
	}{
		"NobodyHasLookedYet":       {},
		"ThereWasNeverAnother":     {now: first},
		"AnotherOne":               {now: second, first: first, org: second},
		"AnotherOneBriefly":        {now: second[:15], first: first, org: second},
		"TheFirstOneAgain":         {now: first[:15], first: first},
		"AcceptedAndNotYetLooked":  {first: first, unknown: true},
		"NoIDsOfSalesforceAtAll":   {now: "b", first: "a", org: "b"},
		"NoIDsOfSalesforceAndSame": {now: "a", first: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			org, known := settings.OrgOf(&configv1.Connection{Org: &configv1.Org{Id: c.now}, FirstOrg: c.first})
			require.Equal(t, c.org, org)
			require.Equal(t, !c.unknown, known)
		})
	}
}
