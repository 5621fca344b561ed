package wire

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	statev1 "github.com/throughline-dev/throughline/proto/throughline/state/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/visits/visit"
)

// StateVersion is the newest format of a state.v1.OpenVisit that this program reads, and the one it writes.
const StateVersion = 1

// VersionError says that a state entry was written by a newer program. Only upgrading helps; what needs the entry must
// wait or be given up, never be handled without it.
type VersionError struct {
	// Version is that of the entry, Known the newest this program reads.
	Version, Known uint32
}

// Error says what to do.
func (e *VersionError) Error() string {
	return fmt.Sprintf("its state has version %d and this program knows %d: run the newer program, then replay", e.Version, e.Known)
}

// EncodeState builds the state entry of v. The visit within it is m, the stream's form of v as it stands, without what
// is known anyway: the id, which is the entry's key, and the share watched.
func EncodeState(v *visit.Visit, m *streamv1.Visit) ([]byte, error) {
	id, percent := m.VisitId, m.PercentWatched
	m.VisitId, m.PercentWatched = "", 0
	defer func() { m.VisitId, m.PercentWatched = id, percent }()
	state := &statev1.OpenVisit{
		Version:       StateVersion,
		Visit:         m,
		AppliedOffset: v.AppliedOffset,
		Seen:          v.Seen,
		LastArrivalAt: Timestamp(v.LastArrival),
		SentRevision:  v.SentRevision,
		SentAt:        Timestamp(v.SentAt),
		Closing:       v.Closing,
		Traceparent:   string(v.TraceParent),
		SubjectAt:     Timestamp(v.SubjectAt),
		ClickTimes:    v.Clicks.Times,
		ExitPageAt:    Timestamp(v.ExitPageAt),
		Completed:     v.Completed,
	}
	if v.Skipped {
		state.Skipped = streamv1.Reason_REASON_IDENTITY_UNKNOWN
	}
	value, err := proto.Marshal(state)
	if err != nil {
		return nil, fmt.Errorf("encode the state of visit %s of workspace %s: %w", v.ID, v.Workspace, err)
	}
	return value, nil
}

// DecodeState reads the state entry of the visit id into v, whose memory it reuses. A *VersionError says that a newer
// program wrote it.
func DecodeState(id string, value []byte, v *visit.Visit) error {
	var state statev1.OpenVisit
	if err := proto.Unmarshal(value, &state); err != nil {
		return fmt.Errorf("not the state of a visit: %w", err)
	}
	if state.GetVersion() > StateVersion {
		return &VersionError{Version: state.GetVersion(), Known: StateVersion}
	}
	m := state.GetVisit()
	v.Reset(id, m.GetWorkspace(), m.GetSession())
	v.Content = contentFromProto(m.GetContent())
	v.Subject = subjectFromProto(m.GetSubject())
	v.SubjectAt = Instant(state.GetSubjectAt())
	v.StartedAt, v.LastActivityAt = Instant(m.GetStartedAt()), Instant(m.GetLastActivityAt())
	v.Closing = state.GetClosing()
	v.Closed = m.GetState() == streamv1.VisitState_VISIT_STATE_CLOSED
	v.Cause = visit.Cause(m.GetCloseCause())
	v.Ranges = RangesFromProto(v.Ranges, m.GetRanges())
	v.Watched = visit.Seconds(m.GetWatchedSeconds())
	v.Completed = state.GetCompleted()
	decodeClicks(&v.Clicks, m.GetCallToAction(), state.GetClickTimes())
	for _, p := range m.GetPages() {
		v.Pages = append(v.Pages, visit.PageDwell{Page: p.GetPage(), Dwell: visit.Seconds(p.GetSeconds())})
	}
	v.Dwell = visit.Seconds(m.GetDwellSeconds())
	v.ExitPage, v.ExitPageAt = m.GetExitPage(), Instant(state.GetExitPageAt())
	v.Activities = m.GetActivities()
	v.FirstEventID, v.LastEventID = []byte(m.GetFirstEventId()), []byte(m.GetLastEventId())
	v.TraceParent = []byte(state.GetTraceparent())
	v.SettingsRevision = m.GetSettingsRevision()
	v.ToldUnknown, v.FirstClosedAt, v.Bulk = m.GetToldUnknown(), Instant(m.GetFirstClosedAt()), m.GetBulk()
	decodeProgress(v, &state)
	return nil
}

func decodeProgress(v *visit.Visit, state *statev1.OpenVisit) {
	v.AppliedOffset = state.GetAppliedOffset()
	v.Seen = append(v.Seen, state.GetSeen()...)
	v.LastArrival = Instant(state.GetLastArrivalAt())
	v.SentRevision = state.GetSentRevision()
	v.SentAt = Instant(state.GetSentAt())
	v.Skipped = state.GetSkipped() != streamv1.Reason_REASON_UNSPECIFIED
}

func decodeClicks(c *visit.Clicks, m *streamv1.CallToAction, times []int64) {
	c.Count, c.Label, c.URL, c.At = m.GetClicks(), m.GetLastLabel(), m.GetLastUrl(), Instant(m.GetLastAt())
	c.Times = append(c.Times, times...)
}
