package event

import sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"

// fillDetail sets what happened, by CloudEvents type.
func (b *box) fillDetail(e *sourcev1.ViewingEvent, name string, in *data) error {
	switch name {
	case TypeVideoStarted:
		b.started.VideoStarted = fresh(b.started.VideoStarted)
		e.Detail = &b.started
	case TypeVideoProgress:
		b.fillProgress(in)
		e.Detail = &b.progress
	case TypeVideoEnded:
		b.ended.VideoEnded = fresh(b.ended.VideoEnded)
		b.ended.VideoEnded.Completed = in.completed
		e.Detail = &b.ended
	case TypeVideoCTAClicked:
		b.clicked.CallToActionClicked = fresh(b.clicked.CallToActionClicked)
		b.clicked.CallToActionClicked.Label, b.clicked.CallToActionClicked.Url = in.label, in.url
		e.Detail = &b.clicked
	case TypeDocumentOpened:
		b.opened.DocumentOpened = fresh(b.opened.DocumentOpened)
		e.Detail = &b.opened
	case TypePageViewed:
		return b.fillPageViewed(e, in)
	case TypeDocumentClosed:
		page, err := whole("data.page", in.page)
		if err != nil {
			return err
		}
		b.closed.DocumentClosed = fresh(b.closed.DocumentClosed)
		b.closed.DocumentClosed.Page = page
		e.Detail = &b.closed
	case TypeRegistrationCreated, TypeRegistrationChanged, TypeRegistrationCancelled:
		return fillRegistration(e, name, in.registration.message)
	case "":
		return badSchema("type", "is missing")
	default:
		return badSchema("type", "is none of the known types")
	}
	return nil
}

func (b *box) fillProgress(in *data) {
	b.progress.VideoProgress = fresh(b.progress.VideoProgress)
	b.ranges = b.ranges[:0]
	for i := range in.ranges {
		b.ranges = append(b.ranges, &in.ranges[i])
	}
	b.progress.VideoProgress.Ranges = b.ranges
}

func (b *box) fillPageViewed(e *sourcev1.ViewingEvent, in *data) error {
	page, err := whole("data.page", in.page)
	if err != nil {
		return err
	}
	b.viewed.PageViewed = fresh(b.viewed.PageViewed)
	b.viewed.PageViewed.Page, b.viewed.PageViewed.DwellSeconds = page, in.dwell
	e.Detail = &b.viewed
	return nil
}

// fresh returns the message of an earlier event for reuse, or a first one. The caller sets every field.
func fresh[T any](old *T) *T {
	if old == nil {
		old = new(T)
	}
	return old
}
