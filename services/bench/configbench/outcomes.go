package configbench

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

const (
	// logDays is how long the outcomes took to come.
	logDays = 30
	// logWorkspaces is how many have outcomes. Every other outcome is of the first one: customers are not of one size.
	logWorkspaces = 10
	// purgedShare is the part of the run log that is too old in the last measurement.
	purgedShare = 0.02
)

// epoch is when the first outcome was decided.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// sample makes the n-th of total outcomes; it is the same in every run.
type sample struct{ total int }

func (s sample) at(n int) time.Time {
	return epoch.Add(time.Duration(float64(n) / float64(s.total) * logDays * 24 * float64(time.Hour))).Truncate(time.Microsecond)
}

func (sample) workspace(n int) string {
	if n%2 == 0 {
		return workspaceID(0)
	}
	return workspaceID(1 + n/2%(logWorkspaces-1))
}

// An event, its visit and its write are told of by the outcomes that are near it; a record is written now and again.
func (sample) event(n int) string {
	return fmt.Sprintf("%08x-%04x-7000-8000-%012x", scramble(n)>>32, n&0xffff, n)
}
func (sample) write(n int) string  { return fmt.Sprintf("%016x%016x", scramble(n), scramble(n+1)) }
func (sample) record(n int) string { return fmt.Sprintf("00T%012dAAA", n/40*20+n%20/2*2+n%2) }

func (sample) engagement(n int) string {
	return fmt.Sprintf("engagement-%016x", scramble(n/30*2+n%2))
}
func (sample) integration(n int) string { return fmt.Sprintf("integration-%05d", n%100) }

func (s sample) outcome(n int) *streamv1.Outcome {
	status, reason := s.became(n)
	o := &streamv1.Outcome{
		Workspace: s.workspace(n), Status: status, Reason: reason, Stage: "writer", EventId: s.event(n),
		VisitId: fmt.Sprintf("visit-%016x", scramble(n/6*2+n%2)), EngagementId: s.engagement(n),
		Connection: connectionID, Integration: s.integration(n), IntegrationVersion: 1, Revision: int64(n),
		WriteKey: s.write(n), Object: "Task", Attempts: 1, OccurredAt: timestamppb.New(s.at(n).Add(-time.Second)),
		DecidedAt: timestamppb.New(s.at(n)), SettingsRevision: 7,
		Request: &streamv1.Request{Api: "collections", Route: "POST /composite/sobjects", HttpStatus: 200, BatchSize: 200, DurationMs: 148},
	}
	if status == streamv1.Status_STATUS_WRITTEN {
		o.RecordId, o.Created = s.record(n), n%40 < 20
	} else {
		o.Detail = "The record was not written; see the reason, and what to do next in the handbook."
	}
	return o
}

// became gives 80 % written, and troubles of which some are rare.
func (sample) became(n int) (streamv1.Status, streamv1.Reason) {
	switch chance := scramble(n) % 1000; {
	case chance < 800:
		return streamv1.Status_STATUS_WRITTEN, streamv1.Reason_REASON_UNSPECIFIED
	case chance < 940:
		return streamv1.Status_STATUS_SKIPPED, streamv1.Reason_REASON_NO_MATCH
	case chance < 945:
		return streamv1.Status_STATUS_SKIPPED, rareReason
	case chance < 980:
		return streamv1.Status_STATUS_PARKED, streamv1.Reason_REASON_SF_LIMIT
	default:
		return streamv1.Status_STATUS_FAILED, streamv1.Reason_REASON_SF_VALIDATION
	}
}

const (
	rareReason  = streamv1.Reason_REASON_SUPERSEDED
	neverReason = streamv1.Reason_REASON_CAMPAIGN_GONE
)

// scramble spreads numbers over 64 bits (the finaliser of SplitMix64).
func scramble(n int) uint64 {
	z := uint64(n)*0x9e3779b97f4a7c15 + 0x9e3779b97f4a7c15 //nolint:gosec // any bits will do
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
