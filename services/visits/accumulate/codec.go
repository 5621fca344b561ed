package accumulate

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	statev1 "github.com/throughline-dev/throughline/proto/throughline/state/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/visits/totals"
	"github.com/throughline-dev/throughline/services/visits/visit"
	"github.com/throughline-dev/throughline/services/visits/wire"
)

const stateVersion = 1

// decodeVisit reads a visit and refuses one without the ids that totals are kept under.
func decodeVisit(value []byte) (*streamv1.Visit, error) {
	v := new(streamv1.Visit)
	if err := proto.Unmarshal(value, v); err != nil {
		return nil, fmt.Errorf("not a visit: %w", err)
	}
	switch {
	case v.GetVisitId() == "":
		return nil, errors.New("a visit without an id")
	case v.GetWorkspace() == "":
		return nil, errors.New("a visit without a workspace")
	case v.GetSubject().GetPersonKey() == "" && !v.GetToldUnknown():
		return nil, errors.New("a visit without a person")
	case v.GetContent().GetContentId() == "":
		return nil, errors.New("a visit without a content id")
	}
	return v, nil
}

// contribution is what a visit adds to the totals.
func contribution(v *streamv1.Visit) totals.Contribution {
	c := totals.Contribution{
		VisitID:   v.GetVisitId(),
		Revision:  v.GetRevision(),
		StartedAt: wire.Instant(v.GetStartedAt()),
		LastAt:    wire.Instant(v.GetLastActivityAt()),
	}
	if v.GetWithdrawn() {
		return c
	}
	c.Visits = 1
	if v.GetCountsAsView() {
		c.Views = 1
	}
	c.Watched, c.Dwell = visit.Seconds(v.GetWatchedSeconds()), visit.Seconds(v.GetDwellSeconds())
	c.Ranges = wire.RangesFromProto(nil, v.GetRanges())
	if cta := v.GetCallToAction(); cta != nil {
		c.Clicks = cta.GetClicks()
		c.LastClick = totals.Click{Label: cta.GetLastLabel(), URL: cta.GetLastUrl(), At: wire.Instant(cta.GetLastAt())}
	}
	return c
}

func encodeState(a *account) ([]byte, error) {
	e := a.engagement
	ranges, inner := e.Ranges, e.Visit
	e.Ranges, e.Visit = nil, nil
	state := &statev1.Totals{Version: stateVersion, Engagement: e, AppliedOffset: a.applied}
	for i := range a.totals.Visits {
		state.Visits = append(state.Visits, contributionToProto(&a.totals.Visits[i]))
	}
	if a.totals.Folded.Visits > 0 {
		state.Folded = contributionToProto(&a.totals.Folded)
	}
	value, err := proto.Marshal(state)
	e.Ranges, e.Visit = ranges, inner
	if err != nil {
		return nil, fmt.Errorf("encode the state of engagement %s of workspace %s: %w", e.GetEngagementId(), e.GetWorkspace(), err)
	}
	return value, nil
}

func decodeState(value []byte) (*account, error) {
	var state statev1.Totals
	if err := proto.Unmarshal(value, &state); err != nil {
		return nil, fmt.Errorf("not the state of an engagement: %w: delete the entry from the state topic, then replay", err)
	}
	if state.GetVersion() > stateVersion {
		return nil, &wire.VersionError{Version: state.GetVersion(), Known: stateVersion}
	}
	a := &account{engagement: state.GetEngagement(), applied: state.GetAppliedOffset()}
	if a.engagement == nil {
		a.engagement = &streamv1.Engagement{}
	}
	for _, c := range state.GetVisits() {
		a.totals.Visits = append(a.totals.Visits, contributionFromProto(c))
	}
	if state.GetFolded() != nil {
		a.totals.Folded = contributionFromProto(state.GetFolded())
		if a.totals.Folded.LastStart.IsZero() { // of an older program: no visit began after all had ended
			a.totals.Folded.LastStart = a.totals.Folded.LastAt
		}
	}
	return a, nil
}

func contributionToProto(c *totals.Contribution) *statev1.Contribution {
	m := &statev1.Contribution{
		VisitId:        c.VisitID,
		Revision:       c.Revision,
		Visits:         c.Visits,
		Views:          c.Views,
		WatchedSeconds: c.Watched.Seconds(),
		Clicks:         c.Clicks,
		DwellSeconds:   c.Dwell.Seconds(),
		LastActivityAt: wire.Timestamp(c.LastAt),
		StartedAt:      wire.Timestamp(c.StartedAt),
		LastStartedAt:  wire.Timestamp(c.LastStart),
		Ranges:         wire.RangesToProto(c.Ranges),
	}
	if !c.LastClick.At.IsZero() {
		m.LastClick = &streamv1.CallToAction{LastLabel: c.LastClick.Label, LastUrl: c.LastClick.URL, LastAt: wire.Timestamp(c.LastClick.At)}
	}
	return m
}

func contributionFromProto(m *statev1.Contribution) totals.Contribution {
	click := m.GetLastClick()
	return totals.Contribution{
		VisitID:   m.GetVisitId(),
		Revision:  m.GetRevision(),
		Visits:    m.GetVisits(),
		Views:     m.GetViews(),
		Clicks:    m.GetClicks(),
		Watched:   visit.Seconds(m.GetWatchedSeconds()),
		Dwell:     visit.Seconds(m.GetDwellSeconds()),
		StartedAt: wire.Instant(m.GetStartedAt()),
		LastAt:    wire.Instant(m.GetLastActivityAt()),
		LastStart: wire.Instant(m.GetLastStartedAt()),
		Ranges:    wire.RangesFromProto(nil, m.GetRanges()),
		LastClick: totals.Click{Label: click.GetLastLabel(), URL: click.GetLastUrl(), At: wire.Instant(click.GetLastAt())},
	}
}
