package changes_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/changes"
)

func rule() *configv1.Integration {
	return &configv1.Integration{
		Workspace: "acme", Id: "rule", Name: "Rule", Enabled: true, Version: 3,
		Actions: []*configv1.Action{{
			Name: "task", Object: "Task", Assignment: &configv1.Assignment{Chain: []configv1.Assignee{configv1.Assignee_ASSIGNEE_RECORD_OWNER}},
			Fields: []*configv1.FieldMapping{{
				Field: "Subject", Source: &configv1.FieldMapping_Constant{
					Constant: &configv1.Constant{Value: &configv1.Constant_Text{Text: "<Hello>"}},
				},
			}},
		}},
	}
}

func lines(found []*configv1.FieldChange) string {
	var out []string
	for _, f := range found {
		out = append(out, fmt.Sprintf("%s: %s -> %s", f.GetPath(), f.GetBefore(), f.GetAfter()))
	}
	return strings.Join(out, "\n")
}

func TestBetweenNamesEveryFieldThatDiffers(t *testing.T) {
	t.Parallel()
	before, after := rule(), rule()
	require.Empty(t, changes.Between(before, after))
	after.Version, after.Enabled = 4, false
	after.EffectiveFrom = timestamppb.New(time.Unix(0, 0))
	after.Actions[0].Fields[0].GetConstant().Value = &configv1.Constant_Text{Text: "さようなら"}
	after.Actions[0].Assignment = nil
	after.Actions = append(after.Actions, &configv1.Action{Name: "two"})
	found := changes.Between(before, after, "version")
	require.ElementsMatch(t, []string{
		"enabled: true -> ",
		`effective_from:  -> "1970-01-01T00:00:00Z"`,
		`actions[0].fields[0].constant.text: "<Hello>" -> "さようなら"`,
		`actions[0].assignment.chain[0]: "ASSIGNEE_RECORD_OWNER" -> `,
		`actions[1].name:  -> "two"`,
	}, strings.Split(lines(found), "\n"))
	require.Len(t, changes.Paths(found), 5)
}

func TestBetweenTellsOfCreationAndRemoval(t *testing.T) {
	t.Parallel()
	setting := &configv1.ContentSetting{Workspace: "acme", ContentId: "v", Tracking: true}
	require.Equal(t, "workspace:  -> \"acme\"\ncontent_id:  -> \"v\"\ntracking:  -> true", lines(changes.Between(nil, setting)))
	require.Equal(t, "workspace: \"acme\" -> \ncontent_id: \"v\" -> \ntracking: true -> ", lines(changes.Between(setting, nil)))
	require.Equal(t, "visits:  -> {}",
		lines(changes.Between(&configv1.Workspace{}, &configv1.Workspace{Visits: &configv1.VisitSettings{}})))
}

func TestBetweenShowsNeitherSecretsNorPeople(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]proto.Message{
		{&configv1.ApiKey{SecretHash: []byte("planted-1")}, &configv1.ApiKey{SecretHash: []byte("planted-2")}},
		{
			&configv1.Member{Name: "planted-1", Email: "planted-1@acme.example", Subject: "planted-1"},
			&configv1.Member{Name: "planted-2", Email: "planted-2@acme.example", Subject: "planted-2"},
		},
		{nil, &configv1.Connection{Grant: &configv1.Connection_ClientCredentials{
			ClientCredentials: &configv1.ClientCredentials{ClientSecret: "planted-1"},
		}}},
		{nil, &configv1.Connection{Grant: &configv1.Connection_JwtBearer{
			JwtBearer: &configv1.JwtBearer{Subject: "planted-1", PrivateKey: "planted-2"},
		}}},
	} {
		found := changes.Between(pair[0], pair[1])
		require.NotEmpty(t, found)
		require.NotContains(t, lines(found), "planted")
		for _, f := range found {
			require.True(t, f.GetConcealed())
		}
	}
}

func TestBetweenEndsSomewhere(t *testing.T) {
	t.Parallel()
	big := &configv1.Integration{}
	for range 5000 {
		big.Actions = append(big.Actions, &configv1.Action{Name: "x"})
	}
	require.Len(t, changes.Between(nil, big), changes.Max)
}
