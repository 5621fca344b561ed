package intake

import (
	"fmt"
	"strings"
	"time"

	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/ingest/event"
	"github.com/throughline-dev/throughline/services/internal/normalize"
	"github.com/throughline-dev/throughline/services/internal/plan"
)

// What the rules refuse, where the sentence needs no numbers.
var (
	errUnknownWorkspace = event.Refuse(streamv1.Reason_REASON_BAD_TENANT, "workspace", "is not known here")
	errOtherWorkspace   = event.Refuse(streamv1.Reason_REASON_BAD_TENANT, "workspace", "is not the one whose topic or key the event came through")
	errTrackingOff      = event.Refuse(streamv1.Reason_REASON_TRACKING_OFF, "", "tracking was off for the content")
	errOwnView          = event.Refuse(streamv1.Reason_REASON_OWN_VIEW, "", "the viewer is the content's owner")
	errErased           = event.Refuse(streamv1.Reason_REASON_ERASED_SUBJECT, "", "the person was erased")
	errSignedInNoEmail  = event.Refuse(streamv1.Reason_REASON_BAD_EMAIL, "data.viewer.email", "must be an address when the viewer is signed in")
	errAhead            = event.Refuse(streamv1.Reason_REASON_BAD_TIME, "time", "lies too far in the future")
)

func tooLarge(size, limit int) error {
	return event.Refuse(streamv1.Reason_REASON_TOO_LARGE, "", fmt.Sprintf("the event has %d bytes, the limit is %d", size, limit))
}

// advice is what to do about a reason, the second half of every detail.
var advice = map[streamv1.Reason]string{
	streamv1.Reason_REASON_BAD_SCHEMA:     "correct the producer; docs/source-events.md shows the format",
	streamv1.Reason_REASON_BAD_TENANT:     "send it through the topic or key of its own workspace, or create the workspace and replay it",
	streamv1.Reason_REASON_BAD_TIME:       "check the producer's clock, or raise the workspace's lateness and replay it",
	streamv1.Reason_REASON_BAD_EMAIL:      "send the verified address, or another kind of evidence",
	streamv1.Reason_REASON_TOO_LARGE:      "send less at once, or raise the limit",
	streamv1.Reason_REASON_TRACKING_OFF:   "switch tracking on for the content to record views from then on",
	streamv1.Reason_REASON_OWN_VIEW:       "nothing needs to be done",
	streamv1.Reason_REASON_ERASED_SUBJECT: "lift the suppression if they have registered again",

	streamv1.Reason_REASON_FLOW_SKIPPED: "send it without the mark to export it",
	streamv1.Reason_REASON_LOOP_ORIGIN:  "nothing needs to be done",

	streamv1.Reason_REASON_PLAN_NOT_ENTITLED: "change the plan to take in what happens from then on",
}

func advise(r *event.Refusal) string { return r.Error() + "; " + advice[r.Reason] }

// skips tells reasons that are nobody's mistake from those that are the producer's.
func skips(reason streamv1.Reason) bool {
	switch reason {
	case streamv1.Reason_REASON_PLAN_NOT_ENTITLED, streamv1.Reason_REASON_TRACKING_OFF, streamv1.Reason_REASON_OWN_VIEW, streamv1.Reason_REASON_ERASED_SUBJECT,
		streamv1.Reason_REASON_FLOW_SKIPPED, streamv1.Reason_REASON_LOOP_ORIGIN:
		return true
	}
	return false
}

// entitled goes by the plan that was in force when it happened (LOOM-1, HOPIN-1).
func entitled(c *candidate) error {
	lapse := c.workspace.Lapse(sourceOf(c.event), c.event.GetTime().AsTime())
	if lapse == nil {
		return nil
	}
	return event.Refuse(streamv1.Reason_REASON_PLAN_NOT_ENTITLED, "", plan.Text(lapse))
}

// sourceOf is the source whose plan an event needs.
func sourceOf(e *sourcev1.ViewingEvent) plan.Source {
	switch e.GetDetail().(type) {
	case *sourcev1.ViewingEvent_VideoStarted, *sourcev1.ViewingEvent_VideoProgress, *sourcev1.ViewingEvent_VideoEnded,
		*sourcev1.ViewingEvent_CallToActionClicked:
		return plan.Video
	case *sourcev1.ViewingEvent_DocumentOpened, *sourcev1.ViewingEvent_PageViewed, *sourcev1.ViewingEvent_DocumentClosed:
		return plan.Document
	case *sourcev1.ViewingEvent_RegistrationCreated, *sourcev1.ViewingEvent_RegistrationChanged, *sourcev1.ViewingEvent_RegistrationCancelled:
		return plan.Events
	}
	return plan.General // of which nothing lapses by itself
}

// tracked goes by the event's snapshot of the switch, and by the current setting when there is none (LOOM-20).
func tracked(c *candidate) bool {
	if c.event.Tracking != nil {
		return c.event.GetTracking()
	}
	return c.workspace.Tracking(c.event.GetContent().GetId())
}

func checkTime(c *candidate, ahead time.Duration) error {
	t := c.event.GetTime().AsTime()
	if t.After(c.Received.Add(ahead)) {
		return errAhead
	}
	if lateness := c.workspace.Lateness(); t.Before(c.Received.Add(-lateness)) {
		return event.Refuse(streamv1.Reason_REASON_BAD_TIME, "time",
			"is older than the workspace's lateness of "+lateness.String())
	}
	return nil
}

// address is one normalised address with the name that came with it; the zero value is nobody.
type address struct {
	email, name string
	// sent is the address as it was sent, where only its letters' case is another.
	sent     string
	evidence streamv1.Evidence
}

// spelling returns an address as it was sent if its letters' case is all that differs from the normalised one (ZOOM-4).
func spelling(raw, email string) string {
	raw = strings.TrimSpace(raw)
	if raw == email || strings.ToLower(raw) != email {
		return ""
	}
	return raw
}

// identify finds out whom the event is about, as far as it says so.
func identify(c *candidate) error {
	if event.RegistrationOf(c.event) != nil {
		return register(c)
	}
	content := c.event.GetContent()
	if raw := content.GetOwnerEmail(); raw != "" {
		email, err := normalize.Email(raw)
		if err != nil {
			c.warnings |= event.OwnerDropped
		} else {
			c.owner = address{email: email, name: content.GetOwnerName(), sent: spelling(raw, email)}
		}
	}
	viewer, warning, err := viewerOf(c.event.GetViewer())
	if err != nil {
		return err
	}
	c.viewer = viewer
	c.warnings |= warning
	if viewer.email != "" && viewer.email == c.owner.email {
		return errOwnView
	}
	return suppress(c)
}

// suppress keeps out who was erased (XC-31), before anything of them is sealed: the event of an erased viewer goes no
// further, an erased owner is taken out of the event.
func suppress(c *candidate) error {
	if !c.workspace.Suppresses() {
		return nil
	}
	at, keys := c.event.GetTime().AsTime(), c.workspace.Keys()
	if c.viewer.email != "" && c.workspace.Erased(keys.PersonKey(c.viewer.email), at) {
		return errErased
	}
	if c.owner.email != "" && c.workspace.Erased(keys.PersonKey(c.owner.email), at) {
		c.owner = address{}
		c.warnings |= event.OwnerDropped
	}
	return nil
}

// viewerOf believes a signed-in address or refuses it, and drops any other that is none: the event then stays, as that
// of an anonymous viewer (LOOM-22 to LOOM-24).
func viewerOf(v *sourcev1.Viewer) (address, event.Warnings, error) {
	evidence := streamv1.Evidence_EVIDENCE_LINK
	parse := normalize.LinkEmail
	switch v.GetEvidence() {
	case sourcev1.Evidence_EVIDENCE_SIGNED_IN:
		email, err := normalize.Email(v.GetEmail())
		if err != nil {
			return address{}, 0, errSignedInNoEmail
		}
		return address{email: email, name: v.GetName(), sent: spelling(v.GetEmail(), email), evidence: streamv1.Evidence_EVIDENCE_SIGNED_IN}, 0, nil
	case sourcev1.Evidence_EVIDENCE_ASKED:
		evidence, parse = streamv1.Evidence_EVIDENCE_ASKED, normalize.Email
	}
	if v.GetEmail() == "" {
		return address{}, 0, nil
	}
	email, err := parse(v.GetEmail())
	if err != nil {
		return address{}, event.AddressDropped, nil //nolint:nilerr // it makes the viewer unknown, not the event bad
	}
	return address{email: email, name: v.GetName(), sent: spelling(v.GetEmail(), email), evidence: evidence}, 0, nil
}
