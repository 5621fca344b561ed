package event

import sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"

// The CloudEvents types, one per kind of viewing event.
const (
	TypeVideoStarted    = "throughline.video.started.v1"
	TypeVideoProgress   = "throughline.video.progress.v1"
	TypeVideoEnded      = "throughline.video.ended.v1"
	TypeVideoCTAClicked = "throughline.video.cta_clicked.v1"
	TypeDocumentOpened  = "throughline.document.opened.v1"
	TypePageViewed      = "throughline.document.page_viewed.v1"
	TypeDocumentClosed  = "throughline.document.closed.v1"

	TypeRegistrationCreated   = "throughline.registration.created.v1"
	TypeRegistrationChanged   = "throughline.registration.changed.v1"
	TypeRegistrationCancelled = "throughline.registration.cancelled.v1"
)

// Types returns the CloudEvents types this package reads, in the order of the documentation.
func Types() []string {
	return []string{
		TypeVideoStarted, TypeVideoProgress, TypeVideoEnded, TypeVideoCTAClicked,
		TypeDocumentOpened, TypePageViewed, TypeDocumentClosed,
		TypeRegistrationCreated, TypeRegistrationChanged, TypeRegistrationCancelled,
	}
}

// evidences are the JSON spellings of how an address is known.
var evidences = map[string]sourcev1.Evidence{
	"":          sourcev1.Evidence_EVIDENCE_UNSPECIFIED,
	"signed_in": sourcev1.Evidence_EVIDENCE_SIGNED_IN,
	"asked":     sourcev1.Evidence_EVIDENCE_ASKED,
	"link":      sourcev1.Evidence_EVIDENCE_LINK,
}

// evidenceUnknown stands for a spelling that is none of them. Tidy drops the viewer who comes with it.
const evidenceUnknown sourcev1.Evidence = -1
