package event

import (
	"unicode/utf8"

	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
	"github.com/throughline-dev/throughline/services/internal/normalize"
)

// Longest texts, in characters. They are those of the protovalidate rules; longer texts are cut, longer links dropped.
const (
	maxTitle = 1024
	maxName  = 255
	maxLabel = 255
	maxURL   = 2048
	maxEmail = 320
	maxOwner = 254
)

// Warnings are the repairs that an event needed before it could be accepted; a bit set.
type Warnings uint16

// The repairs.
const (
	// TextCut: a title, name or label was too long.
	TextCut Warnings = 1 << iota
	// LinkDropped: a link was too long, or neither http nor https.
	LinkDropped
	// EvidenceUnknown: the kind of evidence is not a known one; the viewer who came with it was dropped.
	EvidenceUnknown
	// AddressDropped: an address that was asked for or came with a link is none; the viewer was dropped.
	AddressDropped
	// OwnerDropped: the content owner's address is none.
	OwnerDropped
	// RangeDropped: a watched stretch ended before it began, or lay beyond the end of the video.
	RangeDropped
	// RangeClipped: a watched stretch reached beyond the end of the video.
	RangeClipped
	// PageClamped: a page number lay beyond the end of the document.
	PageClamped
	// DwellNegative: the time spent on a page was below nothing; none was counted (IMM-23).
	DwellNegative
)

var warningNames = []string{
	"text_cut", "link_dropped", "evidence_unknown", "address_dropped", "owner_dropped",
	"range_dropped", "range_clipped", "page_clamped", "dwell_negative",
}

// Each calls f with the name of every repair in w.
func (w Warnings) Each(f func(name string)) {
	for i, name := range warningNames {
		if w&(1<<i) != 0 {
			f(name)
		}
	}
}

// Tidy repairs in place what is not worth refusing an event for: control characters and over-long texts, links that
// must not be shown, evidence of an unknown kind, negative times. Call it before Check.
func Tidy(e *sourcev1.ViewingEvent) Warnings {
	var w Warnings
	if c := e.GetContent(); c != nil {
		w |= text(&c.Title, maxTitle) | text(&c.OwnerName, maxName) | link(&c.Url, normalize.ContentLink)
		if tooLong(c.GetOwnerEmail(), maxOwner) {
			c.OwnerEmail, c.OwnerName = "", ""
			w |= OwnerDropped
		}
	}
	if click := e.GetCallToActionClicked(); click != nil {
		w |= text(&click.Label, maxLabel) | link(&click.Url, normalize.TargetLink)
	}
	if page := e.GetPageViewed(); page != nil && page.GetDwellSeconds() < 0 {
		page.DwellSeconds = 0
		w |= DwellNegative
	}
	r := RegistrationOf(e)
	if r != nil {
		w |= tidyRegistration(e, r)
	}
	w |= tidyViewer(e)
	if r != nil {
		tidyNames(r, e.GetViewer().GetName())
	}
	return w
}

func tidyViewer(e *sourcev1.ViewingEvent) Warnings {
	v := e.GetViewer()
	if v == nil {
		return 0
	}
	if _, known := sourcev1.Evidence_name[int32(v.GetEvidence())]; !known {
		e.Viewer = nil
		return EvidenceUnknown
	}
	w := text(&v.Name, maxName)
	if v.GetEvidence() != sourcev1.Evidence_EVIDENCE_SIGNED_IN && tooLong(v.GetEmail(), maxEmail) {
		e.Viewer = nil
		w |= AddressDropped
	}
	return w
}

func text(s *string, limit int) Warnings {
	tidied, cut := normalize.Text(*s, limit)
	*s = tidied
	if cut {
		return TextCut
	}
	return 0
}

func link(s *string, tidy func(string) string) Warnings {
	if *s == "" {
		return 0
	}
	*s = tidy(*s)
	if *s == "" || tooLong(*s, maxURL) {
		*s = ""
		return LinkDropped
	}
	return 0
}

func tooLong(s string, limit int) bool {
	return len(s) > limit && utf8.RuneCountInString(s) > limit
}

// Clip brings a checked event's numbers into the bounds of its content, in place: stretches that end before they begin
// are dropped, stretches and pages beyond the end are cut to it. A length or page count of 0 is unknown and bounds
// nothing.
func Clip(e *sourcev1.ViewingEvent) Warnings {
	switch detail := e.GetDetail().(type) {
	case *sourcev1.ViewingEvent_VideoProgress:
		return clipRanges(detail.VideoProgress, e.GetContent().GetLengthSeconds())
	case *sourcev1.ViewingEvent_PageViewed:
		return clampPage(&detail.PageViewed.Page, e.GetContent().GetPageCount())
	case *sourcev1.ViewingEvent_DocumentClosed:
		return clampPage(&detail.DocumentClosed.Page, e.GetContent().GetPageCount())
	}
	return 0
}

func clipRanges(p *sourcev1.VideoProgress, length float64) Warnings {
	var w Warnings
	kept := p.Ranges[:0]
	for _, r := range p.GetRanges() {
		if length > 0 && r.GetTo() > length {
			r.To = length
			w |= RangeClipped
		}
		if r.GetFrom() >= r.GetTo() {
			w |= RangeDropped
			continue
		}
		kept = append(kept, r)
	}
	p.Ranges = kept
	return w
}

func clampPage(page *uint32, count uint32) Warnings {
	if count == 0 || *page <= count {
		return 0
	}
	*page = count
	return PageClamped
}
