package tokens_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
)

func FuzzOrgAndUser(f *testing.F) {
	for _, seed := range []string{
		"https://login.salesforce.com/id/00D000000000001EAA/005000000000001AAA", "https://x/id/00D000000000001", "/id/id/00D000000000001EAA", "://", "%",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, identity string) {
		org, user := tokens.OrgAndUser(identity)
		for id, prefix := range map[string]string{org: "00D", user: "005"} {
			if id == "" {
				continue
			}
			again, err := salesforce.ID(id, prefix)
			require.NoError(t, err)
			require.Equal(t, id, again, "18 characters, whatever came")
		}
		require.False(t, org == "" && user != "")
	})
}
