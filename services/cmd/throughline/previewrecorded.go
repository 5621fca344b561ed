package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// recordedFlags choose recorded engagements for a preview.
type recordedFlags struct {
	engagement, event, since string
	newest                   int32
	reveal                   bool
}

func (f *recordedFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.engagement, "engagement", "", "the newest revision of this recorded `engagement`")
	flags.StringVar(&f.event, "event", "", "the visit that this recorded `event` belongs to")
	flags.Int32Var(&f.newest, "newest", 0, "the newest `n` recorded engagements, at most 100")
	flags.StringVar(&f.since, "since", "", "from when on to look, RFC 3339; default: 7 days ago")
	flags.BoolVar(&f.reveal, "reveal", false, "show addresses and names of recorded people; it is audited")
	cmd.MarkFlagsMutuallyExclusive("engagement", "event", "newest", "samples")
}

// selection is nil when samples are meant.
func (f *recordedFlags) selection() (*configv1.RecordedSelection, error) {
	out := &configv1.RecordedSelection{Reveal: f.reveal}
	switch {
	case f.engagement != "":
		out.Which = &configv1.RecordedSelection_EngagementId{EngagementId: f.engagement}
	case f.event != "":
		out.Which = &configv1.RecordedSelection_EventId{EventId: f.event}
	case f.newest != 0:
		out.Which = &configv1.RecordedSelection_Newest{Newest: f.newest}
	case f.reveal || f.since != "":
		return nil, errors.New("--reveal, --since: choose recorded engagements with --engagement, --event or --newest")
	default:
		return nil, nil
	}
	if f.since != "" {
		at, err := time.Parse(time.RFC3339, f.since)
		if err != nil {
			return nil, fmt.Errorf("--since: %q is not a time such as 2026-03-01T09:00:00Z", f.since)
		}
		out.Since = timestamppb.New(at)
	}
	return out, nil
}

// recordedText says which engagement a result is of.
func recordedText(r *configv1.RecordedEngagement) string {
	if r == nil {
		return ""
	}
	notes := []string{r.GetAt().AsTime().Format("2006-01-02 15:04:05"), "visit " + r.GetVisitId()}
	if r.GetMasked() {
		notes = append(notes, "people are made up")
	}
	if r.GetUnresolved() {
		notes = append(notes, "nobody was looked for in this org")
	}
	return " (" + strings.Join(notes, ", ") + ")"
}
