package event

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
	"github.com/throughline-dev/throughline/services/internal/normalize"
)

// What one registration may have; more is refused before it is kept (promise 7).
const (
	maxTags    = 50
	maxAnswers = 200
	maxValues  = 100
)

// registration is what the data of a registration event has besides content and viewer. There are few of these events, so each
// gets a message of its own.
type registration struct {
	message      *sourcev1.Registration
	registeredAt string
}

// RegistrationOf returns the registration that an event tells of; nil if it tells of none.
func RegistrationOf(e *sourcev1.ViewingEvent) *sourcev1.Registration {
	switch detail := e.GetDetail().(type) {
	case *sourcev1.ViewingEvent_RegistrationCreated:
		return detail.RegistrationCreated
	case *sourcev1.ViewingEvent_RegistrationChanged:
		return detail.RegistrationChanged
	case *sourcev1.ViewingEvent_RegistrationCancelled:
		return detail.RegistrationCancelled
	}
	return nil
}

func (d *Decoder) registration() error {
	const path = "data.registration"
	r := &d.data.registration
	r.message = &sourcev1.Registration{}
	given, err := d.object(path, d.registrationField)
	if err != nil || !given {
		r.message = nil
		return err
	}
	if r.registeredAt == "" {
		return nil
	}
	t, err := parseTime(path+".registeredAt", r.registeredAt)
	if err == nil {
		r.message.RegisteredAt = timestamppb.New(t)
	}
	return err
}

func (d *Decoder) registrationField(name string) (err error) {
	const path = "data.registration."
	r := d.data.registration.message
	switch name {
	case "id":
		return d.stringInto(path+"id", &r.Id)
	case "registeredAt":
		return d.stringInto(path+"registeredAt", &d.data.registration.registeredAt)
	case "firstName":
		return d.stringInto(path+"firstName", &r.FirstName)
	case "lastName":
		return d.stringInto(path+"lastName", &r.LastName)
	case "headline":
		return d.stringInto(path+"headline", &r.Headline)
	case "website":
		return d.stringInto(path+"website", &r.Website)
	case "company":
		return d.stringInto(path+"company", &r.Company)
	case "ticket":
		_, err = d.object(path+"ticket", d.ticketField)
	case "tags":
		r.Tags, err = d.stringsInto(path+"tags", maxTags)
	case "answers":
		err = d.array(path+"answers", maxAnswers, d.answer)
	case "test":
		_, err = d.boolInto(path+"test", &r.Test)
	case "origin":
		_, err = d.object(path+"origin", d.originField)
	default:
		err = d.skip("data.registration")
	}
	return err
}

func (d *Decoder) ticketField(name string) error {
	const path = "data.registration.ticket"
	r := d.data.registration.message
	r.Ticket = fresh(r.GetTicket())
	switch name {
	case "id":
		return d.stringInto(path+".id", &r.Ticket.Id)
	case "name":
		return d.stringInto(path+".name", &r.Ticket.Name)
	case "integrationCode":
		return d.stringInto(path+".integrationCode", &r.Ticket.IntegrationCode)
	}
	return d.skip(path)
}

func (d *Decoder) originField(name string) error {
	const path = "data.registration.origin"
	r := d.data.registration.message
	r.Origin = fresh(r.GetOrigin())
	switch name {
	case "recordId":
		return d.stringInto(path+".recordId", &r.Origin.RecordId)
	case "invitationId":
		return d.stringInto(path+".invitationId", &r.Origin.InvitationId)
	}
	return d.skip(path)
}

func (d *Decoder) answer(int) error {
	const path = "data.registration.answers[]"
	a := &sourcev1.Answer{}
	_, err := d.object(path, func(name string) (err error) {
		switch name {
		case "questionId":
			return d.stringInto(path+".questionId", &a.QuestionId)
		case "values":
			a.Values, err = d.stringsInto(path+".values", maxValues)
			return err
		}
		return d.skip(path)
	})
	r := d.data.registration.message
	r.Answers = append(r.GetAnswers(), a)
	return err
}

// stringsInto reads an array of strings, or null.
func (d *Decoder) stringsInto(path string, most int) (all []string, err error) {
	err = d.array(path, most, func(int) error {
		var s string
		err := d.stringInto(path+"[]", &s)
		all = append(all, s)
		return err
	})
	return all, err
}

// array reads an array of at most so many items, or null.
func (d *Decoder) array(path string, most int, item func(int) error) error {
	switch d.json.Kind() {
	case '[':
		return d.refuse(path, d.json.Array(func(i int) error {
			if i == most {
				return badSchema(path, "has too many items")
			}
			return item(i)
		}))
	case 'n':
		return d.refuse(path, d.json.Null())
	}
	return d.wrongType(path, "must be an array")
}

// fillRegistration sets what happened to a registration.
func fillRegistration(e *sourcev1.ViewingEvent, name string, r *sourcev1.Registration) error {
	switch {
	case r == nil:
		return badSchema("data.registration", "is missing")
	case name == TypeRegistrationCreated:
		e.Detail = &sourcev1.ViewingEvent_RegistrationCreated{RegistrationCreated: r}
	case name == TypeRegistrationChanged:
		e.Detail = &sourcev1.ViewingEvent_RegistrationChanged{RegistrationChanged: r}
	default:
		e.Detail = &sourcev1.ViewingEvent_RegistrationCancelled{RegistrationCancelled: r}
	}
	return nil
}

// Longest texts of a registration, in characters.
const (
	maxAnswer = 4096
	maxCode   = 255
)

// tidyRegistration repairs what Tidy repairs of other events, and makes the registration's id its session, so that all that
// happens to it keeps its order. Where only one name is known it becomes the last name (HOPIN-10).
func tidyRegistration(e *sourcev1.ViewingEvent, r *sourcev1.Registration) Warnings {
	e.Session = r.GetId()
	w := text(&r.FirstName, maxName) | text(&r.LastName, maxName) | text(&r.Headline, maxName) | text(&r.Company, maxName)
	if ticket := r.GetTicket(); ticket != nil {
		w |= text(&ticket.Name, maxName)
	}
	for i := range r.GetTags() {
		w |= text(&r.Tags[i], maxName)
	}
	for _, a := range r.GetAnswers() {
		for i := range a.GetValues() {
			w |= text(&a.Values[i], maxAnswer)
		}
	}
	w |= website(&r.Website)
	if v := e.GetViewer(); v != nil && (v.GetEvidence() < sourcev1.Evidence_EVIDENCE_SIGNED_IN || v.GetEvidence() > sourcev1.Evidence_EVIDENCE_LINK) {
		v.Evidence = sourcev1.Evidence_EVIDENCE_ASKED // by the registration form
	}
	return w
}

// tidyNames goes by what is left of the texts.
func tidyNames(r *sourcev1.Registration, name string) {
	if r.GetLastName() != "" {
		return
	}
	r.LastName = r.GetFirstName()
	if name != "" {
		r.LastName = name
	}
	r.FirstName = ""
}

// website takes what people write for an address, too: without its scheme.
func website(s *string) Warnings {
	typed := *s
	w := link(s, normalize.ContentLink)
	if w != 0 && typed != "" {
		*s = "https://" + typed
		w = link(s, normalize.ContentLink)
	}
	return w
}

func checkRegistration(r *sourcev1.Registration) error {
	const path = "data.registration."
	if r.GetRegisteredAt() != nil && !r.GetRegisteredAt().IsValid() {
		return badSchema(path+"registeredAt", "is not a time between the years 1 and 9999")
	}
	for _, limited := range []struct {
		name, value string
		most        int
	}{
		{"firstName", r.GetFirstName(), maxName},
		{"lastName", r.GetLastName(), maxName},
		{"headline", r.GetHeadline(), maxName},
		{"website", r.GetWebsite(), maxURL},
		{"company", r.GetCompany(), maxName},
		{"ticket.id", r.GetTicket().GetId(), maxID},
		{"ticket.name", r.GetTicket().GetName(), maxName},
		{"ticket.integrationCode", r.GetTicket().GetIntegrationCode(), maxCode},
	} {
		if tooLong(limited.value, limited.most) {
			return badSchema(path+limited.name, "has too many characters")
		}
	}
	if err := checkOrigin(r.GetOrigin()); err != nil {
		return err
	}
	return checkLists(r)
}

func checkLists(r *sourcev1.Registration) error {
	const path = "data.registration."
	if len(r.GetTags()) > maxTags {
		return badSchema(path+"tags", "has too many items")
	}
	for i, tag := range r.GetTags() {
		if tooLong(tag, maxName) {
			return badSchema(at(path+"tags", i), "has too many characters")
		}
	}
	if len(r.GetAnswers()) > maxAnswers {
		return badSchema(path+"answers", "has too many items")
	}
	for i, a := range r.GetAnswers() {
		if err := checkID(at(path+"answers", i)+".questionId", a.GetQuestionId()); err != nil {
			return err
		}
		if len(a.GetValues()) > maxValues {
			return badSchema(at(path+"answers", i)+".values", "has too many items")
		}
		for _, v := range a.GetValues() {
			if tooLong(v, maxAnswer) {
				return badSchema(at(path+"answers", i)+".values", "has too many characters")
			}
		}
	}
	return nil
}

func checkOrigin(o *sourcev1.Origin) error {
	const path = "data.registration.origin."
	if id := o.GetInvitationId(); id != "" {
		if err := checkID(path+"invitationId", id); err != nil {
			return err
		}
	}
	id := o.GetRecordId()
	if n := len(id); n != 0 && n != 15 && n != 18 {
		return badSchema(path+"recordId", "must have 15 or 18 characters")
	}
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return badSchema(path+"recordId", "must be letters and digits")
		}
	}
	return nil
}
