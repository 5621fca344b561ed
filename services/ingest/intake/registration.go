package intake

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce"
	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/ingest/event"
	"github.com/throughline-dev/throughline/services/internal/normalize"
)

var (
	errTestRegistration = event.Refuse(streamv1.Reason_REASON_FLOW_SKIPPED, "data.registration.test", "the organiser marked the registration as a test, and tests are not exported")
	errLoopOrigin       = event.Refuse(streamv1.Reason_REASON_LOOP_ORIGIN, "data.registration.origin", "the registration came from Salesforce, and has its record there")
	errNoRegistrant     = event.Refuse(streamv1.Reason_REASON_BAD_EMAIL, "data.viewer.email", "must be the address of the person who registered")
)

// exportable keeps back the registrations that are not to reach Salesforce: the organiser's tests (HOPIN-9), and what came from
// there, under whatever address (HOPIN-15).
func exportable(r *sourcev1.Registration) error {
	switch o := r.GetOrigin(); {
	case r.GetTest():
		return errTestRegistration
	case o.GetRecordId() != "" || o.GetInvitationId() != "":
		return errLoopOrigin
	}
	return nil
}

// register finds out whom a registration is about: unlike a view, it is about somebody (HOPIN-9). An organiser who registers
// for their own event is registered, too.
func register(c *candidate) error {
	v := c.event.GetViewer()
	email, err := normalize.Email(v.GetEmail())
	if err != nil {
		return errNoRegistrant
	}
	c.viewer = address{
		email: email, name: v.GetName(), sent: spelling(v.GetEmail(), email), evidence: streamv1.Evidence(v.GetEvidence()),
	}
	return suppress(c)
}

// origin returns the record that a registration was made from, for the outcome that says that it is not exported: its id, of 18
// characters, and how it is known.
func origin(e *sourcev1.ViewingEvent) (recordID, invitation string) {
	o := event.RegistrationOf(e).GetOrigin()
	recordID = o.GetRecordId()
	if full, err := salesforce.ID(recordID, ""); err == nil {
		recordID = full
	}
	return recordID, o.GetInvitationId()
}

// changeOf says what happened to a registration.
func changeOf(e *sourcev1.ViewingEvent) streamv1.RegistrationChange {
	switch e.GetDetail().(type) {
	case *sourcev1.ViewingEvent_RegistrationCreated:
		return streamv1.RegistrationChange_REGISTRATION_CHANGE_CREATED
	case *sourcev1.ViewingEvent_RegistrationCancelled:
		return streamv1.RegistrationChange_REGISTRATION_CHANGE_CANCELLED
	}
	return streamv1.RegistrationChange_REGISTRATION_CHANGE_CHANGED
}

// sealRegistration is a registration as the stream knows it. Promise 8: what the person said travels sealed.
func sealRegistration(c *candidate, r *sourcev1.Registration) (*streamv1.Registration, error) {
	registrant := &streamv1.Registrant{
		FirstName: r.GetFirstName(), LastName: r.GetLastName(), Headline: r.GetHeadline(), Website: r.GetWebsite(),
		Company: r.GetCompany(), SourceTags: joined(r.GetTags()), Answers: map[string]string{},
	}
	for _, a := range r.GetAnswers() {
		registrant.Answers[a.GetQuestionId()] = joined(a.GetValues())
	}
	plain, err := proto.Marshal(registrant)
	if err != nil {
		return nil, fmt.Errorf("encode a registrant: %w", err)
	}
	sealed, err := c.workspace.Keys().Seal(plain)
	if err != nil {
		return nil, err
	}
	out := &streamv1.Registration{
		RegistrationId: r.GetId(), Change: changeOf(c.event), RegisteredAt: r.GetRegisteredAt(), Sealed: sealed,
		TicketId: r.GetTicket().GetId(), TicketName: r.GetTicket().GetName(), IntegrationCode: r.GetTicket().GetIntegrationCode(),
	}
	if out.GetRegisteredAt() == nil {
		out.RegisteredAt = c.event.GetTime()
	}
	return out, nil
}

// joined joins what is not empty by semicolons, as Salesforce takes several choices (HOPIN-11).
func joined(values []string) string {
	var kept []string
	for _, v := range values {
		if v != "" {
			kept = append(kept, v)
		}
	}
	return strings.Join(kept, ";")
}
