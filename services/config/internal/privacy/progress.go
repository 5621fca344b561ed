package privacy

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// How long an erasure may take (XC-31).
const (
	target   = 24 * time.Hour
	deadline = 30 * 24 * time.Hour
)

// setProgress says until when an erasure is meant to be and must be completed, and how it stands with that.
func setProgress(e *configv1.Erasure, now time.Time) {
	asked := e.GetRequestedAt().AsTime()
	e.TargetAt, e.DueAt = timestamppb.New(asked.Add(target)), timestamppb.New(asked.Add(deadline))
	done := e.GetStatus() == configv1.ErasureStatus_ERASURE_STATUS_COMPLETED
	if done {
		now = e.GetCompletedAt().AsTime()
	}
	switch took := now.Sub(asked); {
	case done && took <= deadline:
		e.Progress = configv1.ErasureProgress_ERASURE_PROGRESS_DONE
	case done:
		e.Progress = configv1.ErasureProgress_ERASURE_PROGRESS_DONE_OVERDUE
	case took <= target:
		e.Progress = configv1.ErasureProgress_ERASURE_PROGRESS_ON_TIME
	case took <= deadline:
		e.Progress = configv1.ErasureProgress_ERASURE_PROGRESS_LATE
	default:
		e.Progress = configv1.ErasureProgress_ERASURE_PROGRESS_OVERDUE
	}
}
