package salesforce

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDuplicateIDs(t *testing.T) {
	t.Parallel()
	const match = `{"matchResults":[{"matchRecords":[{"record":{"Id":"00QSM000000pQrS"}},{"record":{"Id":"00QSM000000pQrS2AU"}},{"record":{"Id":"nonsense"}}]}]}`
	for body, want := range map[string][]string{
		`[{"errorCode":"DUPLICATES_DETECTED","duplicateResut":` + match + `}]`:  {"00QSM000000pQrS2AU", "00QSM000000pQrS2AU"},
		`[{"errorCode":"DUPLICATES_DETECTED","duplicateResult":` + match + `}]`: {"00QSM000000pQrS2AU", "00QSM000000pQrS2AU"},
		`[{"errorCode":"DUPLICATES_DETECTED"}]`:                                 nil,
		`<html>`:                                                                nil,
	} {
		require.Equal(t, want, duplicateIDs([]byte(body)), body)
	}
}
