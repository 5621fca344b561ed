package salesforce_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

func TestIDsHaveTheirChecksum(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"001A0000006Vm9r":    "001A0000006Vm9rIAC",
		"001A0000006Vm9rIAC": "001A0000006Vm9rIAC",
		"005000000000101":    "005000000000101AAA",
		"005zzzzzzzzzzzz":    "005zzzzzzzzzzzzAAA",
	} {
		id, err := salesforce.ID(text, "")
		require.NoError(t, err, text)
		require.Equal(t, want, id)
	}
}

func TestWhatIsNoIDIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		"":                   salesforce.ErrNotAnID,
		"005":                salesforce.ErrNotAnID,
		"005000000000101A":   salesforce.ErrNotAnID,
		"00500000000010'":    salesforce.ErrNotAnID,
		"00500000000é101":    salesforce.ErrNotAnID,
		"005000000000101AAB": salesforce.ErrIDChecksum,
		"001a0000006vm9riac": salesforce.ErrNotAnID,
		"005A0000006vm9rIAC": salesforce.ErrIDChecksum,
		strings.ToLower("005A0000006Vm9r") + "IAC": salesforce.ErrIDChecksum,
	} {
		_, err := salesforce.ID(text, "005")
		require.ErrorIs(t, err, want, text)
	}
	_, err := salesforce.ID("001A0000006Vm9rIAC", "005")
	require.EqualError(t, err, "not a Salesforce id of 15 or 18 characters that starts with 005")
}
