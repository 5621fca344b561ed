package reports_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// A column that holds long texts was taken for the key: that is told of row by row, and neither the org nor config is asked more than
// they take.
func TestLongKeysEndTheirOwnRowsAndNotTheRun(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-30")
	b := setup(t)
	b.contacts(contact("key-1"))
	const most = 4 << 20 // max_request_bytes of the config service
	b.runs.hook = func(req *configv1.RecordReportRunRequest) error {
		if proto.Size(req) > most {
			return status.Error(codes.ResourceExhausted, "received message larger than max")
		}
		return nil
	}
	table := [][]any{{"key-1", 7, true}}
	for i := range 60 {
		table = append(table, []any{fmt.Sprintf("%d %s", i, strings.Repeat("長", 40_000)), 1, true})
	}
	b.deliver([]string{"key", "score", "active"}, table...)
	b.start()
	b.eventually(b.runs.done, "the run ended")
	require.Nil(t, b.runs.failure)
	require.EqualValues(t, 60, b.runs.counts().GetUnmatched())
	require.Len(t, b.writes(), 1)
	require.Less(t, len(b.runs.rows[2].GetSealedKey()), 1000)
}
