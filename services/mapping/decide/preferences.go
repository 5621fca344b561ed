package decide

import (
	"slices"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// Sources that privacy records apply to where a workspace names none: those that are about views (XC-32).
var viewSources = []string{sourceVideo, sourceDocument}

// Names of sources in PreferenceSettings.
const (
	sourceVideo    = "video"
	sourceDocument = "document"
	// Not honoured unless it is named: a contract may need it.
	sourceRegistration = "registration"
)

// optedOut tells that nothing is written because the person said so in Salesforce, and reports whether that is so. Who is to be
// forgotten is not written about while an officer decides on the erasure that is proposed by it.
func (d *decision) optedOut() bool {
	p := d.in.Resolved.GetResolution().GetPreferences()
	settings := d.in.Workspace.Proto().GetPreferences()
	if p == nil || settings.GetIgnore() || !applies(settings, d.engagement.GetContent().GetKind()) {
		return false
	}
	if d.visit.GetWithdrawn() {
		return true // there is nothing to tell of
	}
	d.refuse(&configv1.Integration{Connection: d.in.Resolved.GetConnection()}, integration.Refusal{
		Reason: streamv1.Reason_REASON_OPTED_OUT,
		Detail: "the privacy record of " + p.GetObject() + " " + p.GetRecordId() + " says: " + said(p),
	})
	if n := len(d.result.Outcomes); n > 0 && p.GetShouldForget() {
		d.result.Outcomes[n-1].Forget = &streamv1.ForgetRequest{Object: p.GetObject(), RecordId: p.GetRecordId()}
	}
	return true
}

// applies reports whether privacy records are honoured for a kind of content.
func applies(settings *configv1.PreferenceSettings, kind streamv1.ContentKind) bool {
	sources := settings.GetSources()
	if len(sources) == 0 {
		sources = viewSources
	}
	switch kind {
	case streamv1.ContentKind_CONTENT_KIND_VIDEO:
		return slices.Contains(sources, sourceVideo)
	case streamv1.ContentKind_CONTENT_KIND_DOCUMENT:
		return slices.Contains(sources, sourceDocument)
	case streamv1.ContentKind_CONTENT_KIND_EVENT:
		return slices.Contains(sources, sourceRegistration)
	case streamv1.ContentKind_CONTENT_KIND_UNSPECIFIED:
	}
	return slices.Contains(sources, sourceVideo) || slices.Contains(sources, sourceDocument) // a view of some kind
}

func said(p *streamv1.Preferences) string {
	switch {
	case p.GetShouldForget():
		return "forget this individual; an erasure is proposed to the workspace's privacy officers"
	case p.GetOptedOutProcessing():
		return "do not process"
	}
	return "do not track"
}
