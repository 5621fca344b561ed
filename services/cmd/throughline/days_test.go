package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

func TestDaysArePrintedWithTheFirstError(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	answer := &configv1.ListIntegrationDaysResponse{NextPageToken: "more", Days: []*configv1.IntegrationDay{{
		Integration: "video", Day: timestamppb.New(at.Truncate(24 * time.Hour)), First: timestamppb.New(at),
		Last: timestamppb.New(at.Add(time.Hour)), Read: 12, Written: 7, Skipped: 2, Parked: 1, Retrying: 1, Failed: 1,
		FirstError: &streamv1.Outcome{Detail: "Subject is too long: shorten it."},
	}}}
	var out bytes.Buffer
	require.NoError(t, printDays(&out, answer, false))
	require.Regexp(t, `2026-03-01 │ video +│ 09:00:00 │ 10:00:00 │ +12 │ +7 │ +2 │ +2 │ +1 │ Subject is too long: shorten it. │`, out.String())
	require.Contains(t, out.String(), "raise --limit")
	out.Reset()
	require.NoError(t, printDays(&out, answer, true))
	require.Contains(t, out.String(), `"written":"7"`)
}
