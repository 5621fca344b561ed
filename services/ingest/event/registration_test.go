package event_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
	"github.com/throughline-dev/throughline/services/ingest/event"
)

const registrationFields = `,"registration":{"id":"r-1","registeredAt":"2026-11-01T00:00:00Z","firstName":"Taro","lastName":"Yamada",
 "headline":"CTO","website":"x.example","company":"X","ticket":{"id":"t-1","name":"Early","integrationCode":"spring"},
 "tags":["mail","partner"],"answers":[{"questionId":"q-1","values":["a","b"]},{"questionId":"q-2","values":null}],"test":true,
 "origin":{"recordId":"00QAA0000000001","invitationId":"i-1"},"more":[1]}`

func registration() *sourcev1.Registration {
	return &sourcev1.Registration{
		Id: "r-1", RegisteredAt: timestamppb.New(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)), FirstName: "Taro", LastName: "Yamada",
		Headline: "CTO", Website: "https://x.example", Company: "X",
		Ticket: &sourcev1.Ticket{Id: "t-1", Name: "Early", IntegrationCode: "spring"}, Tags: []string{"mail", "partner"},
		Answers: []*sourcev1.Answer{{QuestionId: "q-1", Values: []string{"a", "b"}}, {QuestionId: "q-2"}}, Test: true,
		Origin: &sourcev1.Origin{RecordId: "00QAA0000000001", InvitationId: "i-1"},
	}
}

func TestARegistrationIsItsOwnSession(t *testing.T) {
	t.Parallel()
	value := strings.Replace(string(data(event.TypeRegistrationCreated, registrationFields)), `"session":`, `"other":`, 1)
	e, _, err := accept(event.NewDecoder(), []byte(value))
	require.NoError(t, err)
	require.Equal(t, "r-1", e.GetSession())
	e, _, err = accept(event.NewDecoder(), data(event.TypeRegistrationCancelled, registrationFields))
	require.NoError(t, err)
	require.Equal(t, "r-1", e.GetSession(), "whatever the producer says: what happens to a registration keeps its order")
}

func TestWhereOnlyOneNameIsKnownItIsTheLastOne(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "HOPIN-10")
	for name, c := range map[string]struct{ given, first, last string }{
		"both":              {`"firstName":"Taro","lastName":"Yamada"},"viewer":{"name":"T. Yamada"}`, "Taro", "Yamada"},
		"the last":          {`"lastName":"Yamada"}`, "", "Yamada"},
		"the first":         {`"firstName":"Taro"}`, "", "Taro"},
		"the whole":         {`"firstName":" "},"viewer":{"name":"Taro Yamada"}`, "", "Taro Yamada"},
		"the first and all": {`"firstName":"Taro"},"viewer":{"name":"Taro Yamada"}`, "", "Taro Yamada"},
		"none":              {`"company":"X"}`, "", ""},
	} {
		e, _, err := accept(event.NewDecoder(), data(event.TypeRegistrationCreated, `,"registration":{"id":"r",`+c.given))
		require.NoError(t, err, name)
		r := event.RegistrationOf(e)
		require.Equal(t, []string{c.first, c.last}, []string{r.GetFirstName(), r.GetLastName()}, name)
	}
}

func TestABadRegistrationIsRefusedWithItsPath(t *testing.T) {
	t.Parallel()
	many := func(n int, item string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	for path, fields := range map[string]string{
		"data.registration":                       ``,
		"data.registration.id":                    `,"registration":{}`,
		"data.registration.registeredAt":          `,"registration":{"id":"r","registeredAt":"today"}`,
		"data.registration.tags":                  `,"registration":{"id":"r","tags":` + many(51, `"x"`) + `}`,
		"data.registration.answers":               `,"registration":{"id":"r","answers":` + many(201, `{"questionId":"q"}`) + `}`,
		"data.registration.answers[0].questionId": `,"registration":{"id":"r","answers":[{"values":["x"]}]}`,
		"data.registration.answers[].values":      `,"registration":{"id":"r","answers":[{"questionId":"q","values":` + many(101, `"x"`) + `}]}`,
		"data.registration.ticket":                `,"registration":{"id":"r","ticket":"early"}`,
		"data.registration.ticket.id":             `,"registration":{"id":"r","ticket":{"id":"` + strings.Repeat("x", 129) + `"}}`,
		"data.registration.origin.recordId":       `,"registration":{"id":"r","origin":{"recordId":"00Q"}}`,
	} {
		_, _, err := accept(event.NewDecoder(), data(event.TypeRegistrationCreated, fields))
		var refusal *event.Refusal
		require.ErrorAs(t, err, &refusal, path)
		require.Equal(t, path, refusal.Path)
	}
}
